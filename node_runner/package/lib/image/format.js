'use strict';

const { ImageError } = require('../errors');

/** @typedef {'jpeg' | 'png' | 'gif' | 'bmp'} Format */

/** @type {[string, (data: Uint8Array) => boolean][]} */
const NOT_DECODED = [
  ['WebP', (data) => ascii(data, 0, 4) === 'RIFF' && ascii(data, 8, 4) === 'WEBP'],
  ['TIFF', (data) => ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(ascii(data, 0, 4))],
  ['AVIF', (data) => ascii(data, 4, 4) === 'ftyp' && ['avif', 'avis'].includes(ascii(data, 8, 4))],
  ['HEIC', (data) => ascii(data, 4, 4) === 'ftyp' && ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1'].includes(ascii(data, 8, 4))],
  ['JPEG XL', (data) => (data[0] === 0xff && data[1] === 0x0a) || ascii(data, 4, 4) === 'JXL '],
  ['JPEG 2000', (data) => ascii(data, 4, 4) === 'jP  '],
  ['Photoshop', (data) => ascii(data, 0, 4) === '8BPS'],
  ['SVG', (data) => /^(\xef\xbb\xbf)?\s*(<svg|<\?xml[^]*<svg)/i.test(ascii(data, 0, 512))],
];

/**
 * Tells the format of a picture from its first bytes, never from its name; the same formats as in training.
 *
 * @param {Uint8Array} data
 * @returns {Format}
 * @throws {ImageError} where it is no picture, or none that is decoded
 */
function formatOf(data) {
  if (data[0] === 0xff && data[1] === 0xd8 && data[2] === 0xff) return 'jpeg';
  if (ascii(data, 0, 8) === '\x89PNG\r\n\x1a\n') return 'png';
  if (ascii(data, 0, 6) === 'GIF87a' || ascii(data, 0, 6) === 'GIF89a') return 'gif';
  if (ascii(data, 0, 2) === 'BM' && [12, 16, 40, 52, 56, 64, 108, 124].includes(data[14])) return bmp(data);
  const known = NOT_DECODED.find(([, matches]) => matches(data));
  if (known) throw new ImageError(`The image is ${known[0]}, which is not decoded: convert it to JPEG or PNG`, 'ERR_IMAGE_FORMAT');
  throw new ImageError(data.length ? 'These bytes are not an image' : 'The image is empty: it has no bytes', 'ERR_NOT_AN_IMAGE');
}

/**
 * @param {Uint8Array} data
 * @returns {Format}
 */
function bmp(data) {
  const bits = data[28] | (data[29] << 8);
  const compressed = (data[30] | data[31] | data[32] | data[33]) !== 0;
  if (data[14] >= 40 && bits === 24 && !compressed) return 'bmp';
  throw new ImageError('The image is a BMP of another kind than 24 bits without compression: convert it to PNG', 'ERR_IMAGE_FORMAT');
}

/**
 * @param {Uint8Array} data
 * @param {number} start
 * @param {number} length
 * @returns {string}
 */
function ascii(data, start, length) {
  return String.fromCharCode(...data.subarray(start, start + length));
}

module.exports = { formatOf, ascii };
