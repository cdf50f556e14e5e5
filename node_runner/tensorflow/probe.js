'use strict';

/**
 * Loads TensorFlow, computes one small thing and prints what was loaded as one line of JSON.
 * `pybridge setup` runs this before it publishes an addon, `pybridge doctor` to see whether everything still works.
 */

const fs = require('fs');
const { loadTensorflow } = require('./index');

/** @returns {string[]} the files of TensorFlow that this process has loaded */
function loadedLibraries() {
  const report = /** @type {{ sharedObjects?: string[] }} */ (/** @type {unknown} */ (process.report.getReport()));
  const libraries = (report.sharedObjects || []).filter((file) => /libtensorflow_(cc|framework)\./.test(file));
  return libraries.map((file) => fs.realpathSync(file));
}

const tf = loadTensorflow();
const product = tf.matMul([[1, 2], [3, 4]], [[5, 6], [7, 8]]);
const backend = /** @type {any} */ (tf.backend());

console.log(JSON.stringify({
  nodeVersion: process.versions.node,
  tfjsVersion: tf.version['tfjs-node'],
  tensorflowVersion: backend.binding.TF_Version,
  backend: tf.getBackend(),
  product: Array.from(product.dataSync()),
  libraries: loadedLibraries(),
}));
