'use strict';

const { readElements, readFloats } = require('./binary_tensors');
const { badInput } = require('../../errors');
const { asFile, checkPixels, flatten, fromBase64 } = require('../../inputs');
const { field, isObject, kindOf } = require('../../json');

/** @type {Record<string, string>} */
const DATATYPES = { image_bytes: 'BYTES', pixels: 'UINT8', preprocessed: 'FP32' };

/**
 * @param {unknown} input as in the JSON
 * @param {Buffer | undefined} bytes its data, where they are behind the JSON
 * @param {import('../../inputs').Size} size
 * @param {{maxImages: number, maxPixels: number}} limits
 * @returns {import('../../inputs').Content}
 */
function readInput(input, bytes, size, limits) {
  if (!isObject(input)) throw badInput(`inputs[0] must be an object, not ${kindOf(input)}`);
  const name = field(input, 'name');
  const expected = Object.hasOwn(DATATYPES, String(name)) ? DATATYPES[String(name)] : undefined;
  if (typeof name !== 'string' || !expected) throw badInput(`inputs[0].name must be one of ${Object.keys(DATATYPES).join(', ')}, not ${kindOf(name)}`);
  const datatype = field(input, 'datatype');
  if (datatype !== expected) throw badInput(`The datatype of ${name} must be ${expected}, not ${kindOf(datatype)}`);
  if (field(field(input, 'parameters'), 'shared_memory_region') !== undefined) throw badInput('Shared memory is not supported; send tensors in the request');
  const shape = shapeOf(field(input, 'shape'), name);
  const data = field(input, 'data');
  if ((data === undefined) === (bytes === undefined)) throw badInput(`${name} must have either data or parameters.binary_data_size`);
  if (name === 'image_bytes') return imageFiles(shape, bytes, data, limits.maxImages);
  if (shape.length !== 4 || shape[3] !== 3) throw badInput(`The shape of ${name} must be [images, height, width, 3], not [${shape.join(', ')}]`);
  return name === 'pixels' ? rawPixels(shape, bytes, data, limits) : preprocessed(shape, bytes, data, size, limits.maxImages);
}

/**
 * @param {unknown} shape
 * @param {string} name
 * @returns {number[]}
 */
function shapeOf(shape, name) {
  const whole = (/** @type {unknown} */ size) => Number.isInteger(size) && Number(size) >= 1 && Number(size) < 2 ** 31;
  if (!Array.isArray(shape) || shape.length < 1 || shape.length > 4 || !shape.every(whole)) {
    throw badInput(`The shape of ${name} must be 1 to 4 whole numbers of at least 1, not ${JSON.stringify(shape)?.slice(0, 60)}`);
  }
  return shape;
}

/**
 * @param {number} count
 * @param {number} maxImages
 */
function checkImages(count, maxImages) {
  if (count > maxImages) throw badInput(`There are ${count} images in the request; at most ${maxImages} are taken`, 413);
}

/**
 * @param {number[]} shape [images] or [images, 1]
 * @param {Buffer | undefined} bytes
 * @param {unknown} data
 * @param {number} maxImages
 */
function imageFiles(shape, bytes, data, maxImages) {
  const [count] = shape;
  if (shape.length > 2 || (shape.length === 2 && shape[1] !== 1)) throw badInput(`The shape of image_bytes must be [images], not [${shape.join(', ')}]`);
  checkImages(count, maxImages);
  if (bytes) return { images: readElements(bytes, count, 'image_bytes') };
  const texts = Array.isArray(data) ? data.flat() : [];
  if (texts.length !== count) throw badInput(`image_bytes must have an array of ${count} base64 strings, not ${kindOf(data)}`);
  return { images: texts.map((text, i) => fromBase64(text, `image_bytes[${i}]`)) };
}

/**
 * @param {number[]} shape
 * @param {Buffer | undefined} bytes
 * @param {unknown} data
 * @param {{maxImages: number, maxPixels: number}} limits
 */
function rawPixels(shape, bytes, data, { maxImages, maxPixels }) {
  const [count, height, width] = shape;
  checkImages(count, maxImages);
  checkPixels(height, width, maxPixels, 'Each image of pixels');
  const one = height * width * 3;
  const values = bytes ?? numbers(shape, data, 'pixels', (length) => new Uint8Array(length));
  if (values.length !== count * one) throw badInput(`pixels has ${values.length} bytes; its shape needs ${count * one}`);
  return { images: Array.from({ length: count }, (_, i) => asFile(values.subarray(i * one, (i + 1) * one), height, width)) };
}

/**
 * @param {number[]} shape
 * @param {Buffer | undefined} bytes
 * @param {unknown} data
 * @param {import('../../inputs').Size} size
 * @param {number} maxImages
 */
function preprocessed(shape, bytes, data, { inputHeight, inputWidth }, maxImages) {
  const [count, height, width] = shape;
  checkImages(count, maxImages);
  if (height !== inputHeight || width !== inputWidth) {
    throw badInput(`The shape of preprocessed must be [images, ${inputHeight}, ${inputWidth}, 3], not [${shape.join(', ')}]`);
  }
  const length = count * height * width * 3;
  const values = bytes ? readFloats(bytes, length, 'preprocessed') : numbers(shape, data, 'preprocessed', (size) => new Float32Array(size));
  return { tensor: { shape, data: values } };
}

/**
 * Numbers of the JSON, either in one row or in nested arrays.
 *
 * @template {Float32Array | Uint8Array} T
 * @param {number[]} shape
 * @param {unknown} data
 * @param {string} name
 * @param {(length: number) => T} allocate
 * @returns {T}
 */
function numbers(shape, data, name, allocate) {
  const length = shape.reduce((product, each) => product * each);
  const flat = Array.isArray(data) && !Array.isArray(data[0]);
  if (!Array.isArray(data) || data.length !== (flat ? length : shape[0])) {
    throw badInput(`The data of ${name} must be ${length} numbers for the shape [${shape.join(', ')}], not ${kindOf(data)}`);
  }
  // An array claims its first size by its length alone; whether the rest is there is seen before anything is allocated for it.
  if (!flat && innerCount(data, shape.length) !== length) throw badInput(`The data of ${name} are not of the shape [${shape.join(', ')}]`);
  const values = allocate(length);
  flatten(data, flat ? [length] : shape, values, 0, name);
  return values;
}

/**
 * @param {unknown} value
 * @param {number} depth
 * @returns {number}
 */
function innerCount(value, depth) {
  if (!Array.isArray(value)) return 0;
  if (depth === 1) return value.length;
  return value.reduce((/** @type {number} */ sum, item) => sum + innerCount(item, depth - 1), 0);
}

module.exports = { readInput };
