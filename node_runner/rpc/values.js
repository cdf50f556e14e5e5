'use strict';

/**
 * JavaScript values to JSON plus tensors and back. `pybridge/rpc/protocol.py` explains the placeholders.
 *
 * @typedef {import('./tensors').EncodedTensor} EncodedTensor
 * @typedef {import('./ndarray').NDArray} NDArray
 * @typedef {{tensors: EncodedTensor[], collections: boolean}} Packing  `collections`: whether Map and Set cross
 */

const { INVALID_PARAMS, MAX_BIGINT_DIGITS, MAX_DEPTH } = require('./protocol');
const { RpcError } = require('./errors');
const { Converted, Reference, borrowed, lend } = require('./references');
const { encodeIfTensor } = require('./tensors');

const PLACEHOLDERS = new Set(['$tensor', '$number', '$bigint', '$date', '$map', '$set', '$object', '$callback', '$literal']);
/** @type {Record<string, number>} */
const NUMBERS = { NaN, Infinity, '-Infinity': -Infinity, '-0': -0 };

// Kinds of JavaScript itself whose content is no member: even where a script has added some, the rest would be lost.
const BUILT_IN = new Set(['Boolean', 'Number', 'String', 'Symbol', 'RegExp', 'WeakMap', 'WeakSet', 'WeakRef', 'Atomics', 'Math', 'JSON']);

/**
 * Split a value into what JSON can say and the tensors beside it. `undefined` vanishes from objects and becomes null in lists, as in
 * JSON; what else JSON would lose in silence is refused by name. A Map and a Set become others in Python, and cross only in a
 * `Converted` value.
 *
 * @param {unknown} value
 * @param {string} where  names the value in errors
 * @returns {{json: unknown, tensors: EncodedTensor[]}}
 */
function pack(value, where) {
  /** @type {EncodedTensor[]} */
  const tensors = [];
  const isConverted = value instanceof Converted;
  const packing = { tensors, collections: isConverted };
  const json = packValue(isConverted ? value.value : value, where, packing, 0) ?? null;
  return { json, tensors };
}

/**
 * The arguments for a Python function: data by their content, all else by reference.
 *
 * @param {unknown[]} args
 * @returns {{json: unknown, tensors: EncodedTensor[]}}
 */
function packArguments(args) {
  /** @type {EncodedTensor[]} */
  const tensors = [];
  const json = args.map((value, index) => {
    if (value === null || typeof value !== 'object') return typeof value === 'function' ? lendOne(value) : packAlone(value);
    if (!isData(value)) return lendOne(value);
    try {
      return packAlone(value);
    } catch {
      // It holds something that has no content, such as a function.
      return lendOne(value);
    }

    /** @param {unknown} content */
    function packAlone(content) {
      /** @type {EncodedTensor[]} */
      const found = [...tensors];
      const packed = packValue(content, `argument ${index}`, { tensors: found, collections: true }, 1) ?? null;
      tensors.push(...found.slice(tensors.length));
      return packed;
    }
  });
  return { json, tensors };

  /** @param {object} value */
  function lendOne(value) {
    return { $object: lend(new Reference(value)) };
  }
}

/**
 * Whether it is made of content alone: arrays, plain objects, Map, Set, Date, and what crosses as a tensor.
 *
 * @param {any} value
 */
function isData(value) {
  if (Array.isArray(value) || value instanceof Map || value instanceof Set || value instanceof Date) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null || encodeIfTensor(value) !== undefined;
}

/**
 * @param {any} value
 * @param {string} where
 * @param {Packing} packing
 * @param {number} depth
 * @returns {unknown}
 */
function packValue(value, where, packing, depth) {
  if (typeof value === 'number') return packNumber(value);
  if (typeof value === 'bigint') return packBigInt(value, where);
  if (typeof value === 'function' || typeof value === 'symbol') throw unsendable(where, nameOf(value), 'return what it stands for instead');
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Reference) return { $object: lend(value) };
  const tensor = encodeIfTensor(value);
  if (tensor) return { $tensor: packing.tensors.push(tensor) - 1 };
  if (depth >= MAX_DEPTH) {
    throw new TypeError(`${where.slice(0, 80)}... is nested deeper than ${MAX_DEPTH} levels, or contains itself`);
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => packValue(item, `${where}[${index}]`, packing, depth + 1) ?? null);
  }
  if (value instanceof Date) return packDate(value, where);
  if (packing.collections && (value instanceof Map || value instanceof Set)) return packCollection(value, where, packing, depth);
  if (typeof value.predictOnBatch === 'function') throw unsendable(where, `${value.constructor?.name}, a model`, 'return the model itself');
  if (typeof value.toJSON === 'function') return packValue(value.toJSON(), where, packing, depth + 1);
  refuseUnsendable(value, where);
  /** @type {Record<string, unknown>} */
  const packed = {};
  for (const [key, item] of Object.entries(value)) {
    const packedItem = packValue(item, `${where}.${key}`, packing, depth + 1);
    if (packedItem !== undefined) setOwn(packed, key, packedItem);
  }
  return isPlaceholder(packed) ? { $literal: packed } : packed;
}

/**
 * @param {Date} value
 * @param {string} where
 */
function packDate(value, where) {
  if (Number.isNaN(value.getTime())) throw new RangeError(`${where} is an invalid Date, which cannot cross to Python`);
  return { $date: value.getTime() };
}

/**
 * @param {Map<unknown, unknown> | Set<unknown>} value
 * @param {string} where
 * @param {Packing} packing
 * @param {number} depth
 */
function packCollection(value, where, packing, depth) {
  const each = (/** @type {unknown} */ item, /** @type {string} */ place) => packValue(item, place, packing, depth + 2) ?? null;
  if (value instanceof Set) return { $set: [...value].map((item, index) => each(item, `${where}[${index}]`)) };
  return { $map: [...value].map(([key, item], index) => [each(key, `${where}, key ${index},`), each(item, `${where}[${index}]`)]) };
}

/** @param {number} value */
function packNumber(value) {
  if (Object.is(value, -0)) return { $number: '-0' };
  // Python would take the digits of a large one for exact; JavaScript writes no more of them than tell it from its neighbours.
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) return { $number: String(value) };
  return value;
}

/**
 * @param {bigint} value
 * @param {string} where
 */
function packBigInt(value, where) {
  const digits = String(value);
  if (digits.length > MAX_BIGINT_DIGITS) throw new RangeError(`${where} is an integer of ${digits.length} digits`);
  return { $bigint: digits };
}

/**
 * What would arrive as an empty object, or without what it is made of: Map, RegExp, Error, generators, streams, objects that hide
 * all that they hold. Other objects cross as their own enumerable members, whatever their class.
 *
 * @param {any} value
 * @param {string} where
 */
function refuseUnsendable(value, where) {
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  const prototype = Object.getPrototypeOf(value);
  const plain = prototype === null || Object.getPrototypeOf(prototype) === null;
  if (tag === 'Object' && plain) return;
  const kind = tag === 'Object' ? String(prototype.constructor?.name || 'object') : tag;
  if (tag === 'Promise' || typeof value.then === 'function') throw unsendable(where, kind, 'await it first');
  if (tag === 'Error' || value instanceof Error) throw unsendable(where, kind, 'throw it, or return its message');
  if (typeof value.pipe === 'function' || typeof value.getReader === 'function') {
    throw unsendable(where, `${kind}, a stream`, 'read it to its end, and return what it gave');
  }
  if (Symbol.iterator in value || Symbol.asyncIterator in value) {
    throw unsendable(where, kind === 'Map' || kind === 'Set' ? kind : `${kind}, which is iterated over`, 'return a list instead');
  }
  if (BUILT_IN.has(tag) || Object.keys(value).length === 0) throw unsendable(where, kind, 'return a plain object instead');
}

/**
 * @param {string} where
 * @param {string} kind
 * @param {string} advice
 */
function unsendable(where, kind, advice) {
  return new TypeError(`${where} is a ${kind}, which cannot cross to Python; ${advice}`);
}

/** @param {Function|symbol} value */
function nameOf(value) {
  if (typeof value === 'symbol') return `symbol (${String(value)})`;
  return value.name ? `function (${value.name})` : 'function';
}

/** @param {Record<string, unknown>} object */
function isPlaceholder(object) {
  const keys = Object.keys(object);
  return keys.length === 1 && PLACEHOLDERS.has(keys[0]);
}

/**
 * Assigning to `__proto__` would change the object's prototype instead of adding a member.
 *
 * @param {Record<string, unknown>} object
 * @param {string} key
 * @param {unknown} value
 */
function setOwn(object, key, value) {
  if (key !== '__proto__') {
    object[key] = value;
    return;
  }
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

/**
 * Put tensors and what else JSON lacks back in the place of their placeholders.
 *
 * @param {any} value
 * @param {NDArray[]} tensors
 * @param {import('./callbacks').Callbacks} [callbacks]  makes functions of Python's
 * @param {number} [depth]
 * @returns {any}
 */
function unpack(value, tensors, callbacks, depth = 0) {
  if (value === null || typeof value !== 'object') return value;
  if (depth > 2 * MAX_DEPTH) throw new RpcError(INVALID_PARAMS, `a value is nested deeper than ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) return value.map((item) => unpack(item, tensors, callbacks, depth + 1));
  if (isPlaceholder(value)) return unpackPlaceholder(value, tensors, callbacks, depth);
  return unpackMembers(value, tensors, callbacks, depth);
}

/**
 * @param {Record<string, unknown>} value
 * @param {NDArray[]} tensors
 * @param {import('./callbacks').Callbacks|undefined} callbacks
 * @param {number} depth
 */
function unpackMembers(value, tensors, callbacks, depth) {
  /** @type {Record<string, unknown>} */
  const unpacked = {};
  for (const [key, item] of Object.entries(value)) setOwn(unpacked, key, unpack(item, tensors, callbacks, depth + 1));
  return unpacked;
}

/**
 * @param {Record<string, any>} value
 * @param {NDArray[]} tensors
 * @param {import('./callbacks').Callbacks|undefined} callbacks
 * @param {number} depth
 */
function unpackPlaceholder(value, tensors, callbacks, depth) {
  const [[key, content]] = Object.entries(value);
  if (key === '$tensor' && Number.isInteger(content) && content >= 0 && content < tensors.length) return tensors[content];
  if (key === '$number' && typeof content === 'string' && Object.hasOwn(NUMBERS, content)) return NUMBERS[content];
  if (key === '$bigint' && typeof content === 'string' && content.length <= MAX_BIGINT_DIGITS && /^-?\d+$/.test(content)) {
    return BigInt(content);
  }
  if (key === '$literal' && content !== null && typeof content === 'object') {
    return unpackMembers(content, tensors, callbacks, depth + 1);
  }
  if (key === '$object' && Number.isInteger(content)) return borrowed(content);
  if (key === '$callback' && Number.isInteger(content) && callbacks) return callbacks.take(content);
  if (key === '$date' && Number.isFinite(content)) return new Date(content);
  if (key === '$set' && Array.isArray(content)) return new Set(unpack(content, tensors, callbacks, depth + 1));
  if (key === '$map' && Array.isArray(content) && content.every((entry) => Array.isArray(entry) && entry.length === 2)) {
    return new Map(unpack(content, tensors, callbacks, depth + 1));
  }
  throw new RpcError(INVALID_PARAMS, `malformed placeholder ${key}`);
}

module.exports = { isData, pack, packArguments, unpack };
