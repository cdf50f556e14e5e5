'use strict';

const { damaged, tooLarge } = require('../errors');
const { ascii } = require('./format');
const { inflate } = require('./inflate');

/** Samples of a pixel by colour type (PNG, table 11.1) and the depths that each may have. @type {Record<number, [number, number[]]>} */
const COLOUR_TYPES = { 0: [1, [1, 2, 4, 8, 16]], 2: [3, [8, 16]], 3: [1, [1, 2, 4, 8]], 4: [2, [8, 16]], 6: [4, [8, 16]] };

/** The passes of Adam7: first column, first row, and the steps to the next. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

const CRC_TABLE = new Int32Array(256);
for (let n = 0; n < 256; n++) {
  let value = n;
  for (let k = 0; k < 8; k++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  CRC_TABLE[n] = value;
}

/**
 * Decodes a PNG file as TensorFlow does with three channels: palettes and grey become RGB, alpha is dropped, of 16 bits the upper 8
 * are kept.
 *
 * @param {Uint8Array} data
 * @param {number} maxPixels
 * @returns {Promise<import('./decode').Picture>}
 * @throws {import('../errors').ImageError} where the file is damaged
 */
async function decodePng(data, maxPixels) {
  const { header, palette, parts } = readChunks(data);
  const view = new DataView(header.buffer, header.byteOffset, 13);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, type, compression, filter, interlace] = header.subarray(8);
  if (width === 0 || height === 0 || width > 0x7fffffff || height > 0x7fffffff) throw damaged('its size is impossible');
  if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
  const [samples, depths] = COLOUR_TYPES[type] ?? [0, []];
  if (!depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1) throw damaged('its PNG header is impossible');
  if (type === 3 && !palette) throw damaged('its palette is missing');
  const bits = samples * depth;
  const passes = (interlace ? ADAM7 : [[0, 0, 1, 1]])
    .map(([x, y, dx, dy]) => ({ x, y, dx, dy, width: Math.ceil((width - x) / dx), height: Math.ceil((height - y) / dy) }))
    .filter((pass) => pass.width > 0 && pass.height > 0);
  const lengths = passes.map((pass) => pass.height * (1 + Math.ceil((pass.width * bits) / 8)));
  const raw = await inflate(parts, lengths.reduce((sum, length) => sum + length, 0));

  const pixels = new Uint8ClampedArray(width * height * 3);
  let start = 0;
  passes.forEach((pass, index) => {
    const stride = Math.ceil((pass.width * bits) / 8);
    unfilter(raw, start, pass.height, stride, Math.max(bits >> 3, 1));
    for (let row = 0; row < pass.height; row++) {
      const line = raw.subarray(start + row * (stride + 1) + 1, start + (row + 1) * (stride + 1));
      const at = 3 * ((pass.y + row * pass.dy) * width + pass.x);
      writeRow(line, pass.width, { type, depth, samples, palette }, pixels, at, 3 * pass.dx);
    }
    start += lengths[index];
  });
  return { width, height, pixels };
}

/**
 * @param {Uint8Array} data
 * @returns {{header: Uint8Array, palette: Uint8Array | null, parts: Uint8Array[]}}
 */
function readChunks(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let header = null;
  let palette = null;
  const parts = [];
  for (let position = 8; ; ) {
    if (position + 12 > data.length) throw damaged('the file ends too early');
    const length = view.getUint32(position);
    const name = ascii(data, position + 4, 4);
    if (position + 12 + length > data.length) throw damaged('the file ends too early');
    const body = data.subarray(position + 8, position + 8 + length);
    const critical = (data[position + 4] & 0x20) === 0;
    if (critical && crc(data.subarray(position + 4, position + 8 + length)) !== view.getUint32(position + 8 + length)) {
      throw damaged(`the checksum of its ${name} part is wrong`);
    }
    position += 12 + length;
    if (header === null && (name !== 'IHDR' || length !== 13)) throw damaged('it does not begin with a header');
    if (name === 'IHDR') header = body;
    else if (name === 'PLTE') palette = body;
    else if (name === 'IDAT') parts.push(body);
    else if (name === 'IEND') break;
    else if (critical) throw damaged(`it holds the unknown part ${name}`);
  }
  if (header === null || parts.length === 0) throw damaged('it holds no pixels');
  return { header, palette, parts };
}

/**
 * Undoes the filters of a pass in place (PNG, clause 9).
 *
 * @param {Uint8Array} raw
 * @param {number} start
 * @param {number} rows
 * @param {number} stride bytes of a row, without the one that names its filter
 * @param {number} back distance to the byte of the pixel before
 */
function unfilter(raw, start, rows, stride, back) {
  for (let row = 0; row < rows; row++) {
    const at = start + row * (stride + 1) + 1;
    const filter = raw[at - 1];
    if (filter > 4) throw damaged('a row has an unknown filter');
    if (filter === 0) continue;
    const up = row === 0 ? -1 : at - stride - 1;
    for (let i = 0; i < stride; i++) {
      const a = i >= back ? raw[at + i - back] : 0;
      const b = up >= 0 ? raw[up + i] : 0;
      const c = i >= back && up >= 0 ? raw[up + i - back] : 0;
      raw[at + i] += filter === 1 ? a : filter === 2 ? b : filter === 3 ? (a + b) >> 1 : paeth(a, b, c);
    }
  }
}

/**
 * @param {number} a left
 * @param {number} b above
 * @param {number} c above left
 * @returns {number}
 */
function paeth(a, b, c) {
  const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  if (pa <= pb && pa <= pc) return a;
  return pb <= pc ? b : c;
}

/**
 * @param {Uint8Array} line
 * @param {number} width
 * @param {{type: number, depth: number, samples: number, palette: Uint8Array | null}} kind
 * @param {Uint8ClampedArray} pixels
 * @param {number} at
 * @param {number} step
 */
function writeRow(line, width, { type, depth, samples, palette }, pixels, at, step) {
  const bytes = depth === 16 ? 2 : 1;
  const largest = (1 << Math.min(depth, 8)) - 1;
  for (let x = 0; x < width; x++, at += step) {
    if (samples >= 3) {
      const from = x * samples * bytes;
      pixels[at] = line[from];
      pixels[at + 1] = line[from + bytes];
      pixels[at + 2] = line[from + 2 * bytes];
      continue;
    }
    const bit = x * depth;
    const value = depth >= 8 ? line[x * samples * bytes] : (line[bit >> 3] >> (8 - depth - (bit & 7))) & largest;
    if (type === 3) {
      // A number beyond the palette is black, as in libpng.
      for (let k = 0; k < 3; k++) pixels[at + k] = palette?.[3 * value + k] ?? 0;
    } else {
      pixels[at] = pixels[at + 1] = pixels[at + 2] = depth >= 8 ? value : (value * 255) / largest;
    }
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {number}
 */
function crc(bytes) {
  let value = -1;
  for (let i = 0; i < bytes.length; i++) value = CRC_TABLE[(value ^ bytes[i]) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}

module.exports = { decodePng };
