'use strict';

const { ImageError } = require('../errors');
const { pixelsOfBmp } = require('./bmp');
const { ascii } = require('./format');
const { canvasOf } = require('./gif');
const { readHeif } = require('./heif');
const { readTiff } = require('./tiff');
const { readWebp } = require('./webp');

/**
 * How many pixels a picture file says it has, without decoding it.
 *
 * @param {Uint8Array} data
 * @returns {number | null} null for files of other kinds, and where it cannot be told
 */
function pixelsOf(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 26) return null;
  if (view.getUint32(0) === 0x89504e47) return view.getUint32(16) * view.getUint32(20);
  if (view.getUint32(0) === 0x47494638) return told(() => product(canvasOf(data)));
  if (view.getUint16(0) === 0x424d) return told(() => pixelsOfBmp(data));
  if (view.getUint32(0) === 0x52494646) return told(() => product(readWebp(data)));
  if ([0x49492a00, 0x4d4d002a].includes(view.getUint32(0))) return told(() => product(readTiff(data)));
  if (ascii(data, 4, 4) === 'ftyp') return told(() => product(readHeif(data)));
  if (view.getUint16(0) !== 0xffd8) return null;
  for (let position = 2; position + 9 <= data.length && data[position] === 0xff; ) {
    const marker = data[position + 1];
    if (marker === 0xff) {
      position++;
      continue;
    }
    // Start of frame, but for the three others among its numbers: tables of Huffman codes, an extension, arithmetic conditioning.
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return view.getUint16(position + 5) * view.getUint16(position + 7);
    position += 2 + view.getUint16(position + 2);
  }
  return null;
}

/**
 * @param {{width: number, height: number} | null} size
 * @returns {number | null}
 */
function product(size) {
  return size && size.width * size.height;
}

/**
 * @param {() => number | null} read
 * @returns {number | null} null where the file is damaged
 */
function told(read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof ImageError) return null;
    throw error;
  }
}

module.exports = { pixelsOf };
