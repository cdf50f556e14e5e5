'use strict';

const { damaged, tooLarge } = require('../errors');
const { MOST_FRAMES, checkFrames } = require('./structure');

/**
 * @typedef {object} Frame
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 * @property {boolean} interlaced
 * @property {Uint8Array | null} palette of its own
 * @property {number} transparent number of the colour that is not painted, -1 without
 * @property {number} position of its compressed data
 */

/**
 * Decodes the first picture of a GIF file as TensorFlow does: the canvas is as large as the largest of the frames, what the first
 * leaves free of it or transparent is black.
 *
 * @param {Uint8Array} data
 * @param {number} maxPixels
 * @returns {import('./decode').Picture}
 * @throws {import('../errors').ImageError} where the file is damaged
 */
function decodeGif(data, maxPixels) {
  const { shared, frames, width, height } = canvasOf(data);
  const [frame] = frames;
  if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
  checkFrames(frames.length, frames.reduce((sum, one) => sum + one.width * one.height, 0));
  if (frame.width === 0 || frame.height === 0) throw damaged('it is empty');
  const palette = frame.palette ?? shared;
  if (!palette) throw damaged('its palette is missing');
  const { bytes } = readBlocks(data, frame.position + 1);
  const indices = unpack(bytes, data[frame.position], frame.width * frame.height);

  const pixels = new Uint8ClampedArray(width * height * 3);
  const rows = frame.interlaced ? interlacedRows(frame.height) : null;
  for (let row = 0; row < frame.height; row++) {
    const y = frame.top + (rows ? rows[row] : row);
    for (let column = 0; column < frame.width; column++) {
      const index = 3 * indices[row * frame.width + column];
      const x = frame.left + column;
      if (index >= palette.length) throw damaged('a colour is outside of its palette');
      if (y >= height || x >= width || index === 3 * frame.transparent) continue;
      for (let k = 0; k < 3; k++) pixels[3 * (y * width + x) + k] = palette[index + k];
    }
  }
  return { width, height, pixels };
}

/**
 * @param {Uint8Array} data
 * @returns {{shared: Uint8Array | null, frames: Frame[], width: number, height: number}} the palette of all frames, the frames, and the
 *   canvas that holds the largest of them
 * @throws {import('../errors').ImageError} where the file is damaged
 */
function canvasOf(data) {
  if (data.length < 13) throw tooShort();
  const shared = data[10] & 0x80 ? readPalette(data, 13, data[10]) : null;
  const frames = readFrames(data, 13 + (shared?.length ?? 0));
  const largest = (/** @type {'width' | 'height'} */ side) => frames.reduce((most, frame) => Math.max(most, frame[side]), 0);
  return { shared, frames, width: largest('width'), height: largest('height') };
}

/**
 * Finds all frames. Those after the first may be cut off; they matter for the size only.
 *
 * @param {Uint8Array} data
 * @param {number} position
 * @returns {Frame[]} at least one
 */
function readFrames(data, position) {
  /** @type {Frame[]} */
  const frames = [];
  let transparent = -1;
  try {
    for (;;) {
      if (position >= data.length) throw tooShort();
      const kind = data[position++];
      if (kind === 0x3b) break;
      if (kind === 0x2c) {
        const frame = { ...readFrame(data, position), transparent };
        frames.push(frame);
        if (frames.length > MOST_FRAMES) break;
        transparent = -1;
        position = skipBlocks(data, frame.position + 1);
      } else if (kind === 0x21) {
        // A graphic control extension: its length, flags, delay (2 bytes) and transparent colour.
        if (data[position] === 0xf9 && data[position + 1] === 4) transparent = data[position + 2] & 1 ? data[position + 5] : -1;
        position = skipBlocks(data, position + 1);
      } else {
        throw damaged('it holds an unknown block');
      }
    }
  } catch (error) {
    if (frames.length === 0) throw error;
  }
  if (frames.length === 0) throw damaged('it holds no picture');
  return frames;
}

/**
 * @param {Uint8Array} data
 * @param {number} position
 * @returns {Omit<Frame, 'transparent'>}
 */
function readFrame(data, position) {
  if (position + 9 > data.length) throw tooShort();
  const [left, top, width, height] = [0, 2, 4, 6].map((offset) => data[position + offset] | (data[position + offset + 1] << 8));
  const flags = data[position + 8];
  const palette = flags & 0x80 ? readPalette(data, position + 9, flags) : null;
  return { left, top, width, height, interlaced: (flags & 0x40) !== 0, palette, position: position + 9 + (palette?.length ?? 0) };
}

/**
 * @param {Uint8Array} data
 * @param {number} position
 * @param {number} flags whose lowest three bits tell its size
 * @returns {Uint8Array}
 */
function readPalette(data, position, flags) {
  const end = position + 3 * (2 << (flags & 7));
  if (end > data.length) throw tooShort();
  return data.subarray(position, end);
}

/**
 * @param {Uint8Array} data
 * @param {number} position
 * @returns {number} what follows the empty block that ends them
 */
function skipBlocks(data, position) {
  while (position < data.length && data[position] !== 0) position += 1 + data[position];
  if (position >= data.length) throw tooShort();
  return position + 1;
}

/**
 * @param {Uint8Array} data
 * @param {number} position
 * @returns {{bytes: Uint8Array}} the joined blocks up to an empty one
 */
function readBlocks(data, position) {
  const bytes = new Uint8Array(data.length - position);
  let filled = 0;
  for (;;) {
    if (position >= data.length) throw tooShort();
    const size = data[position++];
    if (size === 0) return { bytes: bytes.subarray(0, filled) };
    if (position + size > data.length) throw tooShort();
    bytes.set(data.subarray(position, position + size), filled);
    filled += size;
    position += size;
  }
}

/**
 * Undoes GIF's LZW (GIF89a specification, appendix F).
 *
 * @param {Uint8Array} bytes
 * @param {number} codeSize bits of a colour
 * @param {number} count of pixels
 * @returns {Uint8Array}
 */
function unpack(bytes, codeSize, count) {
  if (!(codeSize >= 1 && codeSize <= 8)) throw damaged('its code size is impossible');
  const out = new Uint8Array(count);
  const clear = 1 << codeSize;
  const prefix = new Uint16Array(4096);
  const suffix = new Uint8Array(4096);
  const length = new Uint16Array(4096).fill(1, 0, clear);
  for (let i = 0; i < clear; i++) suffix[i] = i;
  let next = clear + 2;
  let width = codeSize + 1;
  let before = -1;
  let buffer = 0;
  let bits = 0;
  let position = 0;
  let filled = 0;
  while (filled < count) {
    while (bits < width) {
      if (position >= bytes.length) throw tooShort();
      buffer |= bytes[position++] << bits;
      bits += 8;
    }
    const code = buffer & ((1 << width) - 1);
    buffer >>>= width;
    bits -= width;
    if (code === clear) {
      next = clear + 2;
      width = codeSize + 1;
      before = -1;
      continue;
    }
    if (code === clear + 1) throw tooShort();
    if (code > next || (code === next && before < 0) || (code >= clear && before < 0)) throw damaged('it holds an impossible code');
    // The code that is about to be defined: the string before, and its own first letter again.
    const known = code < next;
    const size = known ? length[code] : length[before] + 1;
    let walk = known ? code : before;
    let at = filled + (known ? size : size - 1) - 1;
    for (; at > filled; at--, walk = prefix[walk]) if (at < count) out[at] = suffix[walk];
    const firstLetter = suffix[walk];
    out[filled] = firstLetter;
    if (!known && filled + size - 1 < count) out[filled + size - 1] = firstLetter;
    filled += size;
    if (before >= 0 && next < 4096) {
      prefix[next] = before;
      suffix[next] = firstLetter;
      length[next] = length[before] + 1;
      next++;
      if (next === 1 << width && width < 12) width++;
    }
    before = code;
  }
  return out;
}

/**
 * @param {number} height
 * @returns {number[]} where each stored row goes
 */
function interlacedRows(height) {
  const rows = [];
  for (const [start, step] of [[0, 8], [4, 8], [2, 4], [1, 2]]) {
    for (let y = start; y < height; y += step) rows.push(y);
  }
  return rows;
}

function tooShort() {
  return damaged('the file ends too early');
}

module.exports = { canvasOf, decodeGif };
