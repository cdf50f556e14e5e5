'use strict';

/** What Python does with JavaScript objects that it holds: modules, functions, classes, instances, and what is iterated over. */

const { Converted, Reference, heldCount } = require('../rpc/references');
const { encodeIfTensor } = require('../rpc/tensors');
const { inContext } = require('./script_context');
const { importFrom, requireFrom } = require('./script_modules');

/**
 * @typedef {import('../rpc/protocol').CallContext} CallContext
 * @typedef {{next: () => unknown, return?: () => unknown}} AnyIterator
 */

/** An iterator that Python draws from. */
class Drawn {
  /**
   * @param {AnyIterator} iterator
   * @param {boolean} byContent  whether items cross by their content instead of by reference
   */
  constructor(iterator, byContent) {
    this.iterator = iterator;
    this.byContent = byContent;
  }
}

/**
 * @param {{specifier: string, folder: string}} params
 */
function requireModule({ specifier, folder }) {
  return asAnswer(requireFrom(specifier, folder));
}

/**
 * @param {{specifier: string, folder: string}} params
 */
async function importModule({ specifier, folder }) {
  return asAnswer(await importFrom(specifier, folder));
}

const AsyncFunction = /** @type {FunctionConstructor} */ (Object.getPrototypeOf(async () => {}).constructor);

/**
 * @param {{source: string, given: Record<string, unknown>}} params  `source` is an expression that may use the names of what is given
 * @param {CallContext} context
 */
async function evaluate({ source, given }, context) {
  const run = AsyncFunction(...Object.keys(given), `return (${source}\n);`);
  return asAnswer(await inContext(context, () => run(...Object.values(given))));
}

/**
 * @param {{object: any, name: string|number}} params
 * @returns {[boolean, unknown]} whether there is such a member, and it
 */
function get({ object, name }) {
  return Object(object)[name] === undefined && !(name in Object(object)) ? [false, null] : [true, asAnswer(object[name])];
}

/** @param {{object: any, name: string|number, value: unknown}} params */
function set({ object, name, value: given }) {
  object[name] = given;
}

/**
 * @param {{object: any, this?: unknown, args: unknown[], construct: boolean}} params
 * @param {CallContext} context
 */
async function call({ object, this: self, args, construct }, context) {
  if (typeof object !== 'function') throw new TypeError(`a ${object.constructor?.name ?? typeof object} is no function`);
  return asAnswer(await inContext(context, () => (construct ? Reflect.construct(object, args) : Reflect.apply(object, self ?? undefined, args))));
}

/** @param {{object: unknown}} params */
function value({ object }) {
  return new Converted(object);
}

/**
 * @param {{object: any}} params
 * @returns {string[]} of its members, also inherited ones
 */
function names({ object }) {
  const found = new Set();
  for (let owner = object; owner !== null && owner !== Object.prototype && owner !== Function.prototype; owner = Object.getPrototypeOf(owner)) {
    for (const name of Object.getOwnPropertyNames(owner)) found.add(name);
  }
  return [...found];
}

/** @param {{object: any}} params */
function size({ object }) {
  const length = object.length ?? object.size;
  return Number.isInteger(length) ? length : null;
}

/** @param {{object: any}} params */
function iterate({ object }) {
  const iterator = object[Symbol.asyncIterator]?.() ?? object[Symbol.iterator]?.();
  if (iterator === undefined) throw new TypeError(`a ${object.constructor?.name ?? typeof object} cannot be iterated over`);
  return new Reference(new Drawn(iterator, false), 'iterator');
}

/**
 * @param {{object: Drawn}} params
 * @returns {Promise<[boolean, unknown]>} whether there was another item, and it
 */
async function next({ object: { iterator, byContent } }) {
  const { done, value: item } = /** @type {IteratorResult<unknown>} */ (await iterator.next());
  return done ? [false, null] : [true, byContent ? await item : asAnswer(await item)];
}

/** @param {{object: Drawn}} params */
async function end({ object: { iterator } }) {
  await iterator.return?.();
}

/** How many objects Python holds: for tests of what is let go. */
function count() {
  return heldCount();
}

/**
 * What Python gets to see of a value: the value of what cannot change or is binary, all else by reference.
 *
 * @param {any} found
 * @returns {unknown}
 */
function asAnswer(found) {
  if (found === null || (typeof found !== 'object' && typeof found !== 'function')) return found;
  if (typeof found === 'object' && !isNamespace(found) && encodeIfTensor(found)) return found;
  return new Reference(found);
}

/**
 * What a script gives as it comes, one item after the other, as an iterator for Python; undefined where it is none.
 *
 * @param {any} result
 */
function asStream(result) {
  if (result === null || typeof result !== 'object' || typeof result[Symbol.asyncIterator] !== 'function') return undefined;
  return new Reference(new Drawn(result[Symbol.asyncIterator](), true), 'iterator');
}

/** @param {object} found */
function isNamespace(found) {
  return Object.prototype.toString.call(found) === '[object Module]';
}

module.exports = { asStream, call, count, end, evaluate, get, importModule, iterate, names, next, requireModule, set, size, value };
