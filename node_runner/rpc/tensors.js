'use strict';

/**
 * Arrays to the bytes of a frame and back, without copies.
 *
 * @typedef {import('./protocol').DType} DType
 * @typedef {import('./protocol').TensorDescriptor} TensorDescriptor
 * @typedef {{descriptor: TensorDescriptor, chunks: Uint8Array[]}} EncodedTensor
 */

const { NDArray } = require('./ndarray');
const { INVALID_REQUEST, MAX_PAYLOAD_BYTES, MAX_TENSOR_RANK } = require('./protocol');
const { RpcError } = require('./errors');

/** @type {Record<string, {view: any, perElement: number}>} */
const LAYOUTS = {
  bool: { view: Uint8Array, perElement: 1 },
  int8: { view: Int8Array, perElement: 1 },
  uint8: { view: Uint8Array, perElement: 1 },
  int16: { view: Int16Array, perElement: 1 },
  uint16: { view: Uint16Array, perElement: 1 },
  int32: { view: Int32Array, perElement: 1 },
  uint32: { view: Uint32Array, perElement: 1 },
  int64: { view: BigInt64Array, perElement: 1 },
  uint64: { view: BigUint64Array, perElement: 1 },
  float16: { view: Uint16Array, perElement: 1 },
  float32: { view: Float32Array, perElement: 1 },
  float64: { view: Float64Array, perElement: 1 },
  complex64: { view: Float32Array, perElement: 2 },
};

const DTYPE_OF_VIEW = new Map(
  Object.entries({
    Int8Array: 'int8',
    Uint8Array: 'uint8',
    Uint8ClampedArray: 'uint8',
    Buffer: 'uint8',
    Int16Array: 'int16',
    Uint16Array: 'uint16',
    Int32Array: 'int32',
    Uint32Array: 'uint32',
    BigInt64Array: 'int64',
    BigUint64Array: 'uint64',
    Float16Array: 'float16',
    Float32Array: 'float32',
    Float64Array: 'float64',
  }),
);

/** @param {string} dtype */
const isDType = (dtype) => dtype === 'string' || Object.hasOwn(LAYOUTS, dtype);

/** @param {number[]} shape */
const sizeOf = (shape) => shape.reduce((product, length) => product * length, 1);

/** @param {unknown} value */
const isLength = (value) => Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= MAX_PAYLOAD_BYTES;

/**
 * Check a frame's descriptors against each other and the payload, before anything is allocated.
 *
 * @param {unknown} descriptors
 * @param {number} payloadBytes
 * @returns {TensorDescriptor[]}
 */
function checkDescriptors(descriptors, payloadBytes) {
  if (!Array.isArray(descriptors)) throw new RpcError(INVALID_REQUEST, '`tensors` must be a list');
  let total = 0;
  descriptors.forEach((descriptor, index) => {
    const problem = problemOf(descriptor);
    if (problem) throw new RpcError(INVALID_REQUEST, `tensor ${index}: ${problem}`);
    total += descriptor.nbytes;
  });
  if (total !== payloadBytes) {
    throw new RpcError(INVALID_REQUEST, `the tensors need ${total} bytes, but the frame carries ${payloadBytes}`);
  }
  return descriptors;
}

/**
 * @param {any} descriptor
 * @returns {string|undefined}
 */
function problemOf(descriptor) {
  if (descriptor === null || typeof descriptor !== 'object') return 'its descriptor is not an object';
  const { dtype, shape, nbytes } = descriptor;
  if (typeof dtype !== 'string' || !isDType(dtype)) return `unknown dtype ${JSON.stringify(dtype)}`;
  if (!Array.isArray(shape) || shape.length > MAX_TENSOR_RANK) return 'its shape is not a list of at most 32 lengths';
  if (![...shape, nbytes].every(isLength)) return 'its shape or size is not made of valid lengths';
  // Zero-sized dimensions must not hide others that no array could have.
  if (sizeOf(shape.map((length) => Math.max(length, 1))) > MAX_PAYLOAD_BYTES) return 'it is too large';
  const count = sizeOf(shape);
  if (dtype === 'string') return nbytes >= 8 * (count + 1) ? undefined : `${count} strings cannot fit into ${nbytes} bytes`;
  const { view, perElement } = LAYOUTS[dtype];
  const expected = count * perElement * view.BYTES_PER_ELEMENT;
  return nbytes === expected ? undefined : `${dtype} of shape [${shape}] has ${expected} bytes, not ${nbytes}`;
}

/**
 * Turn the received bytes of a described tensor into an array over the same memory.
 *
 * @param {TensorDescriptor} descriptor
 * @param {ArrayBuffer} buffer which may be longer
 * @returns {NDArray}
 */
function decodeTensor({ dtype, shape, nbytes }, buffer) {
  if (dtype === 'string') return new NDArray(dtype, shape, decodeStrings(sizeOf(shape), buffer, nbytes));
  const { view, perElement } = LAYOUTS[dtype];
  return new NDArray(dtype, shape, new view(buffer, 0, sizeOf(shape) * perElement));
}

/**
 * @param {number} count
 * @param {ArrayBuffer} buffer
 * @param {number} nbytes
 * @returns {Uint8Array[]}
 */
function decodeStrings(count, buffer, nbytes) {
  const offsets = new BigUint64Array(buffer, 0, count + 1);
  const body = Buffer.from(buffer, offsets.byteLength, nbytes - offsets.byteLength);
  /** @type {Uint8Array[]} */
  const strings = new Array(count);
  let start = 0;
  for (let index = 0; index < count; index += 1) {
    const end = Number(offsets[index + 1]);
    if (end < start || end > body.length) break;
    strings[index] = body.subarray(start, end);
    start = end;
  }
  if (offsets[0] !== 0n || start !== body.length || Number(offsets[count]) !== body.length) {
    throw new RpcError(INVALID_REQUEST, `the offsets of a string tensor of ${count} elements are damaged`);
  }
  return strings;
}

/**
 * Recognise what crosses as a tensor: an NDArray or any object with its three members, a TensorFlow.js tensor or variable, a
 * typed array, Buffer, DataView or ArrayBuffer. The bytes are referenced, so the data must not change after they were handed over.
 * A TensorFlow.js tensor is read at once and not disposed.
 *
 * @param {any} value
 * @returns {EncodedTensor|undefined}
 */
function encodeIfTensor(value) {
  if (ArrayBuffer.isView(value)) return encodeView(value);
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return encodeView(new Uint8Array(value));
  if (typeof value.dtype !== 'string' || !Array.isArray(value.shape)) return undefined;
  if (typeof value.dataSync === 'function') return encodeArray(value.dtype, value.shape, readTensor(value));
  if (!isDType(value.dtype) || typeof value.data !== 'object') return undefined;
  return encodeArray(value.dtype, value.shape, value.data);
}

/** @param {any} tensor */
function readTensor(tensor) {
  const data = tensor.dataSync();
  if (tensor.dtype !== 'string') return data;
  return Array.from(data, (text) => {
    // TensorFlow.js has decoded the bytes as UTF-8 already; U+FFFD says that it could not.
    if (text.includes('\ufffd')) {
      throw new TypeError('a string tensor holds bytes that are not UTF-8; return `await tensor.bytes()` instead');
    }
    return Buffer.from(text);
  });
}

/** @param {any} view */
function encodeView(view) {
  const name = view.constructor?.name ?? '';
  const dtype = DTYPE_OF_VIEW.get(name) ?? DTYPE_OF_VIEW.get(view[Symbol.toStringTag]) ?? 'uint8';
  return encodeArray(dtype, [dtype === 'uint8' ? view.byteLength : view.length], view);
}

/**
 * @param {string} dtype
 * @param {number[]} shape
 * @param {any} data
 * @returns {EncodedTensor}
 */
function encodeArray(dtype, shape, data) {
  if (dtype === 'string') return encodeStrings(shape, data);
  const layout = LAYOUTS[dtype];
  if (!layout) throw new TypeError(`a tensor of dtype ${dtype} cannot cross to Python`);
  if (!ArrayBuffer.isView(data)) throw new TypeError(`the data of a ${dtype} array must be a typed array`);
  const nbytes = sizeOf(shape) * layout.perElement * layout.view.BYTES_PER_ELEMENT;
  if (nbytes !== data.byteLength) {
    throw new RangeError(`${dtype} of shape [${shape}] needs ${nbytes} bytes, but its data have ${data.byteLength}`);
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { descriptor: { dtype: /** @type {DType} */ (dtype), shape, nbytes }, chunks: nbytes ? [bytes] : [] };
}

/**
 * @param {number[]} shape
 * @param {any} data
 * @returns {EncodedTensor}
 */
function encodeStrings(shape, data) {
  /** @type {Uint8Array[]} */
  const items = Array.from(data, (item) => (typeof item === 'string' ? Buffer.from(item) : item));
  if (items.length !== sizeOf(shape) || !items.every((item) => item instanceof Uint8Array)) {
    throw new TypeError(`a string array of shape [${shape}] needs ${sizeOf(shape)} strings or Uint8Arrays as its data`);
  }
  const offsets = new BigUint64Array(items.length + 1);
  let end = 0;
  items.forEach((item, index) => {
    end += item.byteLength;
    offsets[index + 1] = BigInt(end);
  });
  return {
    descriptor: { dtype: 'string', shape, nbytes: offsets.byteLength + end },
    chunks: [new Uint8Array(offsets.buffer), Buffer.concat(items)],
  };
}

module.exports = { checkDescriptors, decodeTensor, encodeIfTensor };
