'use strict';

const { damaged } = require('../../errors');
const { inverse } = require('./idct');
const { NATURAL } = require('./zigzag');

/**
 * @typedef {import('./frame').Frame} Frame
 * @typedef {import('./scan').Scan} Scan
 * @typedef {import('./scan').ScanComponent} ScanComponent
 * @typedef {import('./scan').BlockDecoder} BlockDecoder
 */

// The states of the probability estimation of ITU-T T.81, table D.3, and a last one that stays at a half.
const QE = Uint16Array.from(
  (
    '5a1d 2586 1114 080b 03d8 01da 00e5 006f 0036 001a 000d 0006 0003 0001 5a7f 3f25 2cf2 207c 17b9 1182 0cef 09a1 072f 055c 0406 0303 0240 ' +
    '01b1 0144 00f5 00b7 008a 0068 004e 003b 002c 5ae1 484c 3a0d 2ef1 261f 1f33 19a8 1518 1177 0e74 0bfb 09f8 0861 0706 05cd 04de 040f 0363 ' +
    '02d4 025c 01f8 01a4 0160 0125 00f6 00cb 00ab 008f 5b12 4d04 412c 37d8 2fe8 293c 2379 1edf 1aa9 174e 1424 119c 0f6b 0d51 0bb6 0a40 5832 ' +
    '4d1c 438e 3bdd 34ee 2eae 299a 2516 5570 4ca9 44d9 3e22 3824 32b4 2e17 56a8 4f46 47e5 41cf 3c3d 375e 5231 4c0f 4639 415e 5627 50e7 4b85 ' +
    '5597 504f 5a10 5522 59eb 5a1d'
  ).split(' '),
  (digits) => parseInt(digits, 16),
);
const AFTER_LESS_PROBABLE = Uint8Array.of(
  1, 14, 16, 18, 20, 23, 25, 28, 30, 33, 35, 9, 10, 12, 15, 36, 38, 39, 40, 42, 43, 45, 46, 48, 49, 51, 52, 54, 56, 57, 59, 60, 62, 63, 32, 33, 37, 64,
  65, 67, 68, 69, 70, 72, 73, 74, 75, 77, 78, 79, 48, 50, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 61, 65, 80, 81, 82, 83, 84, 86, 87, 87, 72, 72, 74,
  74, 75, 77, 77, 80, 88, 89, 90, 91, 92, 93, 86, 88, 95, 96, 97, 99, 99, 93, 95, 101, 102, 103, 104, 99, 105, 106, 107, 103, 105, 108, 109, 110, 111,
  110, 112, 112, 113,
);
const AFTER_MORE_PROBABLE = Uint8Array.from({ length: 114 }, (_, i) => i + 1);
for (const [state, next] of [[13, 13], [35, 9], [63, 32], [79, 48], [87, 71], [94, 86], [100, 93], [104, 99], [107, 103], [109, 107], [111, 109], [112, 111], [113, 113]]) {
  AFTER_MORE_PROBABLE[state] = next;
}
/** States in which the less probable symbol becomes the more probable one. */
const SWITCHES = new Set([0, 14, 36, 64, 80, 88, 95, 105, 110, 112]);
const EVEN = 113;
/** Shifts until the first two bytes are there. */
const BEFORE_FIRST_BYTES = -16;

/**
 * Reads the arithmetically coded decisions between two markers (T.81, annex D). A marker ends them, and zeros follow, which encoders leave
 * out; so nobody can tell whether a file that ends without a marker is whole, and it counts as damaged.
 */
class ArithmeticReader {
  /**
   * @param {Uint8Array} data
   * @param {number} position
   */
  constructor(data, position) {
    this.data = data;
    this.position = position;
    /** The marker that ended the data, 0 before. */
    this.marker = 0;
    /** Whether something impossible was read: the rest of the segment stays as it is. */
    this.exhausted = false;
    this.even = Uint8Array.of(EVEN);
    this.code = 0;
    this.interval = 0;
    this.count = BEFORE_FIRST_BYTES;
  }

  /** Begins anew, as after a restart marker. */
  discard() {
    this.code = 0;
    this.interval = 0;
    this.count = BEFORE_FIRST_BYTES;
  }

  /** @returns {number} */
  next() {
    if (this.marker !== 0) return 0;
    let byte = this.byte();
    if (byte !== 0xff) return byte;
    while (byte === 0xff) byte = this.byte();
    if (byte === 0) return 0xff;
    this.marker = byte;
    return 0;
  }

  /** @returns {number} */
  byte() {
    if (this.position >= this.data.length) throw damaged('the file ends too early');
    return this.data[this.position++];
  }

  /**
   * @param {Uint8Array} states the more probable symbol in the highest bit, the state in the others
   * @param {number} at which of them
   * @returns {number} 0 or 1
   */
  decide(states, at) {
    while (this.interval < 0x8000) {
      if (--this.count < 0) {
        this.code = (this.code << 8) | this.next();
        this.count += 8;
        if (this.count < 0 && ++this.count === 0) this.interval = 0x8000;
      }
      this.interval <<= 1;
    }
    const likely = states[at] >> 7;
    const state = states[at] & 0x7f;
    const qe = QE[state];
    this.interval -= qe;
    const limit = this.interval << this.count;
    const inUpperPart = this.code >= limit;
    if (!inUpperPart && this.interval >= 0x8000) return likely;
    // Where the less probable part has become the larger one, the two are exchanged.
    const isLikely = inUpperPart === this.interval < qe;
    if (inUpperPart) {
      this.code -= limit;
      this.interval = qe;
    }
    if (isLikely) states[at] = (likely << 7) | AFTER_MORE_PROBABLE[state];
    else states[at] = ((SWITCHES.has(state) ? 1 - likely : likely) << 7) | AFTER_LESS_PROBABLE[state];
    return isLikely ? likely : 1 - likely;
  }
}

/**
 * What decodes the blocks of a scan (T.81, F.2.4 and G.2).
 *
 * @param {Frame} frame
 * @param {Scan} scan
 * @param {ArithmeticReader} reader
 * @returns {BlockDecoder}
 */
function arithmeticBlocks(frame, scan, reader) {
  /** @type {Map<number, Uint8Array>} */
  const dcStates = new Map();
  /** @type {Map<number, Uint8Array>} */
  const acStates = new Map();
  const contexts = new Map();
  const reset = () => {
    for (const part of scan.parts) {
      dcStates.set(part.dcNumber, new Uint8Array(64));
      acStates.set(part.acNumber, new Uint8Array(256));
      contexts.set(part, 0);
      part.prediction = 0;
    }
  };
  reset();

  /**
   * @param {Uint8Array} states
   * @param {number} at
   * @param {number} magnitude the highest bit
   * @param {number} sign
   * @returns {number}
   */
  const signed = (states, at, magnitude, sign) => {
    let value = magnitude;
    for (let bit = magnitude >> 1; bit; bit >>= 1) if (reader.decide(states, at)) value |= bit;
    return sign ? -(value + 1) : value + 1;
  };

  /** @param {number} value @returns {number} */
  const impossible = (value) => {
    reader.exhausted = true;
    return value;
  };

  /** @param {ScanComponent} part @returns {number} the next DC coefficient */
  const dc = (part) => {
    const states = /** @type {Uint8Array} */ (dcStates.get(part.dcNumber));
    const [lower, upper] = scan.conditioning.dc[part.dcNumber];
    let at = contexts.get(part);
    contexts.set(part, 0);
    if (reader.decide(states, at) === 0) return part.prediction;
    const sign = reader.decide(states, at + 1);
    at += 2 + sign;
    let magnitude = reader.decide(states, at);
    if (magnitude !== 0) {
      at = 20;
      while (reader.decide(states, at)) {
        magnitude <<= 1;
        if (magnitude === 0x8000) return impossible(part.prediction);
        at += 1;
      }
    }
    if (magnitude > (1 << upper) >> 1) contexts.set(part, 12 + 4 * sign);
    else if (magnitude >= (1 << lower) >> 1) contexts.set(part, 4 + 4 * sign);
    part.prediction = ((part.prediction + signed(states, at + 14, magnitude, sign)) << 16) >> 16;
    return part.prediction;
  };

  /**
   * @param {ScanComponent} part
   * @param {number} first
   * @param {number} last
   * @param {(k: number, value: number) => void} store
   */
  const ac = (part, first, last, store) => {
    const states = /** @type {Uint8Array} */ (acStates.get(part.acNumber));
    for (let k = first; k <= last; k++) {
      let at = 3 * (k - 1);
      if (reader.decide(states, at)) return;
      while (reader.decide(states, at + 1) === 0) {
        at += 3;
        k++;
        if (k > last) return void impossible(0);
      }
      const sign = reader.decide(reader.even, 0);
      at += 2;
      let magnitude = reader.decide(states, at);
      if (magnitude !== 0 && reader.decide(states, at)) {
        magnitude <<= 1;
        at = k <= scan.conditioning.ac[part.acNumber] ? 189 : 217;
        while (reader.decide(states, at)) {
          magnitude <<= 1;
          if (magnitude === 0x8000) return void impossible(0);
          at += 1;
        }
      }
      store(k, signed(states, at + 14, magnitude, sign));
    }
  };

  /** @param {ScanComponent} part @param {Int16Array} stored @param {number} start */
  const acRefinement = (part, stored, start) => {
    const states = /** @type {Uint8Array} */ (acStates.get(part.acNumber));
    const plus = 1 << scan.low;
    const minus = -1 << scan.low;
    let before = scan.last;
    while (before > 0 && stored[start + NATURAL[before]] === 0) before--;
    for (let k = scan.first; k <= scan.last; k++) {
      let at = 3 * (k - 1);
      if (k > before && reader.decide(states, at)) return;
      for (;;) {
        const place = start + NATURAL[k];
        if (stored[place] !== 0) {
          if (reader.decide(states, at + 2)) stored[place] += stored[place] < 0 ? minus : plus;
          break;
        }
        if (reader.decide(states, at + 1)) {
          stored[place] = reader.decide(reader.even, 0) ? minus : plus;
          break;
        }
        at += 3;
        k++;
        if (k > scan.last) return void impossible(0);
      }
    }
  };

  const block = new Int16Array(64);
  return {
    reset,
    block(part, index, skip) {
      const { component } = part;
      if (!frame.progressive) {
        block.fill(0);
        if (!skip) {
          block[0] = dc(part);
          if (!reader.exhausted) ac(part, 1, 63, (k, value) => (block[NATURAL[k]] = value));
        }
        const row = Math.floor(index / component.blockStride);
        const at = row * 8 * component.stride + (index - row * component.blockStride) * 8;
        inverse(block, 0, /** @type {Int16Array} */ (component.factors), component.plane, at, component.stride);
        return;
      }
      if (skip) return;
      const stored = /** @type {Int16Array} */ (component.coefficients);
      const start = 64 * index;
      if (scan.first === 0 && scan.high !== 0) {
        if (reader.decide(reader.even, 0)) stored[start] |= 1 << scan.low;
      } else if (scan.first === 0) stored[start] = dc(part) << scan.low;
      else if (scan.high === 0) ac(part, scan.first, scan.last, (k, value) => (stored[start + NATURAL[k]] = value << scan.low));
      else acRefinement(part, stored, start);
    },
  };
}

module.exports = { ArithmeticReader, arithmeticBlocks };
