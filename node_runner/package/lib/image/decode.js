'use strict';

const { ImageError } = require('../errors');
const { decodeBmp } = require('./bmp');
const { orientationOf, upright } = require('./exif');
const { formatOf } = require('./format');
const { decodeGif } = require('./gif');
const { decodeJpeg } = require('./jpeg');
const { decodePng } = require('./png');
const { pixelsOf } = require('./size');
const { checkParts, checkScans } = require('./structure');

/**
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array | Uint8ClampedArray} pixels red, green and blue of each pixel, row by row
 */

/** The limits of training. */
const MAX_BYTES = 256 * 1024 * 1024;
const MAX_PIXELS = 178956970;

/**
 * Decodes the bytes of a JPEG, PNG, GIF or BMP file to the pixels that training saw, turned upright as EXIF says.
 *
 * @param {Uint8Array} data
 * @param {{maxPixels?: number, maxBytes?: number}} [limits]
 * @returns {Promise<Picture>}
 * @throws {ImageError}
 */
async function decodeImage(data, { maxPixels = MAX_PIXELS, maxBytes = MAX_BYTES } = {}) {
  checkBytes(data.length, maxBytes);
  checkStructure(data);
  switch (formatOf(data)) {
    case 'jpeg':
      return upright(decodeJpeg(data, maxPixels), orientationOf(data));
    case 'png':
      return decodePng(data, maxPixels);
    case 'gif':
      return decodeGif(data, maxPixels);
    default:
      return decodeBmp(data, maxPixels);
  }
}

/**
 * Finds JPEG and PNG files that would take long for what they are, without decoding them. GIF files are checked while their frames are read.
 *
 * @param {Uint8Array} data
 * @throws {ImageError}
 */
function checkStructure(data) {
  const format = formatOf(data);
  if (format === 'jpeg') checkScans(data, pixelsOf(data) ?? 0);
  if (format === 'png') checkParts(data);
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
