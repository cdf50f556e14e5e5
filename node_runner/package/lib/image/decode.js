'use strict';

const { ImageError, damaged, tooLarge } = require('../errors');
const { toLibyuv } = require('./avif_colour');
const { decodeBmp } = require('./bmp');
const { orientationIn, orientationOf, upright } = require('./exif');
const { formatOf } = require('./format');
const { decodeGif } = require('./gif');
const { readHeif } = require('./heif');
const { decodeJpeg } = require('./jpeg');
const { decodePng } = require('./png');
const { pixelsOf } = require('./size');
const { checkParts, checkScans, checkWebp } = require('./structure');
const { decodeTiff, readTiff } = require('./tiff');
const { readWebp } = require('./webp');

/**
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array | Uint8ClampedArray} pixels red, green and blue of each pixel, row by row
 *
 * @typedef {'webp' | 'avif' | 'heic'} Foreign formats that packages of others decode
 * @typedef {{width: number, height: number, data: Uint8Array | Uint8ClampedArray | Uint16Array}} Decoded red, green, blue and alpha of each pixel
 * @typedef {(data: Uint8Array, format: Foreign, bits: 8 | 16) => Promise<Decoded>} DecodeForeign with 16 bits for each colour where the format's
 *   decoder can do that
 */

/** The limits of training. */
const MAX_BYTES = 256 * 1024 * 1024;
const MAX_PIXELS = 178956970;

/** With 16 bits for each colour, larger ones would not fit into the memory of WebAssembly. */
const MOST_DEEP_PIXELS = 64e6;

/** @type {Record<Foreign, string>} */
const NAMES = { webp: 'WebP', avif: 'AVIF', heic: 'HEIC' };

/**
 * Decodes the bytes of a picture file to the pixels that training saw, turned upright as the file says. Of several frames or pages the
 * first counts.
 *
 * @param {Uint8Array} data
 * @param {{maxPixels?: number, maxBytes?: number}} [limits]
 * @param {DecodeForeign} [decodeForeign] decodes WebP, AVIF and HEIC files; without it they are refused
 * @returns {Promise<Picture>}
 * @throws {ImageError}
 */
async function decodeImage(data, { maxPixels = MAX_PIXELS, maxBytes = MAX_BYTES } = {}, decodeForeign = refuse) {
  checkBytes(data.length, maxBytes);
  checkStructure(data);
  switch (formatOf(data)) {
    case 'jpeg':
      return upright(decodeJpeg(data, maxPixels), orientationOf(data));
    case 'png':
      return decodePng(data, maxPixels);
    case 'gif':
      return decodeGif(data, maxPixels);
    case 'bmp':
      return decodeBmp(data, maxPixels);
    case 'tiff':
      return upright(await decodeTiff(data, maxPixels), readTiff(data).orientation);
    case 'webp':
      return decodeWebp(data, maxPixels, decodeForeign);
    case 'avif':
      return decodeHeif(data, 'avif', maxPixels, decodeForeign);
    default:
      return decodeHeif(data, 'heic', maxPixels, decodeForeign);
  }
}

/**
 * @param {Uint8Array} data
 * @param {number} maxPixels
 * @param {DecodeForeign} decodeForeign
 * @returns {Promise<Picture>}
 */
async function decodeWebp(data, maxPixels, decodeForeign) {
  const { width, height, still, left, top, exif } = readWebp(data);
  if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
  const image = await decodeForeign(still, 'webp', 8);
  if (left + image.width > width || top + image.height > height) throw damaged('its picture has another size than it says');
  const pixels = new Uint8ClampedArray(width * height * 3);
  for (let y = 0; y < image.height; y++) {
    let at = 3 * ((top + y) * width + left);
    for (let from = 4 * y * image.width; from < 4 * (y + 1) * image.width; from += 4, at += 3) {
      pixels[at] = image.data[from];
      pixels[at + 1] = image.data[from + 1];
      pixels[at + 2] = image.data[from + 2];
    }
  }
  return upright({ width, height, pixels }, orientationIn(exif));
}

/**
 * @param {Uint8Array} data
 * @param {'avif' | 'heic'} format
 * @param {number} maxPixels
 * @param {DecodeForeign} decodeForeign
 * @returns {Promise<Picture>}
 */
async function decodeHeif(data, format, maxPixels, decodeForeign) {
  const said = readHeif(data);
  if (!said) throw damaged('its size is missing');
  if (said.width * said.height > maxPixels) throw tooLarge(said.width, said.height, maxPixels);
  const deep = said.colour !== null && said.width * said.height <= MOST_DEEP_PIXELS;
  const { width, height, data: rgba } = await decodeForeign(data, format, deep ? 16 : 8);
  if (rgba instanceof Uint16Array && said.colour) return upright({ width, height, pixels: toLibyuv({ width, height, data: rgba }, said.colour) }, said.orientation);
  const pixels = new Uint8ClampedArray(width * height * 3);
  for (let from = 0, at = 0; at < pixels.length; from += 4, at += 3) {
    pixels[at] = rgba[from];
    pixels[at + 1] = rgba[from + 1];
    pixels[at + 2] = rgba[from + 2];
  }
  // The decoder of HEIC files has turned the pixels already.
  return upright({ width, height, pixels }, format === 'avif' ? said.orientation : 1);
}

/**
 * @param {Uint8Array} _data
 * @param {Foreign} format
 * @returns {Promise<never>}
 */
async function refuse(_data, format) {
  throw new ImageError(
    `The image is ${NAMES[format]}, which is not decoded here: convert it to JPEG or PNG, or give its pixels as {data, width, height}`,
    'ERR_IMAGE_FORMAT',
  );
}

/**
 * Finds JPEG, PNG and WebP files that would take long for what they are, without decoding them. GIF files are checked while their frames
 * are read; of the others the first picture alone is decoded.
 *
 * @param {Uint8Array} data
 * @throws {ImageError}
 */
function checkStructure(data) {
  const format = formatOf(data);
  if (format === 'jpeg') checkScans(data, pixelsOf(data) ?? 0);
  if (format === 'png') checkParts(data);
  if (format === 'webp') checkWebp(data);
}

/**
 * @param {number} bytes
 * @param {number} maxBytes
 * @throws {ImageError}
 */
function checkBytes(bytes, maxBytes) {
  if (bytes > maxBytes) throw new ImageError(`The image has ${bytes} bytes; at most ${maxBytes} are read`, 'ERR_IMAGE_TOO_LARGE');
}

module.exports = { checkBytes, checkStructure, decodeImage, MAX_BYTES, MAX_PIXELS };
