'use strict';

const { ImageError } = require('../errors');
const { decodeBmp } = require('./bmp');
const { orientationOf, upright } = require('./exif');
const { formatOf } = require('./format');
const { decodeGif } = require('./gif');
const { decodeJpeg } = require('./jpeg');
const { decodePng } = require('./png');

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
 * @param {number} bytes
 * @param {number} maxBytes
 * @throws {ImageError}
 */
function checkBytes(bytes, maxBytes) {
  if (bytes > maxBytes) throw new ImageError(`The image has ${bytes} bytes; at most ${maxBytes} are read`, 'ERR_IMAGE_TOO_LARGE');
}

module.exports = { checkBytes, decodeImage, MAX_BYTES, MAX_PIXELS };
