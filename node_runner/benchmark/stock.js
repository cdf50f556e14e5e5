'use strict';

/**
 * TensorFlow.js for Node as its guides tell users to write it: `LayersModel.fit` and `predict`. `pybridge bench` measures it
 * beside its own; nothing of pybridge takes part but the native addon and the files that were written beforehand.
 *
 * Orders come as lines of JSON, as in `pybridge/benchmark/peers/answering.py`.
 */

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const { performance } = require('perf_hooks');
const { loadStockTensorflow } = require('../tensorflow');

/** @typedef {import('@tensorflow/tfjs-node').LayersModel} LayersModel */
/** @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor */
/** @typedef {import('@tensorflow/tfjs-node').Tensor4D} Tensor4D */
/** @typedef {{ images: number, epochs: number }} Plan */
/** @typedef {{ seconds: number, check: number }} Measured */
/** @typedef {() => Promise<Measured>} Repetition */
/**
 * @typedef {{
 *   folder: string, files: string[], labels: number[], classes: string[], batch: number, height: number, width: number,
 *   mean: number[], std: number[], features: number, pooling: string, frozen: string[], order: number[], headRate: number,
 *   fineTuningRate: number,
 * }} Workload
 */

/** @type {Record<string, (workload: Workload, plan: Plan) => Promise<Repetition>>} */
const works = { features, head, partial, full, latency, throughput, start };

/** @param {Workload} workload @param {Plan} plan @returns {Promise<Repetition>} */
async function features(workload, plan) {
  const tf = loadStockTensorflow();
  const model = await load(workload);
  const extractor = tf.model({ inputs: model.inputs, outputs: model.getLayer(workload.pooling).output });
  const run = async () => {
    const begun = performance.now();
    const parts = [];
    for (let from = 0; from < plan.images; from += workload.batch) {
      parts.push(tf.tidy(() => predictOn(extractor, decodeBatch(workload, from, Math.min(from + workload.batch, plan.images)))));
    }
    const values = tf.concat(parts);
    await values.data();
    const seconds = (performance.now() - begun) / 1e3;
    const check = values.mean().dataSync()[0];
    tf.dispose([...parts, values]);
    return { seconds, check };
  };
  tf.tidy(() => predictOn(extractor, decodeBatch(workload, 0, 2)));
  return run;
}

/** @param {Workload} workload @param {Plan} plan @returns {Promise<Repetition>} */
async function head(workload, plan) {
  const tf = loadStockTensorflow();
  const values = new Float32Array(contents(workload, 'features.bin'));
  const x = tf.tensor2d(values, [values.length / workload.features, workload.features]);
  const y = oneHot(workload, Array.from(new Int32Array(contents(workload, 'feature_labels.bin'))));
  return async () => {
    const model = await tf.loadLayersModel(`file://${workload.folder}/head/model.json`);
    compile(model, workload.headRate);
    const begun = performance.now();
    const history = await model.fit(x, y, { batchSize: workload.batch, epochs: plan.epochs, verbose: 0 });
    return finish(model, begun, history);
  };
}

/** @param {Workload} workload @param {Plan} plan @returns {Promise<Repetition>} */
async function partial(workload, plan) {
  const frozen = new Set(workload.frozen);
  return async () => {
    const model = await load(workload);
    for (const layer of model.layers) layer.trainable = !frozen.has(layer.name);
    compile(model, workload.fineTuningRate);
    const y = oneHot(workload, workload.labels.slice(0, plan.images));
    const begun = performance.now();
    const x = decodeBatch(workload, 0, plan.images);
    const history = await model.fit(x, y, { batchSize: workload.batch, epochs: plan.epochs, verbose: 0 });
    x.dispose();
    y.dispose();
    return finish(model, begun, history);
  };
}

/** @param {Workload} workload @param {Plan} plan @returns {Promise<Repetition>} */
async function full(workload, plan) {
  const tf = loadStockTensorflow();
  const x = tf.tidy(() => scale(workload, rawPixels(workload, plan.images)).gather(tf.tensor1d(workload.order.slice(0, plan.images), 'int32')));
  const y = oneHot(workload, workload.order.slice(0, plan.images).map((position) => workload.labels[position]));
  return async () => {
    const model = await load(workload);
    compile(model, workload.fineTuningRate);
    let begun = 0;
    const callbacks = { onEpochBegin: async () => void (begun = performance.now()) };
    const history = await model.fit(x, y, { batchSize: workload.batch, shuffle: false, verbose: 0, callbacks });
    return finish(model, begun, history);
  };
}

/** @param {Workload} workload @param {Plan} plan @returns {Promise<Repetition>} */
async function latency(workload, plan) {
  const tf = loadStockTensorflow();
  const model = await load(workload);
  const pixels = rawPixels(workload, Math.min(plan.images, 32));
  /** @param {number} call */
  const top = async (call) => {
    const output = tf.tidy(() => predictOn(model, scale(workload, pixels.slice([call % pixels.shape[0]], [1]))));
    const values = await output.data();
    output.dispose();
    return Math.max(...values);
  };
  await top(0);
  return async () => {
    const begun = performance.now();
    let sum = 0;
    for (let call = 0; call < plan.images; call += 1) sum += await top(call);
    return { seconds: (performance.now() - begun) / 1e3, check: sum / plan.images };
  };
}

/** @param {Workload} workload @param {Plan} plan @returns {Promise<Repetition>} */
async function throughput(workload, plan) {
  const tf = loadStockTensorflow();
  const model = await load(workload);
  const pixels = rawPixels(workload, plan.images);
  tf.tidy(() => predictOn(model, scale(workload, pixels.slice([0], [2]))));
  return async () => {
    const begun = performance.now();
    const x = scale(workload, pixels);
    const output = /** @type {Tensor} */ (model.predict(x, { batchSize: workload.batch }));
    const values = /** @type {number[][]} */ (await output.array());
    const seconds = (performance.now() - begun) / 1e3;
    tf.dispose([x, output]);
    return { seconds, check: values.reduce((sum, row) => sum + Math.max(...row), 0) / values.length };
  };
}

/** @param {Workload} workload @returns {Promise<Repetition>} */
async function start(workload) {
  return async () => {
    const model = await load(workload);
    const output = predictOn(model, decodeBatch(workload, 0, 1));
    return { seconds: 0, check: Math.max(...(await output.data())) };
  };
}

/** @param {Workload} workload */
function load(workload) {
  return loadStockTensorflow().loadLayersModel(`file://${workload.folder}/run/model/model.json`);
}

/** @param {LayersModel} model @param {number} rate */
function compile(model, rate) {
  const tf = loadStockTensorflow();
  model.compile({ optimizer: tf.train.adam(rate), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
}

/** @param {LayersModel} model @param {number} begun @param {import('@tensorflow/tfjs-node').History} history @returns {Measured} */
function finish(model, begun, history) {
  const seconds = (performance.now() - begun) / 1e3;
  model.dispose();
  return { seconds, check: Number(history.history.loss.at(-1)) };
}

/** @param {LayersModel} model @param {Tensor} x @returns {Tensor} */
function predictOn(model, x) {
  return /** @type {Tensor} */ (model.predict(x));
}

/** @param {Workload} workload @param {number} from @param {number} to @returns {Tensor4D} */
function decodeBatch(workload, from, to) {
  const tf = loadStockTensorflow();
  return tf.tidy(() => {
    const images = workload.files.slice(from, to).map((name) => {
      const pixels = /** @type {import('@tensorflow/tfjs-node').Tensor3D} */ (
        tf.node.decodeImage(fs.readFileSync(path.join(workload.folder, name)), 3)
      );
      return tf.image.resizeBilinear(pixels, [workload.height, workload.width]);
    });
    return scale(workload, /** @type {Tensor4D} */ (tf.stack(images)));
  });
}

/** @param {Workload} workload @param {Tensor4D} pixels @returns {Tensor4D} */
function scale(workload, pixels) {
  return loadStockTensorflow().tidy(() => pixels.toFloat().sub(workload.mean).div(workload.std));
}

/** @param {Workload} workload @param {number} count @returns {Tensor4D} */
function rawPixels(workload, count) {
  const shape = /** @type {[number, number, number, number]} */ ([count, workload.height, workload.width, 3]);
  const bytes = fs.readFileSync(path.join(workload.folder, 'pixels.bin')).subarray(0, count * workload.height * workload.width * 3);
  return loadStockTensorflow().tensor4d(new Uint8Array(bytes), shape, 'int32');
}

/** @param {Workload} workload @param {number[]} labels */
function oneHot(workload, labels) {
  const tf = loadStockTensorflow();
  return tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), workload.classes.length).toFloat());
}

/** @param {Workload} workload @param {string} name @returns {ArrayBuffer} */
function contents(workload, name) {
  // A copy of its own: small files come in a pool that they share.
  return Uint8Array.from(fs.readFileSync(path.join(workload.folder, name))).buffer;
}

/** @returns {Record<string, string>} */
function versions() {
  const tf = loadStockTensorflow();
  const { binding } = /** @type {any} */ (tf.backend());
  return { tfjs: tf.version['tfjs-core'], tensorflow: binding.TF_Version, node: process.versions.node };
}

async function main() {
  /** @type {Repetition | undefined} */
  let repetition;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    let answer;
    try {
      if (repetition) {
        answer = await repetition();
      } else {
        const facts = JSON.parse(fs.readFileSync(path.join(order.folder, 'workload.json'), 'utf8'));
        repetition = await works[order.work]({ ...facts, folder: order.folder }, order.plan);
        answer = { versions: versions() };
      }
    } catch (error) {
      process.stderr.write(`${/** @type {any} */ (error)?.stack ?? error}\n`);
      answer = { error: String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

void main();
