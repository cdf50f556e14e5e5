'use strict';

const { createRequire } = require('module');
const path = require('path');
const { fileURLToPath } = require('url');

const { Classifier, selfCheck } = require('../classifier');
const { DeployError } = require('../errors');
const { graphEngine, isModel, modelHandler } = require('../manifest');
const { checkOptions } = require('../options');
const { Predictor, checkAnswers } = require('../predictor');
const { readImage, readPackage } = require('./package_files');
const { openSavedModel } = require('./saved_model');
const { openTensors } = require('./tensor_engine');
const { findTensorflow, nameOf } = require('./tensorflow');
const { checkSeconds, checkThreads, defaultThreads, preparerInThreads } = require('./decoding_pool');

const OPTIONS = ['tf', 'runtime', 'form', 'check', 'decodeThreads', 'decodeTimeout', 'maxPixels', 'maxBytes'];

/**
 * @typedef {import('./saved_model').CheckGraph} CheckGraph
 *
 * @typedef {object} LoadOptions
 * @property {any} [tf] the TensorFlow.js to use; by default the one that is installed
 * @property {import('./tensorflow').RuntimeName} [runtime] which to look for where `tf` is not given
 * @property {'auto' | 'graph' | 'layers' | 'saved_model'} [form]
 * @property {boolean} [check] whether to compare with Python on a picture that the package knows; true by default
 * @property {number} [decodeThreads] how many threads may decode; 0 for none but the one that calls
 * @property {number} [decodeTimeout] seconds that a thread may take for one picture
 * @property {number} [maxPixels] larger pictures are refused
 * @property {number} [maxBytes] larger files are refused
 */

/**
 * What loads a package: checks its files, loads its model, and compares its answer for one picture with Python's.
 *
 * @param {string[]} files of the package, the first of which lies in its folder
 * @returns {(options?: LoadOptions & {folder?: string}) => Promise<any>} a Classifier, or of a model that is none a Predictor; `folder` says where the package's files are, where a
 *   bundler has moved its code
 */
function loaderOf([first]) {
  return async function load(options = {}) {
    checkOptions(options, ['folder', ...OPTIONS], 'load');
    const { folder = path.dirname(first), ...rest } = options;
    const root = path.resolve(checkFolder(folder));
    return open(root, { code: true }, rest, (tf, file) => createRequire(path.join(root, 'index.js'))(`./${file}`)(tf));
  };
}

/**
 * The same for the package in another folder, which is data: nothing of its JavaScript runs.
 *
 * @param {string} folder
 * @param {LoadOptions & {registerLayers?: (tf: any) => unknown, checkGraph?: CheckGraph}} [options] `registerLayers` makes layer classes known
 *   that TensorFlow.js lacks, in place of the file that such a package has for it; `checkGraph` is asked before TensorFlow opens a graph
 * @returns {Promise<Classifier | Predictor>} for a package of a model that is no classifier the latter
 */
async function loadFrom(folder, options = {}) {
  checkOptions(options, ['registerLayers', 'checkGraph', ...OPTIONS], 'loadFrom');
  const { registerLayers, checkGraph, ...rest } = options;
  return open(path.resolve(checkFolder(folder)), { code: false, checkGraph }, rest, (tf) => registerLayers?.(tf));
}

/**
 * @param {unknown} folder
 * @returns {string}
 */
function checkFolder(folder) {
  if (typeof folder === 'string') return folder;
  if (folder instanceof URL && folder.protocol === 'file:') return fileURLToPath(folder);
  throw new DeployError(`folder must be the path of a package, not ${typeof folder}`, 'ERR_INPUT');
}

/**
 * @param {string} folder
 * @param {{code: boolean, checkGraph?: CheckGraph}} parts whether the package's own code runs, and what is to look at its graphs
 * @param {LoadOptions} options
 * @param {(tf: any, file: string) => unknown} registerLayers
 * @returns {Promise<Classifier | Predictor>}
 */
async function open(folder, parts, options, registerLayers) {
  const { tf: given, runtime: wanted = 'auto', form = 'auto', check = true, decodeThreads = defaultThreads(), maxPixels, maxBytes } = options;
  const decodeTimeout = checkSeconds(options.decodeTimeout);
  checkThreads(decodeThreads);
  const { manifest, read } = await readPackage(folder, parts);
  const { tf, runtime } = given ? { tf: given, runtime: nameOf(given) } : await findTensorflow(wanted);
  const checked = parts.checkGraph && { read, check: parts.checkGraph };
  if (isModel(manifest)) {
    const tensors = await openTensors(tf, runtime, form, manifest, read, registerLayers, folder, checked);
    return ready(new Predictor(manifest, tensors), check, checkAnswers);
  }
  const engine =
    openSavedForm(tf, runtime, form, manifest, folder, checked) ??
    (await openGraph(tf, runtime, form, manifest, read)) ??
    (await openLayers(tf, runtime, manifest, read, registerLayers));
  const preparer = (/** @type {any} */ preprocessing, /** @type {any} */ most) => preparerInThreads(preprocessing, most, decodeThreads, decodeTimeout);
  const classifier = new Classifier(manifest, engine, { readFile: readImage, preparer, maxPixels, maxBytes });
  return ready(classifier, check, selfCheck);
}

/**
 * @template {{dispose: () => void}} T
 * @param {T} made
 * @param {boolean} check
 * @param {(made: T) => Promise<unknown>} compare
 * @returns {Promise<T>}
 */
async function ready(made, check, compare) {
  try {
    if (check) await compare(made);
  } catch (error) {
    made.dispose();
    throw error;
  }
  return made;
}

/**
 * @param {any} tf
 * @param {string} runtime
 * @param {string} form
 * @param {import('../classifier').Manifest} manifest
 * @param {string} folder
 * @param {import('./saved_model').Checked} [checked]
 * @returns {import('../classifier').Engine | null} null where the other form is to be used
 */
function openSavedForm(tf, runtime, form, manifest, folder, checked) {
  const saved = form === 'layers' || form === 'graph' ? null : openSavedModel(tf, manifest.saved_model, folder, checked);
  if (saved) return { tf, runtime, form: 'saved_model', ...saved };
  if (form !== 'saved_model') return null;
  const needed = manifest.saved_model ? `tfjs-node on TensorFlow ${manifest.saved_model.tensorflow}` : 'a package deployed with it';
  throw new DeployError(`The SavedModel form needs ${needed}`, 'ERR_RUNTIME');
}

/**
 * @param {any} tf
 * @param {string} runtime
 * @param {string} form
 * @param {import('../classifier').Manifest} manifest
 * @param {(name: string) => Uint8Array} read
 * @returns {Promise<import('../classifier').Engine | null>} null where the layers are to be used: TensorFlow fuses operations itself
 */
async function openGraph(tf, runtime, form, manifest, read) {
  const suits = manifest.graph && runtime !== 'tfjs-node' && typeof tf.loadGraphModel === 'function';
  if (form === 'layers' || (form === 'auto' && !suits)) return null;
  if (!manifest.graph) throw new DeployError("The package has no graph form: take form: 'layers', or deploy the run again in float32", 'ERR_RUNTIME');
  return { tf, runtime, form: 'graph', ...(await graphEngine(tf, manifest, read)) };
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

module.exports = { loadFrom, loaderOf };
