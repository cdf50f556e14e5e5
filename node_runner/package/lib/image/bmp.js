'use strict';

const { ImageError, damaged, tooLarge } = require('../errors');

/** Shifts of red, green and blue by the masks of 32 bits that are understood, with that of alpha; others are rare. @type {Record<string, number[]>} */
const MASKS_OF_32 = {
  'ff0000,ff00,ff,0': [16, 8, 0],
  'ff0000,ff00,ff,ff000000': [16, 8, 0],
  'ff,ff00,ff0000,ff000000': [0, 8, 16],
  'ff000000,ff0000,ff00,0': [24, 16, 8],
  'ff000000,ff0000,ff00,ff': [24, 16, 8],
  'ff000000,ff00,ff,0': [24, 8, 0],
  'ff000000,ff00,ff,ff0000': [24, 8, 0],
  '0,0,0,0': [16, 8, 0],
};

/**
 * @typedef {object} Header
 * @property {number} width
 * @property {number} height
 * @property {boolean} fromBelow whether the first row is the lowest
 * @property {number} bits of a pixel
 * @property {number} compression 0 none, 1 and 2 runs of bytes, 3 masks
 * @property {number} colours of the palette
 * @property {number} palette where it begins
 * @property {number} entry bytes of a colour in it
 * @property {number} start of the pixels
 * @property {number[]} masks
 */

/**
 * Decodes a BMP file of any kind that Pillow decodes: with 1, 4, 8, 16, 24 or 32 bits, palettes, masks and runs. Alpha is dropped.
 *
 * @param {Uint8Array} data
 * @param {number} maxPixels
 * @returns {import('./decode').Picture}
 * @throws {ImageError} where the file is damaged or of another kind
 */
function decodeBmp(data, maxPixels) {
  const header = readHeader(data);
  const { width, height, bits, compression } = header;
  if (width <= 0 || height <= 0) throw damaged('its size is impossible');
  if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
  const rgb = colourReader(data, header);
  if (compression === 1 || compression === 2) return paint(header, unpackRuns(data, header), rgb);
  const stride = (((width * bits + 31) >> 3) & ~3) >>> 0;
  if (header.start + stride * height > data.length) throw damaged('the file ends too early');
  return paint(header, rowReader(data, header, stride), rgb);
}

/**
 * @param {Uint8Array} data
 * @returns {number} pixels that it says it has
 */
function pixelsOfBmp(data) {
  const { width, height } = readHeader(data);
  return Math.max(width, 0) * Math.max(height, 0);
}

/**
 * @param {Uint8Array} data
 * @returns {Header}
 */
function readHeader(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 26) throw damaged('the file ends too early');
  const size = view.getUint32(14, true);
  if (data.length < 14 + size) throw damaged('the file ends too early');
  const start = view.getUint32(10, true);
  if (size === 12) {
    const bits = view.getUint16(24, true);
    const sides = { width: view.getUint16(18, true), height: view.getUint16(20, true), fromBelow: true };
    return placed({ ...sides, bits, compression: 0, colours: 1 << bits, palette: 26, entry: 3, start, masks: [] }, size);
  }
  if (size < 40) throw rare('with an old header');
  const signed = view.getInt32(22, true);
  const bits = view.getUint16(28, true);
  const compression = view.getUint32(30, true);
  const inHeader = size >= 52;
  const masks = [];
  if (compression === 3) {
    if (!inHeader && data.length < 66) throw damaged('the file ends too early');
    for (let i = 0; i < 3; i++) masks.push(view.getUint32(54 + 4 * i, true));
    masks.push(size >= 56 ? view.getUint32(66, true) : 0);
  }
  const palette = 14 + size + (compression === 3 && !inHeader ? 12 : 0);
  const colours = view.getUint32(46, true) || 2 ** bits;
  const header = { width: view.getInt32(18, true), height: Math.abs(signed), fromBelow: signed > 0, bits, compression, colours, palette, entry: 4, start, masks };
  return placed(header, size);
}

/**
 * Some writers give the place of the palette for that of the pixels.
 *
 * @param {Header} header
 * @param {number} size of the header in the file
 * @returns {Header}
 */
function placed(header, size) {
  const { bits, start, entry, colours, palette } = header;
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw rare(`with ${bits} bits`);
  if (bits <= 8 && !(colours > 0 && colours <= 65536)) throw damaged('its palette is impossible');
  if (start === 14 + size && bits <= 8) return { ...header, start: start + entry * colours };
  return { ...header, start: start || palette + (bits <= 8 ? entry * colours : 0) };
}

/**
 * @param {Uint8Array} data
 * @param {Header} header
 * @returns {(value: number, out: Uint8ClampedArray, at: number) => void} writes the colour that a pixel's value stands for
 */
function colourReader(data, { bits, compression, colours, palette, entry, masks }) {
  if (bits <= 8) {
    if (compression > 2 || (compression === 1 && bits !== 8) || (compression === 2 && bits !== 4)) throw rare('with such a compression');
    // Numbers beyond the palette are shades of grey.
    const table = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
    for (let i = 0; i < Math.min(colours, 256); i++) {
      const from = palette + entry * i;
      if (from + 3 > data.length) throw damaged('its palette is incomplete');
      for (let k = 0; k < 3; k++) table[3 * i + k] = data[from + 2 - k];
    }
    return (value, out, at) => {
      for (let k = 0; k < 3; k++) out[at + k] = table[3 * value + k];
    };
  }
  if (compression !== 0 && compression !== 3) throw rare('with such a compression');
  if (bits === 16) {
    const names = masks.slice(0, 3).map((mask) => mask.toString(16)).join();
    if (compression === 3 && !['f800,7e0,1f', '7c00,3e0,1f'].includes(names)) throw rare('with such masks');
    const green = compression === 3 && names === 'f800,7e0,1f' ? 63 : 31;
    const red = green === 63 ? 11 : 10;
    return (value, out, at) => {
      out[at] = Math.floor((((value >> red) & 31) * 255) / 31);
      out[at + 1] = Math.floor((((value >> 5) & green) * 255) / green);
      out[at + 2] = Math.floor(((value & 31) * 255) / 31);
    };
  }
  const names = masks.map((mask) => mask.toString(16));
  if (bits === 24 && compression === 3 && names.slice(0, 3).join() !== 'ff0000,ff00,ff') throw rare('with such masks');
  const shifts = bits === 32 && compression === 3 ? MASKS_OF_32[names.join()] : [16, 8, 0];
  if (!shifts) throw rare('with such masks');
  return (value, out, at) => {
    for (let k = 0; k < 3; k++) out[at + k] = (value >>> shifts[k]) & 255;
  };
}

/**
 * @param {Uint8Array} data
 * @param {Header} header
 * @param {number} stride bytes of a row
 * @returns {(row: number, column: number) => number} the value of a pixel, in stored order
 */
function rowReader(data, { bits, start }, stride) {
  if (bits < 8) {
    const mask = (1 << bits) - 1;
    const inByte = 8 / bits;
    return (row, column) => {
      const byte = data[start + row * stride + Math.floor(column / inByte)];
      return (byte >> (8 - bits * ((column % inByte) + 1))) & mask;
    };
  }
  const bytes = bits / 8;
  return (row, column) => {
    let value = 0;
    for (let k = bytes - 1, at = start + row * stride + bytes * column; k >= 0; k--) value = (value << 8) | data[at + k];
    return value >>> 0;
  };
}

/**
 * Undoes the compression of runs, as Pillow does; what a file leaves out is missing.
 *
 * @param {Uint8Array} data
 * @param {Header} header
 * @returns {(row: number, column: number) => number}
 */
function unpackRuns(data, { width, height, compression, start }) {
  const half = compression === 2;
  const size = width * height;
  const out = new Uint8Array(size);
  let filled = 0;
  let x = 0;
  let position = start;
  while (filled < size && position + 1 < data.length) {
    let count = data[position];
    const byte = data[position + 1];
    position += 2;
    if (count > 0) {
      count = Math.min(count, Math.max(0, width - x));
      for (let i = 0; i < count && filled < size; i++) out[filled++] = half ? (i % 2 === 0 ? byte >> 4 : byte & 15) : byte;
      x += count;
    } else if (byte === 0) {
      while (filled % width !== 0) filled++;
      x = 0;
    } else if (byte === 1) break;
    else if (byte === 2) {
      if (position + 2 > data.length) break;
      filled += Math.min(size - filled, data[position] + data[position + 1] * width);
      position += 2;
      x = filled % width;
    } else {
      count = Math.min(size - filled, byte);
      const needed = half ? (count + 1) >> 1 : count;
      const found = Math.min(needed, data.length - position);
      for (let i = 0; i < (half ? Math.min(count, 2 * found) : found); i++) {
        const value = data[position + (half ? i >> 1 : i)];
        out[filled++] = half ? (i % 2 === 0 ? value >> 4 : value & 15) : value;
      }
      position += found;
      if (found < needed || filled === size) break;
      x += byte;
      position += position % 2;
    }
  }
  if (filled < size) throw damaged('its compressed data end too early');
  return (row, column) => out[row * width + column];
}

/**
 * @param {Header} header
 * @param {(row: number, column: number) => number} valueAt in stored order
 * @param {(value: number, out: Uint8ClampedArray, at: number) => void} colour
 * @returns {import('./decode').Picture}
 */
function paint({ width, height, fromBelow }, valueAt, colour) {
  const pixels = new Uint8ClampedArray(width * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    const row = fromBelow ? height - 1 - y : y;
    for (let x = 0; x < width; x++, at += 3) colour(valueAt(row, x), pixels, at);
  }
  return { width, height, pixels };
}

/**
 * @param {string} what
 * @returns {ImageError}
 */
function rare(what) {
  return new ImageError(`The image is a BMP ${what}, which is not decoded: convert it to PNG`, 'ERR_IMAGE_FORMAT');
}

module.exports = { decodeBmp, pixelsOfBmp };
