'use strict';

const { FeatureStore } = require('../engines/feature_store');
const { Handles } = require('../handles');
const { NDArray } = require('../ndarray');
const { checkPrograms, runChain } = require('./program');

/** @type {Handles<FeatureStore>} */
const stores = new Handles('feature store');

/**
 * @param {{rows: number, shape: number[]}} params
 * @returns {number}
 */
function create({ rows, shape }) {
  return stores.add(new FeatureStore(rows, shape));
}

/**
 * @param {{values: NDArray}} params inputs that are arrays already, float32 of shape [rows, ...]
 * @returns {number}
 */
function put({ values }) {
  const [rows, ...shape] = values.shape;
  return stores.add(new FeatureStore(rows, shape, /** @type {Float32Array} */ (values.data)));
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
  try {
    extractInto(target, stages, signature, inputs, places);
    return { failures: [] };
  } catch (error) {
    if (places.length === 1) return { failures: [{ index: 0, message: messageOf(error) }] };
  }
  /** @type {{index: number, message: string}[]} */
  const failures = [];
  places.forEach((place, index) => {
    try {
      extractInto(target, stages, signature, inputs.map((input) => row(input, index)), Int32Array.of(place));
    } catch (error) {
      failures.push({ index, message: messageOf(error) });
    }
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
 * @param {FeatureStore} target
 * @param {number[]} stages
 * @param {string} signature
 * @param {NDArray[]} inputs
 * @param {ArrayLike<number>} places
 */
function extractInto(target, stages, signature, inputs, places) {
  const output = runChain(stages, signature, inputs);
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

/**
 * @param {unknown} error
 * @returns {string}
 */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

module.exports = { create, put, extract, read, dispose, stores };
