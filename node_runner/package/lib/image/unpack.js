'use strict';

const { damaged } = require('../errors');

/**
 * Undoes PackBits (TIFF 6.0, section 9).
 *
 * @param {Uint8Array} packed
 * @param {number} size bytes that come out
 * @returns {Uint8Array}
 */
function unpackBits(packed, size) {
  const out = new Uint8Array(size);
  let filled = 0;
  for (let at = 0; filled < size; ) {
    if (at >= packed.length) throw tooShort();
    const count = packed[at++];
    if (count < 128) {
      if (at + count >= packed.length && at + Math.min(count + 1, size - filled) > packed.length) throw tooShort();
      out.set(packed.subarray(at, at + Math.min(count + 1, size - filled)), filled);
      at += count + 1;
      filled += count + 1;
    } else if (count > 128) {
      if (at >= packed.length) throw tooShort();
      out.fill(packed[at++], filled, Math.min(filled + 257 - count, size));
      filled += 257 - count;
    }
  }
  return out;
}

/**
 * Undoes the LZW of TIFF (TIFF 6.0, section 13): codes of 9 to 12 bits, the highest bit first, one longer a code early.
 *
 * @param {Uint8Array} packed
 * @param {number} size bytes that come out
 * @returns {Uint8Array}
 */
function unpackLzw(packed, size) {
  const out = new Uint8Array(size);
  // Each code stands for bytes that came out before: where they begin, and how many.
  const starts = new Int32Array(4096);
  const lengths = new Int32Array(4096);
  let next = 258;
  let width = 9;
  let before = -1;
  let beforeLength = 0;
  let buffer = 0;
  let bits = 0;
  let at = 0;
  let filled = 0;
  while (filled < size) {
    while (bits < width) {
      if (at >= packed.length) throw tooShort();
      buffer = ((buffer << 8) | packed[at++]) & 0xffffff;
      bits += 8;
    }
    const code = (buffer >> (bits - width)) & ((1 << width) - 1);
    bits -= width;
    if (code === 257) break;
    if (code === 256) {
      next = 258;
      width = 9;
      before = -1;
      continue;
    }
    const start = filled;
    if (code < 256) out[filled++] = code;
    else if (code < next || (code === next && before >= 0)) {
      const [from, length] = code < next ? [starts[code], lengths[code]] : [before, beforeLength + 1];
      for (let k = 0; k < length && filled < size; k++, filled++) out[filled] = k < beforeLength || code < next ? out[from + k] : out[before];
    } else throw damaged('it holds an impossible code');
    if (before >= 0 && next < 4096) {
      starts[next] = before;
      lengths[next] = beforeLength + 1;
      next++;
      if (next + 1 >= 1 << width && width < 12) width++;
    }
    before = start;
    beforeLength = filled - start;
  }
  if (filled < size) throw tooShort();
  return out;
}

function tooShort() {
  return damaged('its compressed data end too early');
}

module.exports = { unpackBits, unpackLzw };
