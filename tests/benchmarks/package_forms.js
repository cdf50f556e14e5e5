'use strict';

// Classifies pictures with two forms of a package in turn, on WebAssembly; prints milliseconds for each and how far answers differ.
const [folder, rounds, ...files] = process.argv.slice(2);
const { load } = require(folder);

async function main() {
  const forms = /** @type {const} */ (['layers', 'graph']);
  const times = { layers: [], graph: [] };
  const loads = { layers: 0, graph: 0 };
  const classifiers = {};
  for (const form of forms) {
    const start = performance.now();
    classifiers[form] = await load({ runtime: 'wasm', form });
    loads[form] = performance.now() - start;
  }
  let difference = 0;
  for (let i = 0; i < Number(rounds); i++) {
    const file = files[i % files.length];
    const answers = {};
    for (const form of forms) {
      const start = performance.now();
      answers[form] = await classifiers[form].classify(file);
      times[form].push(performance.now() - start);
    }
    for (const { label, probability } of answers.layers) {
      const other = answers.graph.find((answer) => answer.label === label);
      difference = Math.max(difference, Math.abs(other.probability - probability));
    }
  }
  console.log(JSON.stringify({ times, loads, difference, node: process.version }));
  process.exit(0);
}

main();
