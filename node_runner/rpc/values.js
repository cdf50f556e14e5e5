'use strict';

/**
 * JavaScript values to JSON plus tensors and back. `pybridge/rpc/protocol.py` explains the placeholders.
 *
 * @typedef {import('./tensors').EncodedTensor} EncodedTensor
 * @typedef {import('./ndarray').NDArray} NDArray
 */

const { INVALID_PARAMS, MAX_BIGINT_DIGITS, MAX_DEPTH } = require('./protocol');
const { RpcError } = require('./errors');
const { encodeIfTensor } = require('./tensors');

const PLACEHOLDERS = new Set(['$tensor', '$number', '$bigint', '$literal']);
/** @type {Record<string, number>} */
const NUMBERS = { NaN, Infinity, '-Infinity': -Infinity, '-0': -0 };

/**
 * Split a value into what JSON can say and the tensors beside it. `undefined` and functions vanish from objects and become null
 * in lists, as in JSON.
 *
 * @param {unknown} value
 * @param {string} where  names the value in errors
 * @returns {{json: unknown, tensors: EncodedTensor[]}}
 */
function pack(value, where) {
  /** @type {EncodedTensor[]} */
  const tensors = [];
  const json = packValue(value, where, tensors, 0) ?? null;
  return { json, tensors };
}

/**
 * @param {any} value
 * @param {string} where
 * @param {EncodedTensor[]} tensors
 * @param {number} depth
 * @returns {unknown}
 */
function packValue(value, where, tensors, depth) {
  if (typeof value === 'number') return packNumber(value);
  if (typeof value === 'bigint') return packBigInt(value, where);
  if (value === null || typeof value !== 'object') {
    return typeof value === 'function' || typeof value === 'symbol' ? undefined : value;
  }
  const tensor = encodeIfTensor(value);
  if (tensor) return { $tensor: tensors.push(tensor) - 1 };
  if (depth >= MAX_DEPTH) {
    throw new TypeError(`${where.slice(0, 80)}... is nested deeper than ${MAX_DEPTH} levels, or contains itself`);
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => packValue(item, `${where}[${index}]`, tensors, depth + 1) ?? null);
  }
  if (typeof value.toJSON === 'function') return packValue(value.toJSON(), where, tensors, depth + 1);
  refuseUnsendable(value, where);
  /** @type {Record<string, unknown>} */
  const packed = {};
  for (const [key, item] of Object.entries(value)) {
    const packedItem = packValue(item, `${where}.${key}`, tensors, depth + 1);
    if (packedItem !== undefined) setOwn(packed, key, packedItem);
  }
  return isPlaceholder(packed) ? { $literal: packed } : packed;
}

/** @param {number} value */
function packNumber(value) {
  if (Number.isFinite(value)) return Object.is(value, -0) ? { $number: '-0' } : value;
  return { $number: String(value) };
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
 * @param {object} value
 * @param {string} where
 */
function refuseUnsendable(value, where) {
  for (const kind of [Map, Set, WeakMap, WeakSet, Promise]) {
    if (!(value instanceof kind)) continue;
    const advice = value instanceof Promise ? 'await it first' : 'return a list or a plain object instead';
    throw new TypeError(`${where} is a ${kind.name}, which cannot cross to Python; ${advice}`);
  }
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
 * Put tensors and special numbers back in the place of their placeholders.
 *
 * @param {any} value
 * @param {NDArray[]} tensors
 * @param {number} [depth]
 * @returns {any}
 */
function unpack(value, tensors, depth = 0) {
  if (value === null || typeof value !== 'object') return value;
  if (depth > 2 * MAX_DEPTH) throw new RpcError(INVALID_PARAMS, `a value is nested deeper than ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) return value.map((item) => unpack(item, tensors, depth + 1));
  if (isPlaceholder(value)) return unpackPlaceholder(value, tensors, depth);
  return unpackMembers(value, tensors, depth);
}

/**
 * @param {Record<string, unknown>} value
 * @param {NDArray[]} tensors
 * @param {number} depth
 */
function unpackMembers(value, tensors, depth) {
  /** @type {Record<string, unknown>} */
  const unpacked = {};
  for (const [key, item] of Object.entries(value)) setOwn(unpacked, key, unpack(item, tensors, depth + 1));
  return unpacked;
}

/**
 * @param {Record<string, any>} value
 * @param {NDArray[]} tensors
 * @param {number} depth
 */
function unpackPlaceholder(value, tensors, depth) {
  const [[key, content]] = Object.entries(value);
  if (key === '$tensor' && Number.isInteger(content) && content >= 0 && content < tensors.length) return tensors[content];
  if (key === '$number' && typeof content === 'string' && Object.hasOwn(NUMBERS, content)) return NUMBERS[content];
  if (key === '$bigint' && typeof content === 'string' && content.length <= MAX_BIGINT_DIGITS && /^-?\d+$/.test(content)) {
    return BigInt(content);
  }
  if (key === '$literal' && content !== null && typeof content === 'object') {
    return unpackMembers(content, tensors, depth + 1);
  }
  throw new RpcError(INVALID_PARAMS, `malformed placeholder ${key}`);
}

module.exports = { pack, unpack };
