'use strict';

const { ascii } = require('./format');

const ORIENTATION = 0x0112;
/** Bytes of the whole-number types of TIFF: BYTE, SHORT, LONG, SBYTE, SSHORT, SLONG. @type {Record<number, number>} */
const SIZES = { 1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4 };

/**
 * The EXIF orientation of a JPEG file (CIPA DC-008, tag 0x0112).
 *
 * @param {Uint8Array} data
 * @returns {number} 1 to 8; 1, upright, where there is none or where the EXIF data are damaged
 */
function orientationOf(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let position = 2; position + 4 <= data.length && data[position] === 0xff; ) {
    const marker = data[position + 1];
    if (marker === 0xff) {
      position++;
      continue;
    }
    if (marker === 0xda || marker === 0xd9) break;
    const end = position + 2 + view.getUint16(position + 2);
    if (marker === 0xe1 && end <= data.length && ascii(data, position + 4, 6) === 'Exif\0\0') {
      return fromTiff(new DataView(data.buffer, data.byteOffset + position + 10, Math.max(end - position - 10, 0)));
    }
    position = end;
  }
  return 1;
}

/**
 * @param {Uint8Array | null} exif of a WebP file, with or without the mark that JPEG files put before it
 * @returns {number}
 */
function orientationIn(exif) {
  if (!exif) return 1;
  const start = ascii(exif, 0, 6) === 'Exif\0\0' ? 6 : 0;
  return fromTiff(new DataView(exif.buffer, exif.byteOffset + start, exif.length - start));
}

/**
 * @param {DataView} tiff
 * @returns {number}
 */
function fromTiff(tiff) {
  if (tiff.byteLength < 8) return 1;
  const order = tiff.getUint16(0);
  const little = order === 0x4949;
  if ((!little && order !== 0x4d4d) || tiff.getUint16(2, little) !== 42) return 1;
  const directory = tiff.getUint32(4, little);
  if (directory + 2 > tiff.byteLength) return 1;
  const entries = tiff.getUint16(directory, little);
  for (let i = 0, at = directory + 2; i < entries && at + 12 <= tiff.byteLength; i++, at += 12) {
    if (tiff.getUint16(at, little) !== ORIENTATION) continue;
    const size = SIZES[tiff.getUint16(at + 2, little)];
    if (size === undefined || tiff.getUint32(at + 4, little) !== 1) return 1;
    const value = size === 1 ? tiff.getUint8(at + 8) : size === 2 ? tiff.getUint16(at + 8, little) : tiff.getUint32(at + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/**
 * Turns and mirrors pixels as an EXIF orientation says.
 *
 * @param {import('./decode').Picture} picture
 * @param {number} orientation 1 to 8
 * @returns {import('./decode').Picture}
 */
function upright(picture, orientation) {
  if (orientation === 1) return picture;
  const { width, height, pixels } = picture;
  const turned = orientation >= 5;
  const [outWidth, outHeight] = turned ? [height, width] : [width, height];
  const out = new Uint8ClampedArray(pixels.length);
  const fromRight = orientation === 2 || orientation === 3 || orientation === 7 || orientation === 8;
  const fromBottom = orientation === 3 || orientation === 4 || orientation === 6 || orientation === 7;
  let at = 0;
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++, at += 3) {
      let column = turned ? y : x;
      let row = turned ? x : y;
      if (fromRight) column = width - 1 - column;
      if (fromBottom) row = height - 1 - row;
      const from = 3 * (row * width + column);
      out[at] = pixels[from];
      out[at + 1] = pixels[from + 1];
      out[at + 2] = pixels[from + 2];
    }
  }
  return { width: outWidth, height: outHeight, pixels: out };
}

module.exports = { orientationIn, orientationOf, upright };
