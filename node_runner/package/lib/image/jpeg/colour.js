'use strict';

const { damaged } = require('../../errors');
const { rowReader } = require('./upsample');

/**
 * @typedef {import('./frame').Frame} Frame
 * @typedef {'grey' | 'rgb' | 'ycc' | 'cmyk' | 'ycck'} ColourSpace
 */

// ITU-R BT.601 as JFIF uses it, with 16 fractional bits, as in libjpeg's jdcolor.c.
const RED_OF_CR = new Int16Array(256);
const BLUE_OF_CB = new Int16Array(256);
const GREEN_OF_CR = new Int32Array(256);
const GREEN_OF_CB = new Int32Array(256);
for (let value = 0; value < 256; value++) {
  const centred = value - 128;
  RED_OF_CR[value] = (91881 * centred + 32768) >> 16;
  BLUE_OF_CB[value] = (116130 * centred + 32768) >> 16;
  GREEN_OF_CR[value] = -46802 * centred;
  GREEN_OF_CB[value] = -22554 * centred + 32768;
}

/**
 * Which colours the components mean; libjpeg's `default_decompress_parms`.
 *
 * @param {Frame} frame
 * @returns {ColourSpace}
 */
function colourSpace(frame) {
  const ids = frame.components.map((component) => component.id).join();
  switch (frame.components.length) {
    case 1:
      return 'grey';
    case 3:
      if (frame.jfif) return 'ycc';
      if (frame.adobe !== null) return frame.adobe === 0 ? 'rgb' : 'ycc';
      return ids === '82,71,66' ? 'rgb' : 'ycc';
    case 4:
      return frame.adobe === null || frame.adobe === 0 ? 'cmyk' : 'ycck';
    default:
      throw damaged(`it has ${frame.components.length} colour components`);
  }
}

/**
 * @param {Frame} frame with its planes filled
 * @returns {Uint8ClampedArray} red, green and blue of each pixel
 */
function toRgb(frame) {
  const { width, height } = frame;
  const space = colourSpace(frame);
  const pixels = new Uint8ClampedArray(width * height * 3);
  const readers = frame.components.map((component) => rowReader(frame, component));
  const rows = readers.map(() => new Uint8Array(width));
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < readers.length; i++) readers[i](y, rows[i]);
    convertRow(space, rows, pixels, y * width * 3, frame.adobe !== null);
  }
  return pixels;
}

/**
 * @param {ColourSpace} space
 * @param {Uint8Array[]} rows
 * @param {Uint8ClampedArray} pixels
 * @param {number} at
 * @param {boolean} inverted whether ink is stored as its absence, as Adobe's programs do
 */
function convertRow(space, [first, second, third, fourth], pixels, at, inverted) {
  const width = first.length;
  if (space === 'grey') {
    for (let x = 0; x < width; x++, at += 3) pixels[at] = pixels[at + 1] = pixels[at + 2] = first[x];
    return;
  }
  if (space === 'rgb' || space === 'cmyk') {
    for (let x = 0; x < width; x++, at += 3) {
      pixels[at] = first[x];
      pixels[at + 1] = second[x];
      pixels[at + 2] = third[x];
    }
  } else {
    for (let x = 0; x < width; x++, at += 3) {
      const luma = first[x];
      pixels[at] = luma + RED_OF_CR[third[x]];
      pixels[at + 1] = luma + ((GREEN_OF_CB[second[x]] + GREEN_OF_CR[third[x]]) >> 16);
      pixels[at + 2] = luma + BLUE_OF_CB[second[x]];
    }
  }
  if (fourth) applyBlack(pixels, at - 3 * width, fourth, space === 'ycck', inverted);
}

/**
 * @param {Uint8ClampedArray} pixels cyan, magenta and yellow; red, green and blue of YCCK
 * @param {number} at
 * @param {Uint8Array} black
 * @param {boolean} complement YCCK's colours are the complement of its inks
 * @param {boolean} inverted
 */
function applyBlack(pixels, at, black, complement, inverted) {
  for (let x = 0; x < black.length; x++) {
    const light = inverted ? black[x] : 255 - black[x];
    for (let end = at + 3; at < end; at++) {
      const stored = complement ? 255 - pixels[at] : pixels[at];
      pixels[at] = Math.floor(((inverted ? stored : 255 - stored) * light) / 255);
    }
  }
}

module.exports = { toRgb };
