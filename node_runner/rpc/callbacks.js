'use strict';

const v8 = require('node:v8');
const vm = require('node:vm');

// A wrapper is small, so that the garbage collector takes its time; what a Python function holds may be large.
const COLLECT_FROM = 1000;

/**
 * Python functions that JavaScript holds. Each is one function here however often it crosses; when the garbage collector has found
 * that nothing refers to it any more, Python is told for how many crossings.
 */

/** @typedef {(callback: number, args: unknown[]) => Promise<unknown>} Ask  asks Python to call one of its functions */

class Callbacks {
  /**
   * @param {Ask} ask
   * @param {(crossings: [number, number][]) => void} letGo  tells Python what is no longer held
   */
  constructor(ask, letGo) {
    this.ask = ask;
    this.collectFrom = COLLECT_FROM;
    /** @type {Map<number, {reference: WeakRef<Function>, count: {id: number, crossings: number}}>} */
    this.held = new Map();
    this.finalizer = new FinalizationRegistry((/** @type {{id: number, crossings: number}} */ count) => {
      if (this.held.get(count.id)?.count === count) this.held.delete(count.id);
      letGo([[count.id, count.crossings]]);
    });
  }

  /**
   * @param {number} id
   * @returns {Function} which gives a promise of what the Python function returns
   */
  take(id) {
    const known = this.held.get(id);
    const existing = known?.reference.deref();
    if (known && existing) {
      known.count.crossings += 1;
      return existing;
    }
    const { ask } = this;
    const call = (/** @type {unknown[]} */ ...args) => ask(id, args);
    const count = { id, crossings: 1 };
    this.held.set(id, { reference: new WeakRef(call), count });
    this.finalizer.register(call, count);
    if (this.held.size > this.collectFrom) this.collect();
    return call;
  }

  /** Has the garbage collector look; the more functions are still held, the later it looks again. */
  collect() {
    this.collectFrom = Infinity;
    setImmediate(() => {
      collectGarbage();
      // What is registered is told in tasks of its own.
      setTimeout(() => {
        this.collectFrom = Math.max(COLLECT_FROM, 2 * this.held.size);
      }, 10);
    });
  }
}

/** @type {(() => void)|undefined} */
let garbageCollector;

function collectGarbage() {
  if (garbageCollector === undefined) {
    v8.setFlagsFromString('--expose-gc');
    garbageCollector = /** @type {() => void} */ (vm.runInNewContext('gc'));
    v8.setFlagsFromString('--no-expose-gc');
  }
  garbageCollector();
}

module.exports = { Callbacks };
