'use strict';

const { Classifier, selfCheck } = require('../classifier');
const { DeployError, ImageError, IntegrityError } = require('../errors');
const { pixelsOf } = require('../image/size');
const { checkDescription, checkManifest, graphEngine, modelHandler, parse } = require('../manifest');
const { checkOptions } = require('../options');

/**
 * @typedef {object} LoadOptions
 * @property {any} [tf] the TensorFlow.js to use; by default the page's
 * @property {string | URL} [folder] address of the package's files, where they do not lie where the bundler has put them
 * @property {boolean} [check] whether to compare with Python on a picture that the package knows; true by default
 * @property {number} [maxPixels] larger pictures are refused
 * @property {number} [maxBytes] larger files are refused
 */

const OPTIONS = ['tf', 'folder', 'check', 'maxPixels', 'maxBytes'];

/**
 * What loads a package in a web page: fetches its model, compares hashes, and answers with the same computation as in Node.js.
 *
 * @param {Record<string, string>} addresses of the package's files by name, as a bundler has placed them
 * @returns {(options?: LoadOptions) => Promise<Classifier>}
 */
function loaderOf(addresses) {
  return async function load(options = {}) {
    checkOptions(options, OPTIONS, 'load');
    const { folder, tf = await findTensorflow() } = options;
    const base = folder === undefined ? undefined : baseOf(folder);
    const addressOf = (/** @type {string} */ name) => (base === undefined ? addresses[name] : new URL(name, base).href);
    const manifest = checkManifest(parse(await fetchBytes(addressOf('manifest.json'), 'manifest.json'), 'manifest.json'));
    const read = async (/** @type {string} */ name) => {
      const bytes = await fetchBytes(addressOf(name), name);
      await compareHash(bytes, name, manifest.files[name].sha256);
      return bytes;
    };
    await checkDescription(manifest, read);
    const { form, ...model } = manifest.graph && tf.loadGraphModel ? { form: 'graph', ...(await graphEngine(tf, manifest, read)) } : await layersEngine(tf, manifest, read);
    const engine = { tf, runtime: String(tf.getBackend()), form, ...model };
    const classifier = new Classifier(manifest, engine, { maxPixels: options.maxPixels, maxBytes: options.maxBytes });
    try {
      if (options.check ?? true) await selfCheck(classifier);
    } catch (error) {
      classifier.dispose();
      throw error;
    }
    return classifier;
  };
}

/**
 * @param {any} tf
 * @param {import('../classifier').Manifest} manifest
 * @param {(name: string) => Promise<Uint8Array>} read
 * @returns {Promise<{form: string, predict: (batch: any) => any, dispose: () => void}>}
 */
async function layersEngine(tf, manifest, read) {
  if (manifest.model.layers) await runScript(await read(manifest.model.layers), tf);
  const model = await tf.loadLayersModel(await modelHandler(manifest, read));
  return { form: 'layers', predict: (batch) => model.predict(batch), dispose: () => model.dispose() };
}

/** @returns {Promise<any>} that of the bundle, else that of a script in the page */
async function findTensorflow() {
  /** @type {any} */
  let tf = /** @type {any} */ (globalThis).tf;
  try {
    tf ??= await import('@tensorflow/tfjs');
  } catch {
    throw new DeployError('There is no TensorFlow.js: `npm install @tensorflow/tfjs`, or pass your own with load({ tf })', 'ERR_RUNTIME');
  }
  await tf.ready();
  return tf;
}

/**
 * @param {string | URL} folder
 * @returns {URL}
 */
function baseOf(folder) {
  const { href } = new URL(folder, /** @type {any} */ (globalThis).location?.href);
  return new URL(href.endsWith('/') ? href : `${href}/`);
}

/**
 * @param {string} address
 * @param {string} name
 * @returns {Promise<Uint8Array>}
 */
async function fetchBytes(address, name) {
  const response = await fetch(address).catch((error) => Promise.reject(new IntegrityError(`${name} cannot be fetched: ${error.message}`)));
  if (!response.ok) throw new IntegrityError(`${name} cannot be fetched: HTTP status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/**
 * @param {Uint8Array} bytes
 * @param {string} name
 * @param {string} expected
 */
async function compareHash(bytes, name, expected) {
  // Browsers offer hashes on https and localhost only.
  if (!globalThis.crypto?.subtle) return;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', /** @type {any} */ (bytes)));
  const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (hash !== expected) throw new IntegrityError(`${name} was altered: its SHA-256 is not that in manifest.json`);
}

/**
 * Layer classes make themselves known to the TensorFlow.js that is global.
 *
 * @param {Uint8Array} bytes
 * @param {any} tf
 */
async function runScript(bytes, tf) {
  const page = /** @type {any} */ (globalThis);
  const before = page.tf;
  const url = URL.createObjectURL(new Blob([/** @type {any} */ (bytes)], { type: 'text/javascript' }));
  page.tf = tf;
  try {
    await import(/* webpackIgnore: true */ /* @vite-ignore */ url);
  } finally {
    page.tf = before;
    URL.revokeObjectURL(url);
  }
}

module.exports = { loaderOf, pixelsOf, DeployError, ImageError, IntegrityError };
