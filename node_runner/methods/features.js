'use strict';

const { FeatureStore } = require('../engines/feature_store');
const { Handles } = require('./handles');
const { NDArray } = require('../rpc/ndarray');
const { checkPrograms, runChain } = require('./program');

/** @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor */

/** @type {Handles<FeatureStore>} */
const stores = new Handles('feature store');

/**
 * @param {{rows: number, shape: number[], file?: string | null}} params `file` is empty and takes the rows; without, memory does
 * @returns {number}
 */
function create({ rows, shape, file }) {
  return stores.add(new FeatureStore(rows, shape, file ? { file } : {}));
}

/**
 * @param {{values: NDArray}} params inputs that are arrays already, float32 of shape [rows, ...]
 * @returns {number}
 */
function put({ values }) {
  const [rows, ...shape] = values.shape;
  return stores.add(new FeatureStore(rows, shape, { values: /** @type {Float32Array} */ (values.data) }));
}

/**
 * Runs a batch of images through the frozen programs and keeps the result. Where the batch fails, each of its images is
 * tried alone, so that one unreadable file is named and costs nothing else.
 *
 * @param {{store: number, stages: number[], signature: string, inputs: NDArray[], rows: NDArray}} params
 * @returns {{failures: {index: number, message: string}[]}}
 */
function extract({ store, stages, signature, inputs, rows }) {
  const target = stores.get(store);
  const places = /** @type {Int32Array} */ (rows.data);
  checkPrograms(stages);
  /** @param {NDArray[]} given */
  const compute = (given) => attempt(() => runChain(stages, signature, given));
  const together = compute(inputs);
  if (together.output) {
    keep(target, places, together.output);
    return { failures: [] };
  }
  if (places.length === 1) return { failures: [{ index: 0, message: together.message }] };
  /** @type {{index: number, message: string}[]} */
  const failures = [];
  places.forEach((place, index) => {
    const alone = compute(inputs.map((input) => row(input, index)));
    if (alone.output) keep(target, Int32Array.of(place), alone.output);
    else failures.push({ index, message: alone.message });
  });
  return { failures };
}

/**
 * @param {{store: number, rows: NDArray}} params
 * @returns {NDArray} of shape [rows, ...]
 */
function read({ store, rows }) {
  const source = stores.get(store);
  const places = /** @type {Int32Array} */ (rows.data);
  return new NDArray('float32', [places.length, ...source.shape], source.read(places));
}

/** @param {{store: number}} params */
function dispose({ store }) {
  stores.remove(store)?.dispose();
}

/**
 * Only what fails in the programs is a picture's fault; a full disk is not.
 *
 * @param {() => Tensor} compute
 * @returns {{output: Tensor} | {output: null, message: string}}
 */
function attempt(compute) {
  try {
    return { output: compute() };
  } catch (error) {
    return { output: null, message: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * @param {FeatureStore} target
 * @param {ArrayLike<number>} places
 * @param {Tensor} output disposed
 */
function keep(target, places, output) {
  try {
    target.write(places, /** @type {Float32Array} */ (output.dataSync()));
  } finally {
    output.dispose();
  }
}

/**
 * @param {NDArray} array
 * @param {number} index
 * @returns {NDArray} that one row of it, still with a leading dimension of 1
 */
function row(array, index) {
  const size = array.shape.slice(1).reduce((product, dimension) => product * dimension, 1);
  const data = /** @type {any} */ (array.data).slice(index * size, (index + 1) * size);
  return new NDArray(array.dtype, [1, ...array.shape.slice(1)], data);
}

module.exports = { create, put, extract, read, dispose, stores };
