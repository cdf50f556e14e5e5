'use strict';

const { ImageError } = require('../errors');

/** @typedef {'jpeg' | 'png' | 'gif' | 'bmp' | 'webp' | 'avif' | 'heic' | 'tiff'} Format */

const BMP_HEADERS = [12, 16, 40, 52, 56, 64, 108, 124];
const AVIF_BRANDS = ['avif', 'avis'];
const HEVC_BRANDS = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx'];

/** @type {[string, (data: Uint8Array) => boolean][]} */
const NOT_DECODED = [
  ['JPEG XL', (data) => (data[0] === 0xff && data[1] === 0x0a) || ascii(data, 0, 8) === '\0\0\0\x0cJXL '],
  ['JPEG 2000', (data) => ascii(data, 0, 8) === '\0\0\0\x0cjP  ' || ascii(data, 0, 4) === '\xff\x4f\xff\x51'],
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
  if (ascii(data, 0, 2) === 'BM' && BMP_HEADERS.includes(data[14]) && (data[15] | data[16] | data[17]) === 0) return 'bmp';
  if (ascii(data, 0, 4) === 'RIFF' && ascii(data, 8, 4) === 'WEBP') return 'webp';
  if (['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(ascii(data, 0, 4))) return 'tiff';
  const heif = ascii(data, 4, 4) === 'ftyp' ? heifOf(data) : null;
  if (heif) return heif;
  const known = NOT_DECODED.find(([, matches]) => matches(data));
  if (known) throw new ImageError(`The image is ${known[0]}, which is not decoded: convert it to JPEG or PNG`, 'ERR_IMAGE_FORMAT');
  throw new ImageError(data.length ? 'These bytes are not an image' : 'The image is empty: it has no bytes', 'ERR_NOT_AN_IMAGE');
}

/**
 * The first brand is the main one, the others follow after a version; AVIF files may call themselves mif1 first.
 *
 * @param {Uint8Array} data
 * @returns {Format | null}
 */
function heifOf(data) {
  const announced = ((data[0] << 24) | (data[1] << 16) | (data[2] << 8) | data[3]) >>> 0;
  const end = Math.min(Math.max(16, announced), data.length, 512);
  const main = ascii(data, 8, 4);
  const brands = [main];
  for (let at = 16; at + 4 <= end; at += 4) brands.push(ascii(data, at, 4));
  if (brands.some((brand) => AVIF_BRANDS.includes(brand))) return 'avif';
  return ['mif1', 'msf1'].includes(main) || brands.some((brand) => HEVC_BRANDS.includes(brand)) ? 'heic' : null;
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
