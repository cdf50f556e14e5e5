'use strict';

const { damaged } = require('../../errors');

const LOOKAHEAD = 9;
/** The marker that ends a file. */
const END = 0xd9;

/**
 * A Huffman table of ITU-T T.81, annex C, ready to decode.
 *
 * @typedef {object} HuffmanTable
 * @property {Uint16Array} lookup for the next nine bits: length of the code times 256, plus its symbol; 0 where it is longer
 * @property {Int32Array} largest the largest code of each length, -1 where there is none
 * @property {Int32Array} offset from a code of that length to the index of its symbol
 * @property {Uint8Array} symbols
 */

/**
 * @param {Uint8Array} counts how many codes there are of length 1 to 16
 * @param {Uint8Array} symbols in the order of the codes
 * @returns {HuffmanTable}
 */
function huffmanTable(counts, symbols) {
  const lookup = new Uint16Array(1 << LOOKAHEAD);
  const largest = new Int32Array(18).fill(-1);
  const offset = new Int32Array(18);
  let code = 0;
  let index = 0;
  for (let length = 1; length <= 16; length++) {
    const count = counts[length - 1];
    if (code + count > 1 << length) throw damaged('it holds an impossible Huffman table');
    offset[length] = index - code;
    for (let i = 0; i < count; i++, code++, index++) {
      if (length > LOOKAHEAD) continue;
      const spare = LOOKAHEAD - length;
      lookup.fill((length << 8) | symbols[index], code << spare, (code + 1) << spare);
    }
    if (count > 0) largest[length] = code - 1;
    code <<= 1;
  }
  largest[17] = 0x7fffffff;
  return { lookup, largest, offset, symbols };
}

/**
 * Reads the entropy-coded bits between two markers.
 *
 * Where the bits end too early at a marker, zeros follow and `exhausted` is set, as in libjpeg; where the file itself ends before the
 * last bit that is needed, the image is damaged. The end of the file stands for the end marker.
 */
class BitReader {
  /**
   * @param {Uint8Array} data
   * @param {number} position
   */
  constructor(data, position) {
    this.data = data;
    this.position = position;
    this.buffer = 0;
    this.count = 0;
    /** The marker that ended the bits, 0 before. */
    this.marker = 0;
    this.exhausted = false;
    this.atEnd = false;
  }

  /** @returns {number} */
  byte() {
    if (this.position < this.data.length) return this.data[this.position++];
    this.atEnd = true;
    return -1;
  }

  fill() {
    while (this.count <= 24 && this.marker === 0) {
      const byte = this.byte();
      let next = byte;
      while (next === 0xff) next = this.byte();
      if (next < 0 || (byte === 0xff && next !== 0)) {
        this.marker = next < 0 ? END : next;
        return;
      }
      this.buffer = (this.buffer << 8) | byte;
      this.count += 8;
    }
  }

  /** @param {number} bits at most 16 */
  need(bits) {
    if (this.count >= bits) return;
    this.fill();
    if (this.count >= bits) return;
    if (this.atEnd) throw damaged('the file ends too early');
    this.exhausted = true;
    this.buffer <<= 25 - this.count;
    this.count = 25;
  }

  /**
   * @param {number} bits 1 to 16
   * @returns {number}
   */
  read(bits) {
    if (this.count < bits) this.need(bits);
    this.count -= bits;
    return (this.buffer >>> this.count) & ((1 << bits) - 1);
  }

  /**
   * A signed number of the given size: T.81, table F.1 and figure F.12.
   *
   * @param {number} bits 1 to 15
   * @returns {number}
   */
  readSigned(bits) {
    const value = this.read(bits);
    return value < 1 << (bits - 1) ? value - (1 << bits) + 1 : value;
  }

  /**
   * @param {HuffmanTable} table
   * @returns {number} the next symbol; 0 for an impossible code, as in libjpeg
   */
  symbol(table) {
    if (this.count < 16) this.fill();
    const { count } = this;
    const ahead = count >= LOOKAHEAD ? this.buffer >>> (count - LOOKAHEAD) : this.buffer << (LOOKAHEAD - count);
    const entry = table.lookup[ahead & ((1 << LOOKAHEAD) - 1)];
    const length = entry >> 8;
    if (length !== 0 && length <= count) {
      this.count -= length;
      return entry & 255;
    }
    return this.longSymbol(table);
  }

  /**
   * @param {HuffmanTable} table
   * @returns {number}
   */
  longSymbol(table) {
    let length = 1;
    let code = this.read(1);
    while (length <= 16 && code > table.largest[length]) {
      code = (code << 1) | this.read(1);
      length++;
    }
    return length > 16 ? 0 : table.symbols[(code + table.offset[length]) & 255];
  }

  /** Forgets the bits that are left before a restart marker. */
  discard() {
    this.buffer = 0;
    this.count = 0;
  }
}

module.exports = { BitReader, huffmanTable };
