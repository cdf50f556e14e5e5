'use strict';

const { badInput } = require('./errors');
const { kindOf } = require('./json');

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
const BMP_HEADER = 54;

/**
 * What a request asks about: files of images, or images that the client has preprocessed.
 *
 * @typedef {{images: Buffer[]} | {tensor: {shape: number[], data: Float32Array}}} Content
 *
 * @typedef {{inputHeight: number, inputWidth: number}} Size of the model's input
 */

/**
 * @param {unknown} given
 * @param {string} what
 * @returns {Buffer}
 */
function fromBase64(given, what) {
  if (typeof given !== 'string') throw badInput(`${what} must be a base64 string, not ${kindOf(given)}`);
  // Many encoders wrap lines, and TensorFlow Serving takes them.
  const text = /\s/.test(given) ? given.replace(/\s+/g, '') : given;
  if (text.startsWith('data:')) throw badInput(`${what} is a data: URL; send only what follows the comma`);
  if (!BASE64.test(text) || text.replace(/=+$/, '').length % 4 === 1) throw badInput(`${what} is not base64`);
  if (text.length === 0) throw badInput(`${what} is empty`);
  return Buffer.from(text, 'base64');
}

/**
 * Nested arrays into one row of numbers.
 *
 * @param {unknown} value
 * @param {number[]} shape that it must have
 * @param {Float32Array | Uint8Array} target
 * @param {number} at where in `target` it begins
 * @param {string} what
 * @returns {number} where it ends
 * @throws {import('./errors').ServiceError} where it has another shape, or something in it is not a finite number
 */
function flatten(value, shape, target, at, what) {
  if (shape.length === 0) {
    target[at] = checkNumber(value, target instanceof Uint8Array, what);
    return at + 1;
  }
  if (!Array.isArray(value) || value.length !== shape[0]) {
    throw badInput(`${what} must have an array of ${shape[0]} where it has ${kindOf(value)}`);
  }
  let end = at;
  for (const item of value) end = flatten(item, shape.slice(1), target, end, what);
  return end;
}

/**
 * @param {unknown} value
 * @param {boolean} whole from 0 to 255
 * @param {string} what
 * @returns {number}
 */
function checkNumber(value, whole, what) {
  if (typeof value !== 'number') throw badInput(`${what} must hold numbers, not ${kindOf(value)}`);
  if (whole && !(Number.isInteger(value) && value >= 0 && value <= 255)) {
    const scaled = value >= -1 && value <= 1 ? '. They look scaled already: send the pixels as they are, or as preprocessed what the model takes' : '';
    throw badInput(`${what} must hold whole numbers from 0 to 255, not ${value}${scaled}`);
  }
  if (!Number.isFinite(Math.fround(value))) throw badInput(`${what} holds a number that float32 has not: ${value}`);
  return value;
}

/**
 * @param {unknown[]} rows each nested arrays of shape [height, width, 3]
 * @param {Size} size
 * @param {(index: number) => string} whatOf
 * @returns {Content}
 */
function preprocessed(rows, { inputHeight, inputWidth }, whatOf) {
  const one = inputHeight * inputWidth * 3;
  const data = new Float32Array(rows.length * one);
  rows.forEach((row, i) => flatten(row, [inputHeight, inputWidth, 3], data, i * one, whatOf(i)));
  return { tensor: { shape: [rows.length, inputHeight, inputWidth, 3], data } };
}

/**
 * @param {unknown[]} rows each nested arrays of shape [any height, any width, 3] with whole numbers from 0 to 255
 * @param {number} maxPixels
 * @param {(index: number) => string} whatOf
 * @returns {Content}
 */
function pixels(rows, maxPixels, whatOf) {
  const images = rows.map((row, i) => {
    const [height, width] = [lengthOf(row), lengthOf(Array.isArray(row) ? row[0] : undefined)];
    if (!height || !width) throw badInput(`${whatOf(i)} must be arrays [height][width][3], not ${kindOf(row)}`);
    checkPixels(height, width, maxPixels, whatOf(i));
    const data = new Uint8Array(height * width * 3);
    flatten(row, [height, width, 3], data, 0, whatOf(i));
    return asFile(data, height, width);
  });
  return { images };
}

/**
 * @param {number} height
 * @param {number} width
 * @param {number} maxPixels
 * @param {string} what
 */
function checkPixels(height, width, maxPixels, what) {
  if (height * width > maxPixels) throw badInput(`${what} has ${width} x ${height} pixels; at most ${maxPixels} are taken`, 413);
}

/**
 * Pixels as the bytes of a BMP file, which keeps them exactly: there is one way to the model for all pictures.
 *
 * @param {Uint8Array} rgb of shape [height, width, 3]
 * @param {number} height
 * @param {number} width
 * @returns {Buffer}
 */
function asFile(rgb, height, width) {
  const stride = (width * 3 + 3) & ~3;
  const file = Buffer.alloc(BMP_HEADER + stride * height);
  file.write('BM', 'latin1');
  file.writeUInt32LE(file.length, 2);
  file.writeUInt32LE(BMP_HEADER, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(width, 18);
  file.writeInt32LE(height, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(24, 28);
  for (let y = 0, at = 0; y < height; y++) {
    // The last row comes first, and blue before green before red.
    let to = BMP_HEADER + (height - 1 - y) * stride;
    for (let x = 0; x < width; x++, at += 3, to += 3) {
      file[to] = rgb[at + 2];
      file[to + 1] = rgb[at + 1];
      file[to + 2] = rgb[at];
    }
  }
  return file;
}

/**
 * @param {unknown} value
 * @returns {number}
 */
function lengthOf(value) {
  return Array.isArray(value) ? value.length : 0;
}

module.exports = { asFile, checkPixels, flatten, fromBase64, pixels, preprocessed };
