'use strict';

// Drives the engine room of the server with real packages and real worker processes. Reads {create_models, tensorflow, first, second, pictures,
// scratch} on stdin and prints what came of each scenario. With the argument `hold` it only starts a model and says which processes
// work for it.

const fs = require('fs');
const { once } = require('events');
const path = require('path');

const given = JSON.parse(fs.readFileSync(0, 'utf8'));
const { createModels } = require(given.create_models);
const pictures = given.pictures.map((file) => fs.readFileSync(file));
const damaged = pictures[0].subarray(0, pictures[0].length - 40);

const settings = { tensorflow: given.tensorflow, reload: false };

/** Probabilities by the package's own classifier, in this process. */
async function referenceOf(folder) {
  const tf = require(given.tensorflow).loadTensorflow();
  const classifier = await require(path.join(folder, 'index.js')).load({ tf });
  const answers = [];
  for (const picture of pictures) {
    const found = new Map((await classifier.classify(picture)).map(({ label, probability }) => [label, probability]));
    answers.push(classifier.labels.map((label) => found.get(label)));
  }
  const { form } = classifier;
  classifier.dispose();
  return { form, answers };
}

function place(source, target) {
  const coming = `${target}.coming`;
  fs.cpSync(source, coming, { recursive: true });
  fs.rmSync(target, { recursive: true, force: true });
  fs.renameSync(coming, target);
}

const equal = (found, expected) => found.length === expected.length && found.every((value, i) => value === expected[i]);
const describe = ({ name, code, message, retryAfterSeconds, index }) => ({ name, code, message, retryAfterSeconds, index });
const outcome = (promise) => promise.then((value) => ({ value }), (error) => ({ error: describe(error) }));
const pidsOf = (models) => models.stats().models.flatMap(({ workers }) => workers.flatMap(({ pid }) => pid ?? []));

/** Clients that ask again and again until `enough(answers)`; every answer is compared with its version's. */
function clients(models, name, count, references, enough) {
  const seen = { answers: 0, wrong: 0, failures: [], versions: {} };
  const client = async (first) => {
    for (let turn = first; !enough(seen); turn++) {
      const position = turn % pictures.length;
      try {
        const { version, probabilities } = await models.infer(name, { images: [pictures[position]] });
        seen.answers += 1;
        seen.versions[version] = (seen.versions[version] ?? 0) + 1;
        if (!equal(probabilities, references[version][position])) seen.wrong += 1;
      } catch (error) {
        seen.failures.push(describe(error));
        if (error.code !== 'UNAVAILABLE') return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  };
  const done = Promise.all(Array.from({ length: count }, (_, i) => client(i)));
  return { seen, done };
}

async function answering(models, reference) {
  const singles = [];
  for (const picture of pictures) singles.push((await models.infer('steady', { images: [picture] })).probabilities);
  const sizes = [];
  models.on('batch', ({ size }) => sizes.push(size));
  const together = await Promise.all(pictures.map((picture) => models.infer('steady', { images: [picture] })));
  const { probabilities, classes, version } = await models.infer('steady', { images: pictures });
  const { inputHeight, inputWidth, labels } = models.metadata('steady');
  const tensor = { shape: [2, inputHeight, inputWidth, 3], data: new Float32Array(2 * inputHeight * inputWidth * 3).fill(0.5) };
  const prepared = await models.infer('steady', { tensor });
  const mixed = await Promise.all([damaged, Buffer.from('no image'), ...pictures].map((bytes) => outcome(models.infer('steady', { images: [bytes] }))));
  return {
    alone: singles.every((found, i) => equal(found, reference[i])),
    together: together.every(({ probabilities: found }, i) => equal(found, reference[i])),
    inOne: equal(probabilities, reference.flat()),
    largestBatch: Math.max(...sizes),
    classes,
    labels,
    version,
    prepared: prepared.probabilities.length,
    poisoned: mixed.slice(0, 2).map(({ error }) => error),
    neighbours: mixed.slice(2).every(({ value }, i) => equal(value.probabilities, reference[i])),
    oneOfMany: (await outcome(models.infer('steady', { images: [pictures[0], damaged] }))).error,
    badTensor: (await outcome(models.infer('steady', { tensor: { shape: [1, 2, 2, 3], data: new Float32Array(12) } }))).error,
    noImages: (await outcome(models.infer('steady', { images: [] }))).error,
    noModel: (await outcome(models.infer('other', { images: pictures }))).error,
    noVersion: (await outcome(models.infer('steady', { version: '7', images: pictures }))).error,
  };
}

async function leaving(models) {
  const signal = AbortSignal.abort(new Error('left before'));
  const before = await outcome(models.infer('steady', { images: pictures }, { signal }));
  const controller = new AbortController();
  const many = Array(8).fill(pictures).flat();
  const within = outcome(models.infer('steady', { images: many }, { signal: controller.signal }));
  const late = outcome(models.infer('steady', { images: many }, { deadline: Date.now() - 1 }));
  controller.abort(new Error('left within'));
  const outcomes = { before: before.error, within: (await within).error, late: (await late).error };
  return { ...outcomes, queued: models.stats().models[0].queued };
}

async function fairness(models) {
  const order = [];
  const many = models.infer('steady', { images: Array(10).fill(pictures).flat() }).then(() => order.push('many'));
  const one = models.infer('steady', { images: [pictures[0]] }).then(() => order.push('one'));
  await Promise.all([many, one]);
  return order;
}

async function killing(models, references) {
  const crashes = [];
  models.on('crash', (crash) => crashes.push(crash));
  let killed = 0;
  const { seen, done } = clients(models, 'steady', 24, references, ({ answers }) => answers >= 600);
  models.on('batch', () => {
    if (seen.answers < 150 * (killed + 1) || killed === 2) return;
    killed += 1;
    // The next batch is on its way by then.
    setImmediate(() => process.kill(models.stats().models.find(({ name }) => name === 'steady').workers[0].pid, 'SIGKILL'));
  });
  await done;
  return { ...seen, crashes: crashes.map(({ reason }) => reason) };
}

async function reloading(models, references) {
  const folder = given.models.changing;
  let switched = false;
  let after = 0;
  const { seen, done } = clients(models, 'changing', 6, references, () => switched && after > 60);
  models.on('batch', ({ name, size }) => {
    if (switched && name === 'changing') after += size;
  });
  place(given.second, path.join(folder, '2'));
  await models.reload('changing');
  switched = true;
  const next = await models.infer('changing', { images: [pictures[0]] });
  await done;
  fs.cpSync(given.first, path.join(folder, '3'), { recursive: true });
  const [shard] = fs.readdirSync(path.join(folder, '3', 'model')).filter((name) => name.endsWith('.bin'));
  fs.truncateSync(path.join(folder, '3', 'model', shard), 1);
  await models.reload('changing');
  const kept = await models.infer('changing', { images: [pictures[0]] });
  return { ...seen, next: next.version, kept: kept.version, list: models.list().find(({ name }) => name === 'changing').versions };
}

async function replacing(models, references) {
  const switched = new Promise((resolve) => {
    models.on('version', ({ name, version, state }) => name === 'replaced' && version === '2' && state === 'AVAILABLE' && resolve());
  });
  place(given.second, given.models.replaced);
  await switched;
  // Once it has loaded it answers within the same turn of the event loop, or the next.
  await new Promise((resolve) => setImmediate(resolve));
  const { version, probabilities } = await models.infer('replaced', { images: [pictures[0]] });
  return { version, right: equal(probabilities, references[2][0]) };
}

async function draining(models) {
  const accepted = Array.from({ length: 60 }, (_, i) => outcome(models.infer('steady', { images: [pictures[i % pictures.length]] })));
  const closed = models.close({ drain: true, timeoutMs: 60000 });
  const refused = await outcome(models.infer('steady', { images: pictures }));
  await closed;
  const outcomes = await Promise.all(accepted);
  return { answered: outcomes.filter(({ value }) => value).length, refused: refused.error, workers: pidsOf(models).length, ready: models.ready() };
}

async function overloading() {
  const models = await createModels({ ...settings, models: [{ name: 'steady', path: given.first }], maxQueue: 10, maxBatch: 4 });
  const asked = Array.from({ length: 100 }, () => outcome(models.infer('steady', { images: [pictures[0]] })));
  const [{ queued }] = models.stats().models;
  const outcomes = await Promise.all(asked);
  const tooMany = (await outcome(models.infer('steady', { images: Array(11).fill(pictures[0]) }))).error;
  await models.close();
  const heavy = await createModels({ ...settings, models: [{ name: 'steady', path: given.first }], maxQueueBytes: 3 * pictures[0].length });
  const weighed = await Promise.all(Array.from({ length: 10 }, () => outcome(heavy.infer('steady', { images: [pictures[0]] }))));
  await heavy.close();
  const errors = outcomes.flatMap(({ error }) => error ?? []);
  return { queued, answered: 100 - errors.length, errors, tooMany, weighed: weighed.filter(({ value }) => value).length };
}

async function main() {
  if (process.argv[2] === 'hold') {
    const models = await createModels({ ...settings, models: [{ name: 'steady', path: given.first }], workers: 2 });
    fs.writeSync(1, `${JSON.stringify(pidsOf(models))}\n`);
    return once(process, 'never');
  }
  const first = await referenceOf(given.first);
  const second = await referenceOf(given.second);
  const references = { 1: first.answers, 2: second.answers };
  const places = Object.entries(given.models).map(([name, folder]) => ({ name, path: folder }));
  const models = await createModels({ ...settings, models: places, reload: { intervalMs: 50 } });
  const found = {
    forms: [first.form, second.form],
    differ: !equal(first.answers.flat(), second.answers.flat()),
    answering: await answering(models, first.answers),
    leaving: await leaving(models),
    fairness: await fairness(models),
    killing: await killing(models, references),
    reloading: await reloading(models, references),
    replacing: await replacing(models, references),
    draining: await draining(models),
    overloading: await overloading(),
    missing: (await outcome(createModels({ ...settings, models: [{ name: 'gone', path: path.join(given.first, 'nowhere') }] }))).error,
  };
  fs.writeSync(1, JSON.stringify(found));
}

main();
