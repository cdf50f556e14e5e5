'use strict';

/**
 * What a user's function can ask of the call that it runs in: as `this`, or, where functions have none, from the module `pybridge`.
 */

const { AsyncLocalStorage } = require('node:async_hooks');
const { loadTensorflow } = require('../tensorflow');

/** @typedef {import('../rpc/protocol').CallContext} CallContext */

/** @type {AsyncLocalStorage<CallContext>} */
const calls = new AsyncLocalStorage();

/** What `import { context } from 'pybridge'` gives: of the call in which it is asked. */
const context = {
  get signal() {
    return current().signal;
  },
  /** @param {unknown} value */
  progress(value) {
    current().progress(value);
  },
  get tf() {
    return loadTensorflow();
  },
};

/**
 * @template T
 * @param {CallContext} call
 * @param {() => T} run
 * @returns {T}
 */
function inContext(call, run) {
  return calls.run(call, run);
}

/**
 * @param {CallContext} call
 * @returns {object} what a function gets as `this`
 */
function thisOf({ signal, progress }) {
  return {
    signal,
    progress,
    get tf() {
      return loadTensorflow();
    },
  };
}

/** @returns {CallContext} */
function current() {
  const call = calls.getStore();
  if (call === undefined) throw new Error('the context of pybridge is known only while Python waits for a call');
  return call;
}

module.exports = { context, inContext, thisOf };
