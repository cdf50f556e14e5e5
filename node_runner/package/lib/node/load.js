'use strict';

const path = require('path');

const { Classifier, selfCheck } = require('../classifier');
const { DeployError } = require('../errors');
const { modelHandler } = require('../manifest');
const { readImage, readPackage } = require('./package_files');
const { openSavedModel } = require('./saved_model');
const { findTensorflow, nameOf } = require('./tensorflow');
const { checkThreads, defaultThreads, preparerInThreads } = require('./decoding_pool');

const FOLDER = path.resolve(__dirname, '..', '..');

/**
 * @typedef {object} LoadOptions
 * @property {any} [tf] the TensorFlow.js to use; by default the one that is installed
 * @property {import('./tensorflow').RuntimeName} [runtime] which to look for where `tf` is not given
 * @property {'auto' | 'layers' | 'saved_model'} [form]
 * @property {boolean} [check] whether to compare with Python on a picture that the package knows; true by default
 * @property {number} [decodeThreads] how many threads may decode; 0 for none but the one that calls
 * @property {number} [maxPixels] larger pictures are refused
 * @property {number} [maxBytes] larger files are refused
 */

/**
 * Checks the files of the package, loads its model, and compares its answer for one picture with Python's.
 *
 * @param {LoadOptions} [options]
 * @returns {Promise<Classifier>}
 */
async function load({ tf: given, runtime: wanted = 'auto', form = 'auto', check = true, decodeThreads = defaultThreads(), ...limits } = {}) {
  checkThreads(decodeThreads);
  const { manifest, read } = await readPackage(FOLDER);
  const { tf, runtime } = given ? { tf: given, runtime: nameOf(given) } : await findTensorflow(wanted);
  const engine = await openEngine(tf, runtime, form, manifest, read);
  const { maxPixels, maxBytes } = limits;
  const preparer = (/** @type {any} */ preprocessing, /** @type {any} */ most) => preparerInThreads(preprocessing, most, decodeThreads);
  const classifier = new Classifier(manifest, engine, { readFile: readImage, preparer, maxPixels, maxBytes });
  try {
    if (check) await selfCheck(classifier);
  } catch (error) {
    classifier.dispose();
    throw error;
  }
  return classifier;
}

/**
 * @param {any} tf
 * @param {string} runtime
 * @param {string} form
 * @param {import('../classifier').Manifest} manifest
 * @param {(name: string) => Uint8Array} read
 * @returns {Promise<import('../classifier').Engine>}
 */
async function openEngine(tf, runtime, form, manifest, read) {
  const saved = form === 'layers' ? null : openSavedModel(tf, manifest.saved_model, FOLDER);
  if (saved) return { tf, runtime, form: 'saved_model', ...saved };
  if (form === 'saved_model') {
    const needed = manifest.saved_model ? `tfjs-node on TensorFlow ${manifest.saved_model.tensorflow}` : 'a package deployed with it';
    throw new DeployError(`The SavedModel form needs ${needed}`, 'ERR_RUNTIME');
  }
  // A file of the package like this one, checked as all the others; it registers the layers that TensorFlow.js lacks.
  if (manifest.model.layers) require(path.join(FOLDER, manifest.model.layers))(tf);
  const model = await tf.loadLayersModel(await modelHandler(manifest, read));
  return { tf, runtime, form: 'layers', predict: (batch) => model.predict(batch), dispose: () => model.dispose() };
}

module.exports = { load };
