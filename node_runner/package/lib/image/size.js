'use strict';

const { canvasOf } = require('./gif');

/**
 * How many pixels a JPEG, PNG, GIF or BMP file says it has, without decoding it.
 *
 * @param {Uint8Array} data
 * @returns {number | null} null for files of other kinds, and where it cannot be told
 */
function pixelsOf(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 26) return null;
  if (view.getUint32(0) === 0x89504e47) return view.getUint32(16) * view.getUint32(20);
  if (view.getUint32(0) === 0x47494638) return pixelsOfGif(data);
  if (view.getUint16(0) === 0x424d) return Math.abs(view.getInt32(18, true) * view.getInt32(22, true));
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
 * @param {Uint8Array} data
 * @returns {number | null}
 */
function pixelsOfGif(data) {
  try {
    const { width, height } = canvasOf(data);
    return width * height;
  } catch {
    return null;
  }
}

module.exports = { pixelsOf };
