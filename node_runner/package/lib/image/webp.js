'use strict';

const { damaged } = require('../errors');
const { ascii } = require('./format');

/**
 * @typedef {object} Chunk
 * @property {string} name
 * @property {number} start of its content
 * @property {number} end of its content
 *
 * @typedef {object} Webp
 * @property {number} width of the canvas
 * @property {number} height
 * @property {Uint8Array} still a file of the first picture alone
 * @property {number} left where it lies on the canvas
 * @property {number} top
 * @property {Uint8Array | null} exif
 */

/**
 * Reads what a WebP file is made of, and brings its first picture, of several, into a file of its own. Nothing is decoded.
 *
 * @param {Uint8Array} data
 * @returns {Webp}
 * @throws {import('../errors').ImageError} where the file is damaged
 */
function readWebp(data) {
  const found = [...chunks(data, 12, data.length)];
  const exif = found.find(({ name }) => name === 'EXIF');
  const described = { left: 0, top: 0, exif: exif ? data.subarray(exif.start, exif.end) : null };
  const extended = found.find(({ name }) => name === 'VP8X');
  if (!extended) {
    const image = found.find(({ name }) => name === 'VP8 ' || name === 'VP8L');
    if (!image) throw damaged('it holds no picture');
    return { ...described, ...sizeOf(data, image), still: data };
  }
  if (extended.end - extended.start < 10) throw damaged('its header is too short');
  const canvas = { width: 1 + u24(data, extended.start + 4), height: 1 + u24(data, extended.start + 7) };
  const frame = found.find(({ name }) => name === 'ANMF');
  if (!frame) return { ...described, ...canvas, still: data };
  const { start } = frame;
  const [left, top] = [2 * u24(data, start), 2 * u24(data, start + 3)];
  const [width, height] = [1 + u24(data, start + 6), 1 + u24(data, start + 9)];
  if (left + width > canvas.width || top + height > canvas.height) throw damaged('its first frame lies outside of it');
  return { ...described, ...canvas, left, top, still: stillOf(data, frame, width, height) };
}

/**
 * @param {Uint8Array} data
 * @returns {Generator<{width: number, height: number}>} the sizes of the frames of an animation
 */
function* framesOfWebp(data) {
  for (const { name, start, end } of chunks(data, 12, data.length)) {
    if (name === 'ANMF' && end - start >= 12) yield { width: 1 + u24(data, start + 6), height: 1 + u24(data, start + 9) };
  }
}

/**
 * @param {Uint8Array} data
 * @param {number} at
 * @param {number} end
 * @returns {Generator<Chunk>}
 */
function* chunks(data, at, end) {
  while (at + 8 <= end) {
    const size = u24(data, at + 4) + data[at + 7] * 2 ** 24;
    yield { name: ascii(data, at, 4), start: at + 8, end: Math.min(at + 8 + size, end) };
    at += 8 + size + (size % 2);
  }
}

/**
 * @param {Uint8Array} data
 * @param {Chunk} frame
 * @param {number} width
 * @param {number} height
 * @returns {Uint8Array}
 */
function stillOf(data, frame, width, height) {
  const parts = [...chunks(data, frame.start + 16, frame.end)].filter(({ name }) => ['ALPH', 'VP8 ', 'VP8L'].includes(name));
  const hasAlpha = parts.some(({ name }) => name === 'ALPH');
  const header = hasAlpha ? 18 : 0;
  const length = parts.reduce((sum, { start, end }) => sum + 8 + (end - start) + ((end - start) % 2), 12 + header);
  const file = new Uint8Array(length);
  const view = new DataView(file.buffer);
  const put = (/** @type {string} */ text, /** @type {number} */ at) => {
    for (let i = 0; i < text.length; i++) file[at + i] = text.charCodeAt(i);
  };
  put('RIFF', 0);
  view.setUint32(4, length - 8, true);
  put('WEBP', 8);
  if (hasAlpha) {
    put('VP8X', 12);
    view.setUint32(16, 10, true);
    file[20] = 0x10;
    view.setUint16(24, (width - 1) & 0xffff, true);
    file[26] = (width - 1) >> 16;
    view.setUint16(27, (height - 1) & 0xffff, true);
    file[29] = (height - 1) >> 16;
  }
  let at = 12 + header;
  for (const { name, start, end } of parts) {
    put(name, at);
    view.setUint32(at + 4, end - start, true);
    file.set(data.subarray(start, end), at + 8);
    at += 8 + (end - start) + ((end - start) % 2);
  }
  return file;
}

/**
 * @param {Uint8Array} data
 * @param {Chunk} chunk of a picture
 * @returns {{width: number, height: number}}
 */
function sizeOf(data, { name, start, end }) {
  if (end - start < 10) throw damaged('the file ends too early');
  if (name === 'VP8L') {
    const bits = u24(data, start + 1) + data[start + 4] * 2 ** 24;
    return { width: 1 + (bits & 0x3fff), height: 1 + (Math.floor(bits / 2 ** 14) & 0x3fff) };
  }
  return { width: (data[start + 6] | (data[start + 7] << 8)) & 0x3fff, height: (data[start + 8] | (data[start + 9] << 8)) & 0x3fff };
}

/**
 * @param {Uint8Array} data
 * @param {number} at
 * @returns {number}
 */
function u24(data, at) {
  return data[at] | (data[at + 1] << 8) | (data[at + 2] << 16);
}

module.exports = { framesOfWebp, readWebp };
