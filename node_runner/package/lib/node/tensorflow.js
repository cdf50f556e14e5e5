'use strict';

const { createRequire } = require('module');
const path = require('path');
const util = require('util');

const { DeployError } = require('../errors');

/** @typedef {'auto' | 'tfjs-node' | 'wasm' | 'cpu'} RuntimeName */

const RUNTIMES = ['tfjs-node', 'wasm', 'cpu'];

/**
 * Finds the TensorFlow.js that the service has: `@tensorflow/tfjs-node`, else `@tensorflow/tfjs` with its WebAssembly backend, else
 * in plain JavaScript.
 *
 * @param {RuntimeName} wanted
 * @returns {Promise<{tf: any, runtime: string}>}
 * @throws {DeployError} `ERR_RUNTIME` where there is none; says why for each
 */
async function findTensorflow(wanted) {
  if (wanted !== 'auto' && !RUNTIMES.includes(wanted)) {
    throw new DeployError(`runtime must be auto, ${RUNTIMES.join(', ')}, not ${String(wanted)}`, 'ERR_INPUT');
  }
  const reasons = [];
  for (const runtime of wanted === 'auto' ? RUNTIMES : [wanted]) {
    try {
      return { tf: await start(runtime), runtime };
    } catch (error) {
      reasons.push(`${runtime}: ${String(/** @type {any} */ (error).message).split('\n')[0]}`);
    }
  }
  throw new DeployError(
    `No TensorFlow.js can be used (${reasons.join('; ')}). Run \`npm install @tensorflow/tfjs @tensorflow/tfjs-backend-wasm\`, ` +
      'or `npm install @tensorflow/tfjs-node`, or pass your own with load({tf})',
    'ERR_RUNTIME',
  );
}

/**
 * @param {string} runtime
 * @returns {Promise<any>}
 */
async function start(runtime) {
  if (runtime === 'tfjs-node') {
    restoreUtil();
    const tf = requireHere('@tensorflow/tfjs-node');
    await tf.ready();
    return tf;
  }
  const tf = requireHere('@tensorflow/tfjs');
  if (runtime === 'wasm') requireHere('@tensorflow/tfjs-backend-wasm');
  if (!(await tf.setBackend(runtime))) throw new Error(`the backend ${runtime} does not start`);
  await tf.ready();
  return tf;
}

/**
 * @param {any} tf a namespace that the service has loaded
 * @returns {string}
 */
function nameOf(tf) {
  if (typeof tf?.loadLayersModel !== 'function' || typeof tf.tensor !== 'function') {
    throw new DeployError('tf is not a TensorFlow.js namespace with layers', 'ERR_INPUT');
  }
  const backend = String(tf.getBackend());
  return backend === 'tensorflow' ? 'tfjs-node' : backend;
}

/**
 * The package may be a folder of the service, installed, or linked: the service's own modules count as well.
 *
 * @param {string} name
 * @returns {any}
 */
function requireHere(name) {
  try {
    require.resolve(name);
  } catch {
    return createRequire(path.join(process.cwd(), 'index.js'))(name);
  }
  return require(name);
}

/** tfjs-node 4.22 calls functions that Node.js 23 no longer has. */
function restoreUtil() {
  const functions = /** @type {any} */ (util);
  functions.isNullOrUndefined ??= (/** @type {unknown} */ value) => value === null || value === undefined;
  functions.isArray ??= Array.isArray;
  for (const type of ['boolean', 'function', 'number', 'string', 'undefined']) {
    const name = `is${type[0].toUpperCase()}${type.slice(1)}`;
    functions[name] ??= (/** @type {unknown} */ value) => typeof value === type;
  }
}

module.exports = { findTensorflow, nameOf };
