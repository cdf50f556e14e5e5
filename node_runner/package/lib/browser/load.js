'use strict';

const { Classifier, selfCheck } = require('../classifier');
const { DeployError, ImageError, IntegrityError } = require('../errors');
const { checkManifest, modelHandler, parse } = require('../manifest');

/**
 * The counterpart of `load` for a web page: fetches the package's model, compares hashes, and answers with the same
 * computation as in Node.js.
 *
 * @param {string} base address of the package's folder, with a slash at its end
 * @param {any} tf
 * @param {{check?: boolean, maxPixels?: number, maxBytes?: number}} [options]
 * @returns {Promise<Classifier>}
 */
async function loadFrom(base, tf, { check = true, maxPixels, maxBytes } = {}) {
  const manifest = checkManifest(parse(await fetchBytes(base, 'manifest.json'), 'manifest.json'));
  const read = async (/** @type {string} */ name) => {
    const bytes = await fetchBytes(base, name);
    await compareHash(bytes, name, manifest.files[name].sha256);
    return bytes;
  };
  if (manifest.model.layers) {
    const url = URL.createObjectURL(new Blob([/** @type {any} */ (await read(manifest.model.layers))], { type: 'text/javascript' }));
    await addScript(url);
    URL.revokeObjectURL(url);
  }
  const model = await tf.loadLayersModel(await modelHandler(manifest, read));
  const engine = {
    tf,
    runtime: String(tf.getBackend()),
    form: 'layers',
    predict: (/** @type {any} */ batch) => model.predict(batch),
    dispose: () => model.dispose(),
  };
  const classifier = new Classifier(manifest, engine, { maxPixels, maxBytes });
  if (check) await selfCheck(classifier);
  return classifier;
}

/**
 * @param {string} base
 * @param {string} name
 * @returns {Promise<Uint8Array>}
 */
async function fetchBytes(base, name) {
  const response = await fetch(base + name).catch((error) => Promise.reject(new IntegrityError(`${name} cannot be fetched: ${error.message}`)));
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
 * @param {string} url
 * @returns {Promise<void>}
 */
function addScript(url) {
  const { document } = /** @type {any} */ (globalThis);
  return new Promise((resolve, reject) => {
    const element = Object.assign(document.createElement('script'), { src: url, onload: () => resolve(), onerror: reject });
    document.head.append(element);
  });
}

module.exports = { loadFrom, DeployError, ImageError, IntegrityError };
