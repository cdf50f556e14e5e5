'use strict';

/** Runs the exported functions of a user's own JavaScript files. */

const { INVALID_PARAMS } = require('../rpc/protocol');
const { RpcError } = require('../rpc/errors');
const { Reference } = require('../rpc/references');
const { inContext, thisOf } = require('./script_context');
const { asStream } = require('./objects');
const { loadCount, moduleOf, noteParts } = require('./script_modules');

/**
 * Call an exported function, sync or async, of a CommonJS or ES module. Its `this` has `signal`, an AbortSignal that fires when
 * the caller gives up, `progress(value)`, and `tf`, the TensorFlow.js of this process; `import { context } from 'pybridge'` gives the
 * same to functions without `this`. The module is loaded once, and again when its file, or one that it uses, has changed. An async
 * generator, or a stream, is drawn from by Python.
 *
 * @param {{path: string, function: string, args?: unknown[]}} params  `path` is absolute
 * @param {import('../rpc/protocol').CallContext} context
 */
async function call({ path, function: name, args = [] }, context) {
  if (typeof path !== 'string' || typeof name !== 'string' || !Array.isArray(args)) {
    throw new RpcError(INVALID_PARAMS, 'script.call needs a path, the name of a function, and a list of arguments');
  }
  const before = loadCount();
  const exported = await moduleOf(path);
  try {
    const run = findFunction(exported, name, path);
    const result = await inContext(context, () => run.apply(thisOf(context), args));
    return asStream(result) ?? asModel(result) ?? result;
  } finally {
    noteParts(path, before);
  }
}

/**
 * A `tf.LayersModel`, which becomes a model of Python's; undefined for all else.
 *
 * @param {any} result
 */
function asModel(result) {
  const isModel = result !== null && typeof result === 'object' && Array.isArray(result.layers) && typeof result.predictOnBatch === 'function';
  return isModel ? new Reference(result, 'model') : undefined;
}

/**
 * @param {any} exported  the module's namespace; `default` holds the exports of a CommonJS module
 * @param {string} name
 * @param {string} path
 * @returns {Function}
 */
function findFunction(exported, name, path) {
  for (const owner of [exported, exported.default]) {
    if (owner && Object.hasOwn(owner, name) && typeof owner[name] === 'function') return owner[name];
  }
  const names = new Set([exported, exported.default].flatMap(functionNames));
  throw new RpcError(
    INVALID_PARAMS,
    `${path} exports no function ${JSON.stringify(name)}`,
    names.size ? `It exports: ${[...names].sort().join(', ')}.` : 'It exports no functions at all.',
  );
}

/** @param {any} owner */
function functionNames(owner) {
  if (!owner || !['object', 'function'].includes(typeof owner)) return [];
  return Object.keys(owner).filter((key) => typeof owner[key] === 'function');
}

module.exports = { call };
