'use strict';

/**
 * The inverse discrete cosine transform that TensorFlow's decoder uses: libjpeg's "fast integer" one (`JDCT_IFAST`). It is the
 * algorithm of Arai, Agui and Nakajima (1988) with 8 fractional bits in its constants, whose scale factors are folded into the
 * quantization table with 2 fractional bits. It rounds down throughout, so another transform gives other pixels.
 *
 * A product is `((value << 2) * (constant << 6)) >> 16`, its first factor wrapped to 16 bits, and 2.613 is 1.613 and 1: as the
 * vector instructions compute it, which differs from libjpeg's C code where pictures of extreme contrast overflow. The constants
 * are 1.082392200 (17728), 1.414213562 (23168), 1.613125930 (26432) and 1.847759065 (30272), with 8 fractional bits before.
 */

const SCALE_BITS = 2;

/** @type {number[]} by row and column: the product of cos(k pi / 16) sqrt(2) (1 for k = 0) of both, with 14 fractional bits */
const AAN_SCALES = [];
for (let row = 0; row < 8; row++) {
  for (let column = 0; column < 8; column++) {
    const factor = (/** @type {number} */ k) => (k === 0 ? 1 : Math.cos((k * Math.PI) / 16) * Math.SQRT2);
    AAN_SCALES.push(Math.round(16384 * factor(row) * factor(column)));
  }
}

/**
 * @param {Uint16Array} quantization 64 steps in natural (not zigzag) order
 * @returns {Int16Array} what coefficients are multiplied by before `inverse`
 */
function multipliers(quantization) {
  const shift = 14 - SCALE_BITS;
  return Int16Array.from(quantization, (step, index) => (step * AAN_SCALES[index] + (1 << (shift - 1))) >> shift);
}

const work = new Int16Array(64);

/**
 * Turns one block of coefficients into 8 x 8 samples. Sums wrap at 16 bits, as they do in the vector instructions.
 *
 * @param {Int16Array} coefficients
 * @param {number} start where the block begins
 * @param {Int16Array} factors of `multipliers`
 * @param {Uint8ClampedArray} samples the component's plane
 * @param {number} at where the block's first sample goes
 * @param {number} stride samples in a row of the plane
 */
function inverse(coefficients, start, factors, samples, at, stride) {
  for (let column = 0; column < 8; column++) {
    const c = start + column;
    const in0 = (coefficients[c] * factors[column] << 16) >> 16;
    if (
      (coefficients[c + 8] | coefficients[c + 16] | coefficients[c + 24] | coefficients[c + 32] |
        coefficients[c + 40] | coefficients[c + 48] | coefficients[c + 56]) === 0
    ) {
      for (let row = column; row < 64; row += 8) work[row] = in0;
      continue;
    }
    const in1 = (coefficients[c + 8] * factors[column + 8] << 16) >> 16;
    const in2 = (coefficients[c + 16] * factors[column + 16] << 16) >> 16;
    const in3 = (coefficients[c + 24] * factors[column + 24] << 16) >> 16;
    const in4 = (coefficients[c + 32] * factors[column + 32] << 16) >> 16;
    const in5 = (coefficients[c + 40] * factors[column + 40] << 16) >> 16;
    const in6 = (coefficients[c + 48] * factors[column + 48] << 16) >> 16;
    const in7 = (coefficients[c + 56] * factors[column + 56] << 16) >> 16;

    const even10 = in0 + in4;
    const even11 = in0 - in4;
    const even13 = in2 + in6;
    const even12 = ((((in2 - in6) << 18 >> 16) * 23168) >> 16) - even13;
    const even0 = even10 + even13;
    const even3 = even10 - even13;
    const even1 = even11 + even12;
    const even2 = even11 - even12;

    const z13 = in5 + in3;
    const z10 = in5 - in3;
    const z11 = in1 + in7;
    const z12 = in1 - in7;
    const odd7 = z11 + z13;
    const z5 = (((z10 + z12) << 18 >> 16) * 30272) >> 16;
    const odd6 = (((z10 << 18 >> 16) * -26432) >> 16) - z10 + z5 - odd7;
    const odd5 = ((((z11 - z13) << 18 >> 16) * 23168) >> 16) - odd6;
    const odd4 = (((z12 << 18 >> 16) * 17728) >> 16) - z5 + odd5;

    work[column] = even0 + odd7;
    work[column + 56] = even0 - odd7;
    work[column + 8] = even1 + odd6;
    work[column + 48] = even1 - odd6;
    work[column + 16] = even2 + odd5;
    work[column + 40] = even2 - odd5;
    work[column + 32] = even3 + odd4;
    work[column + 24] = even3 - odd4;
  }
  for (let row = 0; row < 64; row += 8, at += stride) {
    const in0 = work[row];
    const in1 = work[row + 1];
    const in2 = work[row + 2];
    const in3 = work[row + 3];
    const in4 = work[row + 4];
    const in5 = work[row + 5];
    const in6 = work[row + 6];
    const in7 = work[row + 7];

    const even10 = in0 + in4;
    const even11 = in0 - in4;
    const even13 = in2 + in6;
    const even12 = ((((in2 - in6) << 18 >> 16) * 23168) >> 16) - even13;
    const even0 = even10 + even13;
    const even3 = even10 - even13;
    const even1 = even11 + even12;
    const even2 = even11 - even12;

    const z13 = in5 + in3;
    const z10 = in5 - in3;
    const z11 = in1 + in7;
    const z12 = in1 - in7;
    const odd7 = z11 + z13;
    const z5 = (((z10 + z12) << 18 >> 16) * 30272) >> 16;
    const odd6 = (((z10 << 18 >> 16) * -26432) >> 16) - z10 + z5 - odd7;
    const odd5 = ((((z11 - z13) << 18 >> 16) * 23168) >> 16) - odd6;
    const odd4 = (((z12 << 18 >> 16) * 17728) >> 16) - z5 + odd5;

    samples[at] = (((even0 + odd7) << 16) >> 21) + 128;
    samples[at + 7] = (((even0 - odd7) << 16) >> 21) + 128;
    samples[at + 1] = (((even1 + odd6) << 16) >> 21) + 128;
    samples[at + 6] = (((even1 - odd6) << 16) >> 21) + 128;
    samples[at + 2] = (((even2 + odd5) << 16) >> 21) + 128;
    samples[at + 5] = (((even2 - odd5) << 16) >> 21) + 128;
    samples[at + 4] = (((even3 + odd4) << 16) >> 21) + 128;
    samples[at + 3] = (((even3 - odd4) << 16) >> 21) + 128;
  }
}

module.exports = { inverse, multipliers };
