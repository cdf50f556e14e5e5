'use strict';

const { damaged, tooLarge } = require('../errors');

/**
 * Decodes a BMP file of 24 bits without compression, the kind that TensorFlow decodes to RGB.
 *
 * @param {Uint8Array} data
 * @param {number} maxPixels
 * @returns {import('./decode').Picture}
 * @throws {import('../errors').ImageError} where the file is damaged
 */
function decodeBmp(data, maxPixels) {
  if (data.length < 34) throw damaged('the file ends too early');
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const start = view.getUint32(10, true);
  const width = view.getInt32(18, true);
  const signedHeight = view.getInt32(22, true);
  const height = Math.abs(signedHeight);
  if (width <= 0 || height === 0) throw damaged('its size is impossible');
  if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
  const stride = Math.ceil((3 * width) / 4) * 4;
  if (start + stride * height > data.length) throw damaged('the file ends too early');
  const pixels = new Uint8ClampedArray(width * height * 3);
  let at = 0;
  for (let y = 0; y < height; y++) {
    let from = start + stride * (signedHeight > 0 ? height - 1 - y : y);
    for (let x = 0; x < width; x++, at += 3, from += 3) {
      pixels[at] = data[from + 2];
      pixels[at + 1] = data[from + 1];
      pixels[at + 2] = data[from];
    }
  }
  return { width, height, pixels };
}

module.exports = { decodeBmp };
