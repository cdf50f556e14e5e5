'use strict';

const { badInput } = require('./errors');

// A batch of preprocessed images in columns, in an object of an object, is 7 deep.
const MOST_DEPTH = 32;
// Each costs up to 100 bytes when parsed, whatever it holds; an image of 224 x 224 pixels as numbers has 50,400.
const MOST_CONTAINERS = 2e6;
// Without it, what is no UTF-8 would be read as other letters. It takes a byte order mark, as RFC 8259 allows.
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Parses the JSON of a request. Depth and the number of arrays and objects are bounded before anything is allocated.
 *
 * @param {Buffer} bytes
 * @returns {Record<string, unknown>}
 * @throws {import('./errors').ServiceError}
 */
function parseObject(bytes) {
  if (bytes.length === 0) throw badInput('The body is empty: send a JSON object');
  checkStructure(bytes);
  const text = decode(bytes);
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = /** @type {Error} */ (error).message.replace(/\s+/g, ' ').slice(0, 120);
    throw badInput(`The body is not JSON (${why}); NaN and Infinity are not JSON either`);
  }
  if (!isObject(value)) throw badInput(`The body must be a JSON object, not ${kindOf(value)}`);
  return value;
}

/**
 * @param {Buffer} bytes
 * @returns {string}
 */
function decode(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    throw badInput('The body is not JSON: it is not UTF-8');
  }
}

/** @param {Buffer} bytes */
function checkStructure(bytes) {
  let depth = 0;
  let containers = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) {
      inString = true;
    } else if (byte === 0x5b || byte === 0x7b) {
      containers++;
      if (++depth > MOST_DEPTH) throw badInput(`The JSON is nested more than ${MOST_DEPTH} deep`);
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    }
  }
  if (containers > MOST_CONTAINERS) {
    throw badInput(`The JSON has ${containers} arrays and objects; at most ${MOST_CONTAINERS} are read. Send fewer images, or their files`, 413);
  }
}

/**
 * Only an object's own fields count: `__proto__` and the like are names as any other.
 *
 * @param {unknown} value
 * @param {string} name
 * @returns {unknown} undefined where there is none
 */
function field(value, name) {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * @param {unknown} value
 * @returns {string} for error messages
 */
function kindOf(value) {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'string') return `the string ${quote(value)}`;
  return typeof value === 'object' ? 'an object' : `${typeof value} ${String(value)}`;
}

/**
 * @param {string} text that a client sent
 * @returns {string} in quotes, escaped, and short
 */
function quote(text) {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

module.exports = { field, isObject, kindOf, parseObject, quote };
