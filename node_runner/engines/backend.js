'use strict';

const { loadTensorflow, requireBeside } = require('../tensorflow');

/** What TensorFlow.js calls the backend that runs on Python's TensorFlow. */
const NATIVE = 'tensorflow';

/**
 * Lets all further work of this process run on one of TensorFlow.js's backends. Models and programs made before stay usable, but
 * belong to the backend that they were made on: dispose of them first.
 *
 * @param {string} name `tensorflow`, `cpu` (plain JavaScript) or `wasm`
 * @returns {Promise<{backend: string, threads: number}>} what is in use now
 */
async function useBackend(name) {
  const tf = loadTensorflow();
  if (![NATIVE, 'cpu', 'wasm'].includes(name)) throw new RangeError(`There is no backend ${name} in Node, only ${NATIVE}, cpu and wasm`);
  const wasm = name === 'wasm' ? requireBeside('@tensorflow/tfjs-backend-wasm') : undefined;
  const before = tf.getBackend();
  try {
    if (!(await tf.setBackend(name))) throw new Error(`TensorFlow.js could not start its backend ${name}`);
    await tf.ready();
    // The backend in plain JavaScript would print an advertisement for tfjs-node at its first use.
    if (name === 'cpu') /** @type {any} */ (tf.backend()).firstUse = false;
  } catch (error) {
    await tf.setBackend(before);
    throw error;
  }
  return { backend: tf.getBackend(), threads: wasm?.getThreadsCount?.() ?? 1 };
}

module.exports = { useBackend, NATIVE };
