'use strict';

// Loads one package in a process of its own and answers batches. The classifier blocks while it computes, and TensorFlow's native code
// can end a process: neither shall touch the one that talks to clients. `worker_process.js` has the messages.

const { createHash } = require('crypto');
const fs = require('fs');
const path = require('path');

const { checkSavedModel, findOperations, readOperations } = require('./graph_safety');
// The server's own: what it serves is data. package.json says where they are, in pybridge and in a package that serves itself.
const { loadFrom } = require('#classifier');

/**
 * @typedef {import('./worker_process').Item} Item
 * @typedef {import('./worker_process').Result} Result
 * @typedef {import('./worker_process').Facts} Facts
 * @typedef {import('./worker_process').LoadMessage} LoadMessage
 */

// Without a parent there is nobody to answer to, however it ended.
process.on('disconnect', () => process.exit(0));
// A terminal or a container signals the whole group: the server decides when this process ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

/** @type {any} */
let classifier;

process.on('message', async (/** @type {any} */ message) => {
  if (message.kind === 'load') return send(await attempt('ready', () => load(message)));
  return send({ ...(await attempt('batch', async () => ({ results: await compute(message.items) }))), id: message.id });
});

/**
 * @param {LoadMessage} options
 * @returns {Promise<{facts: Facts}>}
 */
async function load({ folder, runtime, tensorflow, maxPixels, maxBytes, decodeTimeout }) {
  const digest = digestOf(folder);
  const tf = tensorflow ? require(tensorflow).loadTensorflow() : undefined;
  const checkGraph = (/** @type {Uint8Array} */ file, /** @type {string} */ name) => checkSavedModel(file, readOperations(findOperations()), name);
  const how = { tf, runtime: /** @type {any} */ (tf ? undefined : runtime), maxPixels, maxBytes, decodeTimeout };
  classifier = await loadFrom(folder, { ...how, registerLayers, checkGraph });
  if (digestOf(folder) !== digest) throw new Error('the package was replaced while it was being loaded');
  const { manifest } = classifier;
  if (manifest.kind === 'model') return { facts: factsOfModel(classifier, digest) };
  const facts = {
    labels: manifest.labels,
    inputHeight: manifest.preprocessing.height,
    inputWidth: manifest.preprocessing.width,
    preprocessing: manifest.preprocessing,
    precision: manifest.model.precision,
    runtime: classifier.runtime,
    form: classifier.form,
    digest,
  };
  return { facts };
}

/**
 * @param {any} predictor
 * @param {string} digest
 * @returns {Facts}
 */
function factsOfModel({ manifest, runtime, form, signatures }, digest) {
  const none = { labels: [], inputHeight: 0, inputWidth: 0, preprocessing: {} };
  const model = { signatures, defaultSignature: manifest.default_signature };
  return { ...none, model, precision: manifest.model?.precision ?? 'float32', runtime, form, digest };
}

/** @param {any} tf */
function registerLayers(tf) {
  let layers;
  try {
    layers = require('#layers');
  } catch (error) {
    if (/** @type {any} */ (error).code !== 'ERR_PACKAGE_IMPORT_NOT_DEFINED') throw error;
    throw new Error('the model has layers that TensorFlow.js lacks, and the package that serves it has none: serve it with pybridge');
  }
  (layers.registerLayers ?? layers)(tf);
}

/**
 * @param {string} folder
 * @returns {string} what tells one package from another
 */
function digestOf(folder) {
  return createHash('sha256').update(fs.readFileSync(path.join(folder, 'manifest.json'))).digest('hex');
}

/**
 * @param {Item[]} items
 * @returns {Promise<Result[]>}
 */
async function compute(items) {
  const found = [];
  if (classifier.signatures) {
    for (const { signature, inputs } of /** @type {import('./worker_process').Tensors[]} */ (items)) {
      found.push(await classifier.compute(signature, inputs).then((/** @type {any} */ outputs) => ({ outputs }), describe));
    }
    return found;
  }
  return computeImages(items);
}

/**
 * @param {Item[]} items
 * @returns {Promise<Result[]>}
 */
async function computeImages(items) {
  /** @type {(Float32Array | Error)[]} */
  const found = await classifier.settle(items);
  return found.map((outcome) => (outcome instanceof Error ? describe(outcome) : outcome));
}

/**
 * @param {string} kind
 * @param {() => Promise<object>} work
 * @returns {Promise<object>} the answer, or the error
 */
async function attempt(kind, work) {
  try {
    return { kind, ...(await work()) };
  } catch (error) {
    return { kind, error: describe(error) };
  }
}

/**
 * @param {any} error
 * @returns {{code: string, message: string}}
 */
function describe(error) {
  return { code: String(error?.code ?? 'ERR_INTERNAL'), message: String(error?.message ?? error) };
}

/** @param {object} message */
function send(message) {
  if (process.connected) /** @type {any} */ (process).send(message);
}
