'use strict';

/**
 * TensorFlow.js for Node, bound to the TensorFlow that Python imports.
 *
 * tfjs-node asks node-pre-gyp where its native addon is, and answers with a place inside its own package. The addon that
 * pybridge compiles is in the user's cache instead: `PYBRIDGE_ADDON` names it and `NODE_PATH` the packages.
 */

const fs = require('fs');
const Module = require('module');
const path = require('path');
const util = require('util');
const { registerLayers } = require('../layers');
const { repairTensorflow } = require('./repairs');

/** @typedef {typeof import('@tensorflow/tfjs-node')} TensorFlow */

// tfjs-node 4.22 calls these. Node 22 prints a warning for them and Node 23 has none of them.
/** @type {Record<string, (value: any) => boolean>} */
const REMOVED_FROM_UTIL = {
  isArray: Array.isArray,
  isBoolean: (value) => typeof value === 'boolean',
  isFunction: (value) => typeof value === 'function',
  isNull: (value) => value === null,
  isNullOrUndefined: (value) => value === null || value === undefined,
  isNumber: (value) => typeof value === 'number',
  isObject: (value) => value !== null && typeof value === 'object',
  isString: (value) => typeof value === 'string',
  isUndefined: (value) => value === undefined,
};

/** @type {TensorFlow | undefined} */
let loaded;
let loading = false;

/**
 * Loads TensorFlow.js with its native backend, once; writes nothing to stdout.
 *
 * @returns {TensorFlow} the `tf` namespace
 * @throws {Error} where the addon or the packages are missing or do not load
 */
function loadTensorflow() {
  if (loaded === undefined) {
    loaded = loadWithAddon(addonPath());
    registerLayers(loaded);
    repairTensorflow(loaded);
  }
  return loaded;
}

/**
 * The same without what pybridge adds to it: for comparisons. A process uses one of the two.
 *
 * @returns {TensorFlow}
 * @throws {Error} where the addon or the packages are missing or do not load
 */
function loadStockTensorflow() {
  loaded ??= loadWithAddon(addonPath());
  return loaded;
}

/**
 * Lets `require('@tensorflow/tfjs-node')` in a user's own CommonJS files find the TensorFlow.js of this process, whatever is
 * installed near those files: two copies would share no tensors.
 */
function provideTensorflow() {
  const loader = /** @type {any} */ (Module);
  const load = loader._load;
  if (load.providesTensorflow) return;
  /** @type {any} */
  const providing = (/** @type {string} */ request, /** @type {unknown[]} */ ...rest) =>
    meansTensorflow(request) ? loadTensorflow() : load.call(loader, request, ...rest);
  providing.providesTensorflow = true;
  loader._load = providing;
}

/**
 * Whether a module asks for tfjs-node: by name, or, as an `import` does, by the file that the name stands for.
 *
 * @param {string} request
 */
function meansTensorflow(request) {
  if (request === '@tensorflow/tfjs-node') return true;
  return !loading && path.isAbsolute(request) && request.includes('tfjs-node') && request === tensorflowEntry();
}

/**
 * The file that `require('@tensorflow/tfjs-node')` loads.
 *
 * @returns {string|undefined} undefined where it is not installed
 */
function tensorflowEntry() {
  try {
    return resolvePackage('@tensorflow/tfjs-node');
  } catch {
    return undefined;
  }
}

/**
 * Loads a further package of TensorFlow.js beside the one in use, so that the two share one engine.
 *
 * @param {string} name
 * @returns {any} what the package exports
 */
function requireBeside(name) {
  return require(resolvePackage(name));
}

/** @returns {string} */
function addonPath() {
  const addon = process.env.PYBRIDGE_ADDON;
  if (!addon) {
    throw new Error('PYBRIDGE_ADDON is not set: it names the native addon that `pybridge setup` compiles.');
  }
  if (!fs.existsSync(addon)) {
    throw new Error(`The native addon ${addon} does not exist. Run \`pybridge setup\`.`);
  }
  return addon;
}

/**
 * @param {string} addon
 * @returns {TensorFlow}
 */
function loadWithAddon(addon) {
  Object.assign(util, REMOVED_FROM_UTIL);
  const entry = resolvePackage('@tensorflow/tfjs-node');
  const locator = Module.createRequire(entry).resolve('@mapbox/node-pre-gyp');
  const before = require.cache[locator];
  const standIn = new Module(locator);
  standIn.filename = locator;
  standIn.loaded = true;
  standIn.exports = { find: () => addon };
  require.cache[locator] = standIn;
  // Packages of tfjs use `punycode`; the warning is noise to whoever reads the log.
  const { noDeprecation } = process;
  process.noDeprecation = true;
  loading = true;
  try {
    return require(entry);
  } finally {
    loading = false;
    process.noDeprecation = noDeprecation;
    if (before) require.cache[locator] = before;
    else delete require.cache[locator];
  }
}

/**
 * The packages on NODE_PATH go before a node_modules beside this file, so that the locked versions are the ones in use.
 *
 * @param {string} name
 * @returns {string} the file that `require` would load
 */
function resolvePackage(name) {
  const folders = (process.env.NODE_PATH || '').split(path.delimiter).filter(Boolean);
  try {
    return require.resolve(name, { paths: [...folders, __dirname] });
  } catch {
    const where = folders.length ? folders.join(', ') : '(NODE_PATH is not set)';
    throw new Error(`${name} is not installed in ${where}. Run \`pybridge setup\`.`);
  }
}

module.exports = { loadStockTensorflow, loadTensorflow, provideTensorflow, requireBeside, tensorflowEntry };
