'use strict';

/**
 * Objects that live in Node and are named to Python by number.
 *
 * @template T
 */
class Handles {
  /** @param {string} kind what they are, for error messages */
  constructor(kind) {
    this.kind = kind;
    this.next = 1;
    /** @type {Map<number, T>} */
    this.objects = new Map();
  }

  /**
   * @param {T} object
   * @returns {number} its handle
   */
  add(object) {
    const handle = this.next++;
    this.objects.set(handle, object);
    return handle;
  }

  /**
   * @param {number} handle
   * @returns {T}
   * @throws {RangeError} where nothing has that handle, or no longer
   */
  get(handle) {
    const object = this.objects.get(handle);
    if (object === undefined) throw new RangeError(`There is no ${this.kind} ${handle} in this Node process (disposed, or of an earlier process)`);
    return object;
  }

  /**
   * @param {number} handle
   * @returns {T | undefined} what it named, if anything
   */
  remove(handle) {
    const object = this.objects.get(handle);
    this.objects.delete(handle);
    return object;
  }
}

module.exports = { Handles };
