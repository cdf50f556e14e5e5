'use strict';

/**
 * @typedef {import('./protocol').DType} DType
 * @typedef {Int8Array|Uint8Array|Int16Array|Uint16Array|Int32Array|Uint32Array|BigInt64Array|BigUint64Array|Float32Array
 *   |Float64Array} TypedArray
 * @typedef {TypedArray|Uint8Array[]} NDArrayData
 */

/**
 * An n-dimensional array as it crosses the pipe, in C order.
 *
 * `data` by dtype: the typed array of the same name; bool: Uint8Array of 0 and 1; float16: Uint16Array of the bits; complex64:
 * Float32Array of real and imaginary parts in turn; string: a list of Uint8Array, one for each element.
 */
class NDArray {
  /**
   * @param {DType} dtype
   * @param {number[]} shape
   * @param {NDArrayData} data
   */
  constructor(dtype, shape, data) {
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
  }

  /**
   * @param {any} tensor  a TensorFlow.js tensor; it stays the caller's
   * @returns {NDArray}
   */
  static fromTensor(tensor) {
    const data = tensor.dtype === 'string' ? tensor.bytesSync?.() ?? tensor.dataSync() : tensor.dataSync();
    return new NDArray(tensor.dtype, tensor.shape, data);
  }

  /** Number of elements. */
  get size() {
    return this.shape.reduce((product, length) => product * length, 1);
  }

  /**
   * Make a TensorFlow.js tensor. Integer types become int32 and float16/float64 become float32, since TensorFlow.js has no
   * others; an integer that int32 cannot hold throws a RangeError.
   *
   * The tensor of a float32, int32 or bool array may share its memory.
   *
   * @param {any} tf  the TensorFlow.js namespace
   * @returns {any}
   */
  toTensor(tf) {
    const { dtype, shape, data } = this;
    switch (dtype) {
      case 'float32':
      case 'int32':
      case 'bool':
      case 'string':
        return tf.tensor(data, shape, dtype);
      case 'float64':
        return tf.tensor(Float32Array.from(/** @type {Float64Array} */ (data)), shape, 'float32');
      case 'float16':
        return tf.tensor(Float32Array.from(/** @type {Uint16Array} */ (data), halfToNumber), shape, 'float32');
      case 'complex64':
        return toComplexTensor(tf, /** @type {Float32Array} */ (data), shape);
      default:
        return tf.tensor(toInt32(/** @type {TypedArray} */ (data), dtype), shape, 'int32');
    }
  }
}

/**
 * @param {any} tf
 * @param {Float32Array} data
 * @param {number[]} shape
 */
function toComplexTensor(tf, data, shape) {
  const count = data.length / 2;
  const real = Float32Array.from({ length: count }, (_, index) => data[2 * index]);
  const imaginary = Float32Array.from({ length: count }, (_, index) => data[2 * index + 1]);
  return tf.tidy(() => tf.complex(tf.tensor(real, shape, 'float32'), tf.tensor(imaginary, shape, 'float32')));
}

/**
 * @param {TypedArray} data
 * @param {DType} dtype
 */
function toInt32(data, dtype) {
  const values = new Int32Array(data.length);
  for (let index = 0; index < data.length; index += 1) {
    const value = Number(data[index]);
    values[index] = value;
    if (values[index] !== value) {
      throw new RangeError(`element ${index} of this ${dtype} array is ${data[index]}, which int32 cannot hold`);
    }
  }
  return values;
}

/**
 * IEEE 754 binary16: 1 sign bit, 5 exponent bits with bias 15, 10 fraction bits.
 *
 * @param {number} bits
 */
function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

module.exports = { NDArray };
