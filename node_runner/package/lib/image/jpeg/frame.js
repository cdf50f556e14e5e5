'use strict';

const { ImageError, damaged, tooLarge } = require('../../errors');

/**
 * @typedef {import('./bits').HuffmanTable} HuffmanTable
 *
 * @typedef {object} Component
 * @property {number} id
 * @property {number} h horizontal sampling factor
 * @property {number} v vertical sampling factor
 * @property {number} table number of its quantization table
 * @property {Int16Array | null} factors of the inverse transform, kept from the component's first scan
 * @property {number} blocksAcross blocks that hold pixels
 * @property {number} blocksDown
 * @property {number} blockStride blocks in a row with the padding to whole units
 * @property {number} stride samples in a row of the plane
 * @property {Uint8ClampedArray} plane samples
 * @property {Int16Array | null} coefficients of all blocks, of a progressive picture
 *
 * @typedef {object} Frame
 * @property {number} width
 * @property {number} height
 * @property {boolean} progressive
 * @property {boolean} arithmetic whether its entropy coding is arithmetic
 * @property {Component[]} components
 * @property {number} maxH
 * @property {number} maxV
 * @property {number} unitsAcross interleaved units (MCUs) in a row
 * @property {number} unitsDown
 * @property {boolean} jfif
 * @property {number | null} adobe the colour transform of an Adobe marker
 */

/**
 * Reads a start-of-frame segment (T.81, B.2.2).
 *
 * @param {number} marker
 * @param {Uint8Array} body of the segment
 * @param {number} maxPixels
 * @returns {Frame}
 */
function readFrame(marker, body, maxPixels) {
  if (![0xc0, 0xc1, 0xc2, 0xc9, 0xca].includes(marker)) {
    throw new ImageError('The image is a JPEG of a rare kind (lossless or hierarchical) that is not decoded', 'ERR_IMAGE_FORMAT');
  }
  const count = body[5];
  if (body.length < 6 || body.length !== 6 + 3 * count) throw damaged('its frame header has a wrong length');
  if (body[0] !== 8) throw new ImageError(`The image is a JPEG with ${body[0]} bits, which is not decoded`, 'ERR_IMAGE_FORMAT');
  const height = (body[1] << 8) | body[2];
  const width = (body[3] << 8) | body[4];
  if (height === 0 || width === 0) throw damaged('it is empty');
  if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
  if (![1, 3, 4].includes(count)) throw damaged(`it has ${count} colour components`);
  const sampling = Array.from({ length: count }, (_, i) => body.subarray(6 + 3 * i, 9 + 3 * i));
  if (sampling.some(([, factors]) => !inRange(factors >> 4) || !inRange(factors & 15))) throw damaged('its colour sampling is impossible');
  const maxH = Math.max(...sampling.map(([, factors]) => factors >> 4));
  const maxV = Math.max(...sampling.map(([, factors]) => factors & 15));
  const unitsAcross = Math.ceil(width / (8 * maxH));
  const unitsDown = Math.ceil(height / (8 * maxV));
  const progressive = marker === 0xc2 || marker === 0xca;
  const arithmetic = marker >= 0xc9;
  const components = sampling.map(([id, factors, table]) => {
    const h = factors >> 4;
    const v = factors & 15;
    const blockStride = unitsAcross * h;
    const blocks = blockStride * unitsDown * v;
    return {
      id,
      h,
      v,
      table,
      factors: null,
      blocksAcross: Math.ceil((width * h) / (8 * maxH)),
      blocksDown: Math.ceil((height * v) / (8 * maxV)),
      blockStride,
      stride: 8 * blockStride,
      plane: new Uint8ClampedArray(64 * blocks),
      coefficients: progressive ? new Int16Array(64 * blocks) : null,
    };
  });
  return { width, height, progressive, arithmetic, components, maxH, maxV, unitsAcross, unitsDown, jfif: false, adobe: null };
}

/** @param {number} factor */
function inRange(factor) {
  return factor >= 1 && factor <= 4;
}

module.exports = { readFrame };
