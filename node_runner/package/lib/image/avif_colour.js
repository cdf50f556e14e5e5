'use strict';

/**
 * Colours of AVIF pictures as Python's decoder computes them, with libyuv's whole numbers, from those that libavif computes with fractions
 * in WebAssembly. Its red, green and blue of 16 bits are exact enough to find the luma and the sixteenths of chroma that they were made of.
 *
 * @typedef {{limited: boolean, subsampled: boolean}} AvifColour of 8 bits by ITU-R BT.601; `limited` to 16 to 235, chroma of every second
 *   column
 */

/** libyuv's factors, in 64ths: luma (in 65536ths of 257ths), its offset, and what chroma adds to blue, green, green and red. */
const FULL = { luma: 16320, offset: 32, blue: 113, greenOfBlue: 22, greenOfRed: 46, red: 90 };
const LIMITED = { luma: 18997, offset: -1160, blue: 128, greenOfBlue: 25, greenOfRed: 52, red: 102 };

/**
 * @param {{width: number, height: number, data: Uint16Array}} image red, green, blue and alpha of each pixel
 * @param {AvifColour} colour
 * @returns {Uint8ClampedArray} red, green and blue
 */
function toLibyuv({ width, height, data }, { limited, subsampled }) {
  const pixels = new Uint8ClampedArray(width * height * 3);
  const factors = limited ? LIMITED : FULL;
  const [lumaScale, lumaOffset, chromaScale] = limited ? [219, 16, 224] : [255, 0, 255];
  const blues = new Int32Array(width);
  const reds = new Int32Array(width);
  const lumas = new Int32Array(width);
  for (let y = 0; y < height; y++) {
    for (let x = 0, from = 4 * y * width; x < width; x++, from += 4) {
      const [red, green, blue] = [data[from] / 65535, data[from + 1] / 65535, data[from + 2] / 65535];
      const luma = 0.299 * red + 0.587 * green + 0.114 * blue;
      lumas[x] = Math.round(luma * lumaScale + lumaOffset);
      blues[x] = Math.round(16 * (((blue - luma) / 1.772) * chromaScale + 128));
      reds[x] = Math.round(16 * (((red - luma) / 1.402) * chromaScale + 128));
    }
    if (subsampled && width % 2 === 1 && width > 1) {
      // There libyuv takes the last chroma as it is; libavif mixed it with the one before.
      for (const chroma of [blues, reds]) chroma[width - 1] = Math.round((3 * chroma[width - 1] - chroma[width - 2]) / 2);
    }
    for (let x = 0, at = 3 * y * width, from = 4 * y * width; x < width; x++, at += 3, from += 4) {
      if (isCut(data[from]) || isCut(data[from + 1]) || isCut(data[from + 2])) {
        // What lay beyond the range is lost.
        for (let k = 0; k < 3; k++) pixels[at + k] = Math.round(data[from + k] / 257);
        continue;
      }
      const luma = Math.floor((lumas[x] * 0x101 * factors.luma) / 65536) + factors.offset;
      const blue = ((blues[x] + 8) >> 4) - 128;
      const red = ((reds[x] + 8) >> 4) - 128;
      pixels[at] = (luma + red * factors.red) >> 6;
      pixels[at + 1] = (luma - blue * factors.greenOfBlue - red * factors.greenOfRed) >> 6;
      pixels[at + 2] = (luma + blue * factors.blue) >> 6;
    }
  }
  return pixels;
}

/** @param {number} value @returns {boolean} */
function isCut(value) {
  return value === 0 || value === 65535;
}

module.exports = { toLibyuv };
