'use strict';

const { ImageError, damaged, tooLarge } = require('../errors');
const { inflate } = require('./inflate');
const { unpackBits, unpackLzw } = require('./unpack');

/** Bytes of the whole-number types of TIFF: BYTE, SHORT, LONG. @type {Record<number, number>} */
const SIZES = { 1: 1, 3: 2, 4: 4 };
const MOST_ENTRIES = 1000;
const MOST_NUMBERS = 2 ** 20;
const MOST_SAMPLES = 16;
const TAGS = new Set([256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339]);
/** Photometric interpretations by number of samples. @type {Record<number, [string, number]>} */
const COLOURS = { 0: ['white is zero', 1], 1: ['grey', 1], 2: ['rgb', 3], 3: ['palette', 1], 5: ['cmyk', 4] };

/**
 * @typedef {object} Directory what the first directory of a TIFF file says
 * @property {number} width
 * @property {number} height
 * @property {number} orientation
 * @property {(tag: number) => number[]} numbers of a tag; none where it is missing
 * @property {boolean} little
 */

/**
 * Reads the first directory of a TIFF file (Adobe, TIFF 6.0).
 *
 * @param {Uint8Array} data
 * @returns {Directory}
 * @throws {ImageError} where the file is damaged
 */
function readTiff(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 8) throw damaged('the file ends too early');
  const little = data[0] === 0x49;
  if (view.getUint16(2, little) !== 42) throw rare('of more than 4 GB (BigTIFF)');
  const start = view.getUint32(4, little);
  if (start + 2 > data.length) throw damaged('the file ends too early');
  const count = view.getUint16(start, little);
  if (count > MOST_ENTRIES || start + 2 + 12 * count > data.length) throw damaged('its directory is impossible');
  /** @type {Map<number, number[]>} */
  const tags = new Map();
  for (let i = 0, at = start + 2; i < count; i++, at += 12) {
    const tag = view.getUint16(at, little);
    const size = SIZES[view.getUint16(at + 2, little)];
    const length = view.getUint32(at + 4, little);
    if (!size || !TAGS.has(tag)) continue;
    if (length > MOST_NUMBERS) throw damaged('its directory is impossible');
    const from = length * size <= 4 ? at + 8 : view.getUint32(at + 8, little);
    if (from + length * size > data.length) throw damaged('its directory points beyond its end');
    const read = (/** @type {number} */ k) =>
      size === 1 ? view.getUint8(from + k) : size === 2 ? view.getUint16(from + 2 * k, little) : view.getUint32(from + 4 * k, little);
    tags.set(tag, Array.from({ length }, (_, k) => read(k)));
  }
  const numbers = (/** @type {number} */ tag) => tags.get(tag) ?? [];
  const [orientation = 1] = numbers(274);
  const [[width = 0], [height = 0]] = [numbers(256), numbers(257)];
  return { width, height, orientation: orientation >= 1 && orientation <= 8 ? orientation : 1, numbers, little };
}

/**
 * Decodes the first page of a TIFF file to what Pillow gives: grey, palettes and CMYK become RGB, alpha is dropped, of 16 bits the upper 8
 * are kept. Its bytes may be plain, packed, or compressed by LZW or deflate, in strips or tiles.
 *
 * @param {Uint8Array} data
 * @param {number} maxPixels
 * @returns {Promise<import('./decode').Picture>}
 * @throws {ImageError} where the file is damaged or of another kind
 */
async function decodeTiff(data, maxPixels) {
  const directory = readTiff(data);
  const { width, height, numbers } = directory;
  if (width === 0 || height === 0) throw damaged('its size is impossible');
  if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
  const layout = layoutOf(directory);
  const pixels = new Uint8ClampedArray(width * height * 3);
  const colour = colourOf(directory, layout);
  const across = Math.ceil(width / layout.width);
  const down = Math.ceil(height / layout.height);
  const { offsets, lengths } = layout;
  if (offsets.length < across * down || lengths.length < across * down) throw damaged('strips are missing');
  for (let part = 0; part < across * down; part++) {
    const left = (part % across) * layout.width;
    const top = Math.floor(part / across) * layout.height;
    const rows = layout.tiled ? layout.height : Math.min(layout.height, height - top);
    if (offsets[part] + lengths[part] > data.length) throw damaged('the file ends too early');
    const packed = data.subarray(offsets[part], offsets[part] + lengths[part]);
    const samples = await unpacked(packed, rows * layout.stride, numbers(259)[0] ?? 1);
    if (numbers(317)[0] === 2) undoDifferences(samples, layout, rows, directory.little);
    else if ((numbers(317)[0] ?? 1) !== 1) throw rare('with such a prediction');
    for (let y = 0; y < Math.min(rows, height - top); y++) {
      for (let x = 0; x < Math.min(layout.width, width - left); x++) {
        colour(samples, y * layout.stride, x, pixels, 3 * ((top + y) * width + left + x));
      }
    }
  }
  return { width, height, pixels };
}

/**
 * @typedef {object} Layout
 * @property {boolean} tiled
 * @property {number} width of a strip or tile
 * @property {number} height
 * @property {number} bits of a sample
 * @property {number} samples of a pixel
 * @property {number} stride bytes of a row of a strip or tile
 * @property {number[]} offsets
 * @property {number[]} lengths
 *
 * @param {Directory} directory
 * @returns {Layout}
 */
function layoutOf({ width, height, numbers }) {
  const [samples = 1] = numbers(277);
  const depths = numbers(258).length ? numbers(258) : [1];
  const [bits] = depths;
  if (depths.some((depth) => depth !== bits) || ![1, 2, 4, 8, 16].includes(bits)) throw rare(`with ${depths.join(', ')} bits a sample`);
  if (samples > MOST_SAMPLES) throw rare(`with ${samples} samples`);
  if (samples > 1 && bits < 8) throw rare(`with ${samples} samples of ${bits} bits`);
  if (numbers(339).some((format) => format !== 1)) throw rare('with samples that are no whole numbers from 0 on');
  if ((numbers(284)[0] ?? 1) !== 1 && samples > 1) throw rare('with a plane for each colour');
  const tiled = numbers(322).length > 0;
  const columns = tiled ? numbers(322)[0] : width;
  const rows = tiled ? (numbers(323)[0] ?? 0) : Math.min(numbers(278)[0] ?? height, height);
  if (!columns || !rows || columns > 65536 || rows > 2 ** 24) throw damaged('its strips are impossible');
  const stride = Math.ceil((columns * samples * bits) / 8);
  // Tiles may reach beyond the picture, but not by much.
  const covered = Math.ceil(width / columns) * columns * Math.ceil(height / rows) * rows;
  if (tiled && covered > Math.max(2 ** 22, 4 * width * height)) throw damaged('its tiles are impossible');
  const [offsets, lengths] = tiled ? [numbers(324), numbers(325)] : [numbers(273), numbers(279)];
  return { tiled, width: columns, height: rows, bits, samples, stride, offsets, lengths };
}

/**
 * @param {Uint8Array} packed
 * @param {number} size
 * @param {number} compression
 * @returns {Promise<Uint8Array>} of exactly that size, in memory of its own
 */
async function unpacked(packed, size, compression) {
  if (compression === 1) {
    if (packed.length < size) throw damaged('the file ends too early');
    return packed.slice(0, size);
  }
  if (compression === 5) return unpackLzw(packed, size);
  if (compression === 8 || compression === 32946) return inflate([packed], size);
  if (compression === 32773) return unpackBits(packed, size);
  throw rare(compression === 7 ? 'compressed as JPEG' : compression <= 4 ? 'compressed as a fax' : `with the compression ${compression}`);
}

/**
 * @param {Uint8Array} samples
 * @param {Layout} layout
 * @param {number} rows
 * @param {boolean} little
 */
function undoDifferences(samples, layout, rows, little) {
  const { bits, stride, samples: step } = layout;
  if (bits < 8) throw rare(`with differences of ${bits} bits`);
  const view = new DataView(samples.buffer, samples.byteOffset, samples.byteLength);
  for (let row = 0; row < rows; row++) {
    if (bits === 8) for (let at = row * stride + step; at < (row + 1) * stride; at++) samples[at] += samples[at - step];
    else for (let at = row * stride + 2 * step; at < (row + 1) * stride; at += 2) view.setUint16(at, view.getUint16(at, little) + view.getUint16(at - 2 * step, little), little);
  }
}

/**
 * @param {Directory} directory
 * @param {Layout} layout
 * @returns {(samples: Uint8Array, row: number, x: number, out: Uint8ClampedArray, at: number) => void} writes the colour of a pixel
 */
function colourOf({ numbers, little }, { bits, samples }) {
  const [photometric = 1] = numbers(262);
  const known = COLOURS[photometric];
  if (!known || samples < known[1]) throw rare(`with the colours ${photometric}`);
  const [kind, needed] = known;
  if (numbers(338)[0] === 1 && samples > needed) throw rare('whose colours are multiplied by their alpha');
  const sample = sampleReader(bits, samples, little);
  if (kind === 'palette') {
    const table = numbers(320);
    const colours = 1 << bits;
    if (bits > 8 || table.length < 3 * colours) throw damaged('its palette is missing');
    return (data, row, x, out, at) => {
      const index = sample(data, row, x, 0);
      for (let k = 0; k < 3; k++) out[at + k] = table[k * colours + index] >> 8;
    };
  }
  if (kind === 'rgb') {
    return (data, row, x, out, at) => {
      for (let k = 0; k < 3; k++) out[at + k] = sample(data, row, x, k);
    };
  }
  if (kind === 'cmyk') {
    return (data, row, x, out, at) => {
      const light = 255 - sample(data, row, x, 3);
      for (let k = 0; k < 3; k++) {
        // Pillow's division by 255, which rounds.
        const product = sample(data, row, x, k) * light + 128;
        out[at + k] = light - (((product >> 8) + product) >> 8);
      }
    };
  }
  const most = bits < 8 ? (1 << bits) - 1 : 255;
  return (data, row, x, out, at) => {
    const grey = Math.floor((sample(data, row, x, 0) * 255) / most);
    out[at] = out[at + 1] = out[at + 2] = kind === 'grey' ? grey : 255 - grey;
  };
}

/**
 * @param {number} bits
 * @param {number} samples
 * @param {boolean} little
 * @returns {(data: Uint8Array, row: number, x: number, k: number) => number} a sample; of 16 bits the upper 8
 */
function sampleReader(bits, samples, little) {
  if (bits === 8) return (data, row, x, k) => data[row + x * samples + k];
  if (bits === 16) return (data, row, x, k) => data[row + 2 * (x * samples + k) + (little ? 1 : 0)];
  const inByte = 8 / bits;
  const mask = (1 << bits) - 1;
  return (data, row, x) => (data[row + Math.floor(x / inByte)] >> (8 - bits * ((x % inByte) + 1))) & mask;
}

/**
 * @param {string} what
 * @returns {ImageError}
 */
function rare(what) {
  return new ImageError(`The image is a TIFF ${what}, which is not decoded here: convert it to PNG`, 'ERR_IMAGE_FORMAT');
}

module.exports = { decodeTiff, readTiff };
