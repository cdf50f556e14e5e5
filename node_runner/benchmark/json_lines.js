'use strict';

/**
 * The other end of the bridge that one writes first: a line of JSON for each call, arrays as lists. `pybridge bench` measures
 * it beside its own.
 */

const fs = require('fs');
const readline = require('readline');
const path = require('path');
const { loadStockTensorflow } = require('../tensorflow');

/** @typedef {import('@tensorflow/tfjs-node').LayersModel} LayersModel */

/** @type {LayersModel | undefined} */
let model;
/** @type {number[]} */
let array = [];

/** @type {Record<string, (value: any) => unknown>} */
const methods = {
  same: (value) => value,
  size: (value) => new Float32Array(value).length,
  make: (size) => {
    array = Array.from(Float32Array.from({ length: size }, Math.random));
    return null;
  },
  give: () => array,
  load: async (file) => {
    if (!fs.existsSync(file)) throw new Error(`there is no ${path.basename(file)}`);
    model = await loadStockTensorflow().loadLayersModel(`file://${file}`);
    return null;
  },
  predict: async (values) => {
    if (!model) throw new Error('no model is loaded');
    const tf = loadStockTensorflow();
    const input = tf.tensor(values);
    const output = /** @type {import('@tensorflow/tfjs-node').Tensor} */ (model.predict(input));
    const rows = await output.array();
    tf.dispose([input, output]);
    return rows;
  },
};

/** @param {string} line */
async function answer(line) {
  const { method, value } = JSON.parse(line);
  try {
    return { value: await methods[method](value) };
  } catch (error) {
    return { error: String(error) };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
  }
}

void main();
