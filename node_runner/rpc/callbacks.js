'use strict';

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
    return call;
  }
}

module.exports = { Callbacks };
