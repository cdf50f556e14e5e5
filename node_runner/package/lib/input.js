'use strict';

const { DeployError, ImageError } = require('./errors');
const { checkBytes } = require('./image/decode');
const { isStream, readResponse, readStream } = require('./streams');

/**
 * @typedef {import('./image/decode').Picture} Picture
 * @typedef {import('./prepare').Source} Source
 * @typedef {{shape: number[], dtype: string, data: () => Promise<ArrayLike<number>>}} TensorLike
 * @typedef {{readFile?: (place: string | URL, maxBytes: number) => Promise<Uint8Array>, maxPixels: number, maxBytes: number}} Reading
 *   `readFile` is absent in browsers
 */

const KINDS =
  'Give the bytes of an image file (Buffer, Uint8Array, ArrayBuffer, Blob, Response, a stream), its path or file: address, ' +
  '{data, width, height}, or an int32 tensor of shape [height, width, 3]';

/**
 * Brings whatever stands for a picture to its bytes or pixels, in memory of their own: what the caller gave stays as it is.
 *
 * @param {any} input
 * @param {Reading} reading
 * @param {AbortSignal} [signal] ends the reading of a stream
 * @returns {Promise<Source>}
 * @throws {DeployError} where it is nothing of this kind
 * @throws {ImageError} where it cannot be read, or is too large
 */
async function toSource(input, reading, signal) {
  if (typeof input === 'string' || (typeof URL !== 'undefined' && input instanceof URL)) {
    const [scheme] = /^[a-z][a-z0-9+-]+:\/\//i.exec(String(input)) ?? ['file://'];
    if (scheme.toLowerCase() !== 'file://') throw unusable(`an address with ${scheme}, which is not fetched here: give the Response of fetch`);
    if (!reading.readFile) throw unusable('a string: there are no paths in a browser');
    const bytes = await reading.readFile(input, reading.maxBytes);
    return { bytes: bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes) };
  }
  if (typeof input !== 'object' || input === null) throw unusable(input === null ? 'null' : typeof input);
  if (ArrayBuffer.isView(input)) return copyOf(new Uint8Array(input.buffer, input.byteOffset, input.byteLength), reading);
  if (isBuffer(input)) return copyOf(new Uint8Array(input), reading);
  if (typeof Blob !== 'undefined' && input instanceof Blob) {
    checkBytes(input.size, reading.maxBytes);
    return { bytes: new Uint8Array(await input.arrayBuffer()) };
  }
  if (typeof Response !== 'undefined' && input instanceof Response) return { bytes: await readResponse(input, reading.maxBytes, signal) };
  if (isStream(input)) return { bytes: await readStream(input, reading.maxBytes, signal) };
  if (Array.isArray(input.shape) && typeof input.data === 'function') return { picture: await fromTensor(input, reading.maxPixels) };
  if ('width' in input && 'height' in input && 'data' in input) return { picture: fromPixels(input, reading.maxPixels) };
  throw unusable('an object of another kind');
}

/**
 * @param {object} input
 * @returns {input is ArrayBuffer}
 */
function isBuffer(input) {
  // Not `instanceof`: buffers of another realm (a worker, a test's sandbox) are as good.
  return ['[object ArrayBuffer]', '[object SharedArrayBuffer]'].includes(Object.prototype.toString.call(input));
}

/**
 * @param {Uint8Array} bytes
 * @param {Reading} reading
 * @returns {Source}
 */
function copyOf(bytes, { maxBytes }) {
  checkBytes(bytes.length, maxBytes);
  return { bytes: new Uint8Array(bytes) };
}

/**
 * @param {TensorLike} tensor
 * @param {number} maxPixels
 * @returns {Promise<Picture>}
 */
async function fromTensor(tensor, maxPixels) {
  const { shape, dtype } = tensor;
  const [height, width, channels] = shape;
  if (shape.length !== 3 || ![1, 3, 4].includes(channels) || dtype !== 'int32') {
    throw unusable(`a ${dtype} tensor of shape [${shape.join(', ')}]`);
  }
  checkSize(width, height, maxPixels);
  const values = await tensor.data();
  for (let i = 0; i < values.length; i++) {
    if (values[i] < 0 || values[i] > 255) throw unusable(`a tensor with the value ${values[i]}; pixels are 0 to 255`);
  }
  return { width, height, pixels: rgb(values, channels, width * height) };
}

/**
 * @param {{data: any, width: number, height: number}} image such as a canvas's ImageData
 * @param {number} maxPixels
 * @returns {Picture}
 */
function fromPixels({ data, width, height }, maxPixels) {
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw unusable('{data, width, height} whose data are not a Uint8Array or Uint8ClampedArray');
  }
  checkSize(width, height, maxPixels);
  const channels = data.length / (width * height);
  if (![1, 3, 4].includes(channels)) {
    throw unusable(`${data.length} numbers for ${width} x ${height} pixels, which need 1, 3 (RGB) or 4 (RGBA) for each`);
  }
  return { width, height, pixels: channels === 3 ? data.slice() : rgb(data, channels, width * height) };
}

/**
 * @param {unknown} width
 * @param {unknown} height
 * @param {number} maxPixels
 */
function checkSize(width, height, maxPixels) {
  const whole = (/** @type {unknown} */ side) => Number.isInteger(side) && Number(side) >= 1;
  if (!whole(width) || !whole(height)) throw unusable(`a picture of ${String(width)} x ${String(height)} pixels`);
  if (Number(width) * Number(height) > maxPixels) {
    throw new ImageError(`The image has ${width} x ${height} pixels; at most ${maxPixels} are taken`, 'ERR_IMAGE_TOO_LARGE');
  }
}

/**
 * @param {ArrayLike<number>} values
 * @param {number} channels 1 is repeated, of 4 the last (alpha) is dropped, as in training
 * @param {number} count of pixels
 * @returns {Uint8Array}
 */
function rgb(values, channels, count) {
  const pixels = new Uint8Array(count * 3);
  const step = channels === 1 ? 0 : 1;
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < 3; k++) pixels[3 * i + k] = values[channels * i + k * step];
  }
  return pixels;
}

/**
 * @param {string} what
 * @returns {DeployError}
 */
function unusable(what) {
  return new DeployError(`The input is ${what}. ${KINDS}.`, 'ERR_INPUT');
}

module.exports = { toSource };
