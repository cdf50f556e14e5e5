'use strict';

/**
 * JavaScript objects that Python holds: it names them by number until it lets them go.
 *
 * The same object has the same number each time that it crosses. Each crossing is counted, and Python says for how many of them it has
 * let go: what it lets go while the object crosses again stays.
 *
 * @typedef {{id: number, kind: string, name: string}} Description  of an object, for Python
 */

/** @type {Map<number, {object: object, crossings: number}>} */
const held = new Map();
/** @type {WeakMap<object, number>} */
const numbers = new WeakMap();
let next = 1;

/** Stands in a value for an object that crosses by reference. */
class Reference {
  /**
   * @param {object} object
   * @param {string} [kind]  what Python shall take it for; by default what it is
   */
  constructor(object, kind = kindOf(object)) {
    this.object = object;
    this.kind = kind;
  }
}

/** Stands for a value of which Python has asked for the content: a Map or a Set in it crosses too. */
class Converted {
  /** @param {unknown} value */
  constructor(value) {
    this.value = value;
  }
}

/**
 * @param {Reference} reference
 * @returns {Description}
 */
function lend({ object, kind }) {
  let id = numbers.get(object);
  if (id === undefined) {
    id = next++;
    numbers.set(object, id);
  }
  const entry = held.get(id) ?? { object, crossings: 0 };
  entry.crossings += 1;
  held.set(id, entry);
  return { id, kind, name: nameOf(object) };
}

/**
 * @param {unknown} id
 * @returns {object}
 * @throws {RangeError} where Python holds no such object
 */
function borrowed(id) {
  const entry = held.get(/** @type {number} */ (id));
  if (entry === undefined) throw new RangeError(`Python holds no JavaScript object with the number ${id}`);
  return entry.object;
}

/**
 * @param {unknown} crossings  pairs of a number and how many of its crossings Python has let go
 */
function release(crossings) {
  if (!Array.isArray(crossings)) return;
  for (const [id, count] of crossings) {
    const entry = held.get(id);
    if (entry === undefined) continue;
    entry.crossings -= count;
    if (entry.crossings <= 0) held.delete(id);
  }
}

/** How many objects Python holds. */
const heldCount = () => held.size;

/** @param {object} object */
function kindOf(object) {
  if (typeof object === 'function') return isClass(object) ? 'class' : 'function';
  return Array.isArray(object) ? 'array' : 'object';
}

// These are called to convert a value; with `new` they would make an object of it.
const CONVERTERS = new Set([String, Number, Boolean, BigInt, Symbol]);

/**
 * Classes, also those of JavaScript itself, cannot be given another prototype.
 *
 * @param {any} value
 */
function isClass(value) {
  return !CONVERTERS.has(value) && Object.getOwnPropertyDescriptor(value, 'prototype')?.writable === false && !isGenerator(value);
}

/** @param {Function} value */
function isGenerator(value) {
  return /Generator/.test(Object.prototype.toString.call(value));
}

/** @param {any} object */
function nameOf(object) {
  try {
    return String((typeof object === 'function' ? object.name : object.constructor?.name) || '').slice(0, 200);
  } catch {
    return '';
  }
}

module.exports = { Converted, Reference, borrowed, heldCount, lend, release };
