'use strict';

/**
 * Tensors as the protocols write them, for models that take tensors. Types are those of numpy; TensorFlow.js has fewer of them.
 */

const { badInput } = require('./errors');
const { kindOf } = require('./json');

/**
 * @typedef {import('./models/worker_process').Port} Port
 * @typedef {import('./models/worker_process').Tensor} Tensor
 *
 * @typedef {object} Type
 * @property {string} tfjs what TensorFlow.js computes with
 * @property {string} kserve
 * @property {string} tensorflow
 * @property {number} bytes of a number
 * @property {[number, number] | null} range of whole numbers
 */

/** @type {Record<string, Type>} */
const TYPES = {
  float32: { tfjs: 'float32', kserve: 'FP32', tensorflow: 'DT_FLOAT', bytes: 4, range: null },
  float64: { tfjs: 'float32', kserve: 'FP64', tensorflow: 'DT_DOUBLE', bytes: 8, range: null },
  int32: { tfjs: 'int32', kserve: 'INT32', tensorflow: 'DT_INT32', bytes: 4, range: [-(2 ** 31), 2 ** 31 - 1] },
  int64: { tfjs: 'int32', kserve: 'INT64', tensorflow: 'DT_INT64', bytes: 8, range: [-(2 ** 31), 2 ** 31 - 1] },
  uint8: { tfjs: 'int32', kserve: 'UINT8', tensorflow: 'DT_UINT8', bytes: 1, range: [0, 255] },
  bool: { tfjs: 'bool', kserve: 'BOOL', tensorflow: 'DT_BOOL', bytes: 1, range: [0, 1] },
  string: { tfjs: 'string', kserve: 'BYTES', tensorflow: 'DT_STRING', bytes: 0, range: null },
};
const OTHER = { tfjs: 'float32', kserve: 'FP32', tensorflow: 'DT_INVALID', bytes: 4, range: null };
const MOST_DIMENSIONS = 16;

/**
 * @param {string} dtype
 * @returns {Type}
 */
function typeOf(dtype) {
  return Object.hasOwn(TYPES, dtype) ? TYPES[dtype] : OTHER;
}

/**
 * Nested arrays of numbers into a tensor.
 *
 * @param {unknown} value
 * @param {Port} port that it must fit
 * @returns {Tensor}
 * @throws {import('./errors').ServiceError} where it has another shape, or something in it is no number of the type
 */
function fromNested(value, port) {
  const shape = [];
  for (let each = value; Array.isArray(each) && shape.length < MOST_DIMENSIONS; each = each[0]) shape.push(each.length);
  checkShape(shape, port);
  return fromNumbers(flattened(value, shape, [], port.name), shape, port);
}

/**
 * @param {unknown[]} numbers
 * @param {number[]} shape
 * @param {Port} port
 * @returns {Tensor}
 */
function fromNumbers(numbers, shape, port) {
  const type = typeOf(port.dtype);
  const size = shape.reduce((product, each) => product * each, 1);
  if (numbers.length !== size) throw badInput(`${port.name} has ${numbers.length} numbers; its shape [${shape.join(', ')}] needs ${size}`);
  const data = type.tfjs === 'float32' ? new Float32Array(size) : type.tfjs === 'bool' ? new Uint8Array(size) : new Int32Array(size);
  for (let i = 0; i < size; i++) data[i] = checked(numbers[i], type, port.name);
  return { shape, dtype: type.tfjs, data };
}

/**
 * @param {number[]} shape
 * @param {Port} port
 */
function checkShape(shape, { name, shape: expected }) {
  if (expected === null || (shape.length === expected.length && expected.every((size, i) => size === null || size === shape[i]))) return;
  throw badInput(`${name} must have the shape [${expected.map((size) => size ?? -1).join(', ')}], not [${shape.join(', ')}]`);
}

/**
 * @param {unknown} value
 * @param {number[]} shape
 * @param {unknown[]} found
 * @param {string} name
 * @returns {unknown[]}
 */
function flattened(value, shape, found, name) {
  if (shape.length === 0) {
    found.push(value);
    return found;
  }
  if (!Array.isArray(value) || value.length !== shape[0]) throw badInput(`${name} must have an array of ${shape[0]} where it has ${kindOf(value)}`);
  for (const item of value) flattened(item, shape.slice(1), found, name);
  return found;
}

/**
 * @param {unknown} value
 * @param {Type} type
 * @param {string} name
 * @returns {number}
 */
function checked(value, { range, tfjs }, name) {
  const number = tfjs === 'bool' && typeof value === 'boolean' ? Number(value) : value;
  if (typeof number !== 'number') throw badInput(`${name} must hold ${tfjs === 'bool' ? 'true and false' : 'numbers'}, not ${kindOf(value)}`);
  if (range && !(Number.isInteger(number) && number >= range[0] && number <= range[1])) {
    throw badInput(`${name} must hold whole numbers from ${range[0]} to ${range[1]}, not ${number}`);
  }
  if (!Number.isFinite(Math.fround(number))) throw badInput(`${name} holds a number that float32 has not: ${number}`);
  return number;
}

/**
 * @param {Buffer} bytes little-endian, as KServe's binary extension has them
 * @param {number[]} shape
 * @param {Port} port
 * @returns {Tensor}
 */
function fromBytes(bytes, shape, port) {
  const { bytes: width } = typeOf(port.dtype);
  const size = shape.reduce((product, each) => product * each, 1);
  if (bytes.length !== size * width) throw badInput(`${port.name} has ${bytes.length} bytes; its shape [${shape.join(', ')}] needs ${size * width}`);
  const numbers = new Array(size);
  for (let i = 0; i < size; i++) {
    const at = i * width;
    if (port.dtype === 'float32') numbers[i] = bytes.readFloatLE(at);
    else if (port.dtype === 'float64') numbers[i] = bytes.readDoubleLE(at);
    else if (port.dtype === 'int32') numbers[i] = bytes.readInt32LE(at);
    else if (port.dtype === 'int64') numbers[i] = Number(bytes.readBigInt64LE(at));
    else numbers[i] = bytes[at];
  }
  return fromNumbers(numbers, shape, port);
}

/**
 * @param {Tensor} tensor
 * @param {Port} port
 * @returns {any[]} its numbers, or texts, in one row
 * @throws {import('./errors').ServiceError} where one is not finite, which JSON cannot say
 */
function valuesOf({ data, dtype }, port) {
  const values = dtype === 'bool' ? Array.from(data, Boolean) : Array.from(data);
  if (dtype === 'float32' && !values.every(Number.isFinite)) throw badInput(`The model's answer ${port.name} is not finite for these values`);
  return values;
}

/**
 * @param {any[]} values
 * @param {Port} port
 * @returns {Buffer} as KServe's binary extension has them
 */
function toBytes(values, { dtype }) {
  const { bytes: width } = typeOf(dtype);
  const buffer = Buffer.alloc(values.length * width);
  values.forEach((value, i) => {
    const at = i * width;
    if (dtype === 'float64') buffer.writeDoubleLE(value, at);
    else if (dtype === 'int32') buffer.writeInt32LE(value, at);
    else if (dtype === 'int64') buffer.writeBigInt64LE(BigInt(value), at);
    else if (width === 1) buffer[at] = Number(value);
    else buffer.writeFloatLE(value, at);
  });
  return buffer;
}

/**
 * @param {any[]} values
 * @param {number[]} shape
 * @returns {any} nested arrays; a number where there is no dimension
 */
function nested(values, shape) {
  if (shape.length === 0) return values[0];
  if (shape.length === 1) return values;
  const step = shape.slice(1).reduce((product, each) => product * each, 1);
  return Array.from({ length: shape[0] }, (_, i) => nested(values.slice(i * step, (i + 1) * step), shape.slice(1)));
}

module.exports = { checkShape, fromBytes, fromNested, fromNumbers, nested, toBytes, typeOf, valuesOf };
