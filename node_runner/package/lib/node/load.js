'use strict';

const path = require('path');

const { Classifier, selfCheck } = require('../classifier');
const { DeployError } = require('../errors');
const { modelHandler } = require('../manifest');
const { readImage, readPackage } = require('./package_files');
const { openSavedModel } = require('./saved_model');
const { findTensorflow, nameOf } = require('./tensorflow');
const { checkSeconds, checkThreads, defaultThreads, preparerInThreads } = require('./decoding_pool');

const FOLDER = path.resolve(__dirname, '..', '..');

/**
 * @typedef {object} LoadOptions
 * @property {any} [tf] the TensorFlow.js to use; by default the one that is installed
 * @property {import('./tensorflow').RuntimeName} [runtime] which to look for where `tf` is not given
 * @property {'auto' | 'layers' | 'saved_model'} [form]
 * @property {boolean} [check] whether to compare with Python on a picture that the package knows; true by default
 * @property {number} [decodeThreads] how many threads may decode; 0 for none but the one that calls
 * @property {number} [decodeTimeout] seconds that a thread may take for one picture
 * @property {number} [maxPixels] larger pictures are refused
 * @property {number} [maxBytes] larger files are refused
 */

/**
 * Checks the files of this package, loads its model, and compares its answer for one picture with Python's.
 *
 * @param {LoadOptions} [options]
 * @returns {Promise<Classifier>}
 */
async function load(options = {}) {
  return open(FOLDER, options, (tf, file) => require(path.join(FOLDER, file))(tf));
}

/**
 * The same for the package in another folder, which is data: nothing of its JavaScript runs.
 *
 * @param {string} folder
 * @param {LoadOptions & {registerLayers?: (tf: any) => unknown}} [options] `registerLayers` makes layer classes known that TensorFlow.js
 *   lacks, in place of the file that such a package has for it
 * @returns {Promise<Classifier>}
 */
async function loadFrom(folder, { registerLayers, ...options } = {}) {
  return open(path.resolve(folder), options, (tf) => registerLayers?.(tf));
}

/**
 * @param {string} folder
 * @param {LoadOptions} options
 * @param {(tf: any, file: string) => unknown} registerLayers
 * @returns {Promise<Classifier>}
 */
async function open(folder, options, registerLayers) {
  const { tf: given, runtime: wanted = 'auto', form = 'auto', check = true, decodeThreads = defaultThreads(), maxPixels, maxBytes } = options;
  const decodeTimeout = checkSeconds(options.decodeTimeout);
  checkThreads(decodeThreads);
  const { manifest, read } = await readPackage(folder);
  const { tf, runtime } = given ? { tf: given, runtime: nameOf(given) } : await findTensorflow(wanted);
  const engine = openSavedForm(tf, runtime, form, manifest, folder) ?? (await openLayers(tf, runtime, manifest, read, registerLayers));
  const preparer = (/** @type {any} */ preprocessing, /** @type {any} */ most) => preparerInThreads(preprocessing, most, decodeThreads, decodeTimeout);
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
 * @param {string} folder
 * @returns {import('../classifier').Engine | null} null where the other form is to be used
 */
function openSavedForm(tf, runtime, form, manifest, folder) {
  const saved = form === 'layers' ? null : openSavedModel(tf, manifest.saved_model, folder);
  if (saved) return { tf, runtime, form: 'saved_model', ...saved };
  if (form !== 'saved_model') return null;
  const needed = manifest.saved_model ? `tfjs-node on TensorFlow ${manifest.saved_model.tensorflow}` : 'a package deployed with it';
  throw new DeployError(`The SavedModel form needs ${needed}`, 'ERR_RUNTIME');
}

/**
 * @param {any} tf
 * @param {string} runtime
 * @param {import('../classifier').Manifest} manifest
 * @param {(name: string) => Uint8Array} read
 * @param {(tf: any, file: string) => unknown} registerLayers
 * @returns {Promise<import('../classifier').Engine>}
 */
async function openLayers(tf, runtime, manifest, read, registerLayers) {
  if (manifest.model.layers) registerLayers(tf, manifest.model.layers);
  const model = await tf.loadLayersModel(await modelHandler(manifest, read));
  return { tf, runtime, form: 'layers', predict: (batch) => model.predict(batch), dispose: () => model.dispose() };
}

module.exports = { load, loadFrom };
