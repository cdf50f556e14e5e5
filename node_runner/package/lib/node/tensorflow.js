'use strict';

const { createRequire } = require('module');
const path = require('path');
const util = require('util');

const { DeployError } = require('../errors');

/** @typedef {'auto' | 'tfjs-node' | 'wasm' | 'cpu'} RuntimeName */

const RUNTIMES = ['tfjs-node', 'wasm', 'cpu'];

const PACKAGES = ['@tensorflow/tfjs-node', '@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm'];

// Written out one by one, and each in a `try`: so tools that find out which modules a program needs take those that are installed.
/** @type {Record<string, () => any>} */
const REQUIRE = {
  '@tensorflow/tfjs-node'() {
    try {
      return require('@tensorflow/tfjs-node');
    } catch (error) {
      return requireFromService('@tensorflow/tfjs-node', error);
    }
  },
  '@tensorflow/tfjs'() {
    try {
      return require('@tensorflow/tfjs');
    } catch (error) {
      return requireFromService('@tensorflow/tfjs', error);
    }
  },
  '@tensorflow/tfjs-backend-wasm'() {
    try {
      return require('@tensorflow/tfjs-backend-wasm');
    } catch (error) {
      return requireFromService('@tensorflow/tfjs-backend-wasm', error);
    }
  },
};

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
      const { code, message } = /** @type {any} */ (error);
      const reason = `${runtime}: ${String(message).split('\n')[0]}`;
      reasons.push(reason);
      // Whoever installed it expects its speed.
      const missing = code === 'MODULE_NOT_FOUND' && PACKAGES.some((name) => String(message).includes(`'${name}'`));
      if (wanted === 'auto' && runtime !== 'cpu' && !missing) process.emitWarning(`A slower TensorFlow.js is taken than the installed one (${reason})`);
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
    const tf = REQUIRE['@tensorflow/tfjs-node']();
    await tf.ready();
    return tf;
  }
  const tf = REQUIRE['@tensorflow/tfjs']();
  if (runtime === 'wasm') sayWhereWasmIs(REQUIRE['@tensorflow/tfjs-backend-wasm']());
  if (!(await tf.setBackend(runtime))) throw new Error(`the backend ${runtime} does not start`);
  await tf.ready();
  return tf;
}

/**
 * Code that a bundler has moved does not find its neighbours.
 *
 * @param {any} backend the module
 */
function sayWhereWasmIs({ setWasmPaths }) {
  try {
    const files = [
      require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm'),
      require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm'),
      require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm'),
    ];
    setWasmPaths(`${path.dirname(files[0])}/`);
  } catch {
    // It works already, or it lies elsewhere and says itself what it misses.
  }
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
 * @param {unknown} error why it could not be had from here
 * @returns {any}
 */
function requireFromService(name, error) {
  const { code, message } = /** @type {any} */ (error);
  if (code !== 'MODULE_NOT_FOUND' || !String(message).includes(`'${name}'`)) throw error;
  return createRequire(path.join(process.cwd(), 'index.js'))(name);
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
