'use strict';

const { damaged } = require('../../errors');
const { ArithmeticReader, arithmeticBlocks } = require('./arithmetic');
const { BitReader } = require('./bits');
const { inverse } = require('./idct');
const { NATURAL } = require('./zigzag');

/**
 * @typedef {import('./bits').HuffmanTable} HuffmanTable
 * @typedef {import('./frame').Component} Component
 * @typedef {import('./frame').Frame} Frame
 *
 * @typedef {object} ScanComponent
 * @property {Component} component
 * @property {HuffmanTable | undefined} dc
 * @property {HuffmanTable | undefined} ac
 * @property {number} dcNumber of its table or, in arithmetic coding, its conditioning
 * @property {number} acNumber
 * @property {number} prediction of the next DC coefficient
 *
 * @typedef {object} Scan
 * @property {ScanComponent[]} parts
 * @property {number} first coefficient of the scan, in zigzag order
 * @property {number} last
 * @property {number} high the bit that earlier scans ended with
 * @property {number} low the bit that this scan ends with
 * @property {number} restartInterval units between restart markers, 0 without any
 * @property {Conditioning} conditioning of arithmetic coding
 *
 * @typedef {object} Conditioning
 * @property {[number, number][]} dc lower and upper bound of small differences
 * @property {number[]} ac the last coefficient that counts as low
 */

/**
 * Decodes the entropy-coded data of one scan: into coefficients where the picture is progressive, else into samples.
 *
 * @param {Frame} frame
 * @param {Scan} scan
 * @param {Uint8Array} data
 * @param {number} position where the data begin
 * @returns {{position: number, marker: number}} what follows; marker 0 where it has not been read yet
 */
function decodeScan(frame, scan, data, position) {
  const bits = frame.arithmetic ? new ArithmeticReader(data, position) : new BitReader(data, position);
  const decode = bits instanceof BitReader ? blockDecoder(frame, scan, bits) : arithmeticBlocks(frame, scan, bits);
  const alone = scan.parts.length === 1;
  const [{ component }] = scan.parts;
  const across = alone ? component.blocksAcross : frame.unitsAcross;
  const down = alone ? component.blocksDown : frame.unitsDown;
  let left = scan.restartInterval;
  let next = 0;
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++) {
      if (scan.restartInterval > 0 && left-- === 0) {
        restart(bits, next);
        next = (next + 1) & 7;
        left = scan.restartInterval - 1;
        decode.reset();
      }
      if (alone) {
        decode.block(scan.parts[0], y * component.blockStride + x, bits.exhausted);
        continue;
      }
      // A unit is decoded wholly or, once the bits have run out, not at all.
      const skip = bits.exhausted;
      for (const part of scan.parts) {
        const { h, v, blockStride } = part.component;
        for (let row = y * v; row < (y + 1) * v; row++) {
          for (let column = x * h; column < (x + 1) * h; column++) decode.block(part, row * blockStride + column, skip);
        }
      }
    }
  }
  return { position: bits.position, marker: bits.marker };
}

/**
 * @typedef {{block: (part: ScanComponent, index: number, skip: boolean) => void, reset: () => void}} BlockDecoder
 *
 * @param {Frame} frame
 * @param {Scan} scan
 * @param {BitReader} bits
 * @returns {BlockDecoder}
 */
function blockDecoder(frame, scan, bits) {
  const resetPredictions = () => scan.parts.forEach((part) => (part.prediction = 0));
  resetPredictions();
  if (!frame.progressive) return { block: sequentialBlock(bits), reset: resetPredictions };
  if (scan.first === 0) {
    const refine = scan.high !== 0;
    return { block: refine ? dcRefinement(scan, bits) : dcFirst(scan, bits), reset: resetPredictions };
  }
  return scan.high === 0 ? acFirst(scan, bits) : acRefinement(scan, bits);
}

/**
 * @param {BitReader} bits
 * @returns {BlockDecoder['block']}
 */
function sequentialBlock(bits) {
  const block = new Int16Array(64);
  return (part, index, skip) => {
    const { component } = part;
    const { blockStride, stride, plane } = component;
    block.fill(0);
    if (!skip) {
      const ac = table(part.ac);
      const size = bits.symbol(table(part.dc));
      if (size) part.prediction += bits.readSigned(size);
      block[0] = part.prediction;
      for (let k = 1; k < 64; k++) {
        const symbol = bits.symbol(ac);
        const run = symbol >> 4;
        if (symbol & 15) {
          k += run;
          block[NATURAL[k]] = bits.readSigned(symbol & 15);
        } else {
          if (run !== 15) break;
          k += 15;
        }
      }
    }
    const row = Math.floor(index / blockStride);
    const at = row * 8 * stride + (index - row * blockStride) * 8;
    inverse(block, 0, /** @type {Int16Array} */ (component.factors), plane, at, stride);
  };
}

/**
 * @param {Scan} scan
 * @param {BitReader} bits
 * @returns {BlockDecoder['block']}
 */
function dcFirst(scan, bits) {
  return (part, index, skip) => {
    if (skip) return;
    const size = bits.symbol(table(part.dc));
    if (size) part.prediction += bits.readSigned(size);
    coefficients(part)[64 * index] = part.prediction << scan.low;
  };
}

/**
 * @param {Scan} scan
 * @param {BitReader} bits
 * @returns {BlockDecoder['block']}
 */
function dcRefinement(scan, bits) {
  // Read even where bits have run out: zeros change nothing.
  return (part, index) => {
    if (bits.read(1)) coefficients(part)[64 * index] |= 1 << scan.low;
  };
}

/**
 * @param {Scan} scan
 * @param {BitReader} bits
 * @returns {BlockDecoder}
 */
function acFirst(scan, bits) {
  let emptyBlocks = 0;
  return {
    reset: () => (emptyBlocks = 0),
    block(part, index, skip) {
      if (skip) return;
      if (emptyBlocks > 0) {
        emptyBlocks--;
        return;
      }
      const stored = coefficients(part);
      const ac = table(part.ac);
      for (let k = scan.first; k <= scan.last; k++) {
        const symbol = bits.symbol(ac);
        const run = symbol >> 4;
        if (symbol & 15) {
          k += run;
          stored[64 * index + NATURAL[k]] = bits.readSigned(symbol & 15) << scan.low;
        } else if (run === 15) {
          k += 15;
        } else {
          emptyBlocks = (1 << run) - 1;
          if (run) emptyBlocks += bits.read(run);
          break;
        }
      }
    },
  };
}

/**
 * The refinement of AC coefficients: T.81, G.1.2.3 and figure G.7.
 *
 * @param {Scan} scan
 * @param {BitReader} bits
 * @returns {BlockDecoder}
 */
function acRefinement(scan, bits) {
  const plus = 1 << scan.low;
  const minus = -1 << scan.low;
  let emptyBlocks = 0;

  const correct = (/** @type {Int16Array} */ stored, /** @type {number} */ at) => {
    if (bits.read(1) && (stored[at] & plus) === 0) stored[at] += stored[at] >= 0 ? plus : minus;
  };

  return {
    reset: () => (emptyBlocks = 0),
    block(part, index, skip) {
      if (skip) return;
      const stored = coefficients(part);
      const ac = table(part.ac);
      const start = 64 * index;
      let k = scan.first;
      if (emptyBlocks === 0) {
        for (; k <= scan.last; k++) {
          const symbol = bits.symbol(ac);
          let run = symbol >> 4;
          let value = 0;
          if (symbol & 15) {
            value = bits.read(1) ? plus : minus;
          } else if (run !== 15) {
            emptyBlocks = 1 << run;
            if (run) emptyBlocks += bits.read(run);
            break;
          }
          for (; k <= scan.last; k++) {
            const at = start + NATURAL[k];
            if (stored[at] !== 0) correct(stored, at);
            else if (--run < 0) break;
          }
          if (value) stored[start + NATURAL[k]] = value;
        }
      }
      if (emptyBlocks > 0) {
        for (; k <= scan.last; k++) {
          const at = start + NATURAL[k];
          if (stored[at] !== 0) correct(stored, at);
        }
        emptyBlocks--;
      }
    },
  };
}

/**
 * Goes over a restart marker; where another marker stands there, resynchronizes as libjpeg's `jpeg_resync_to_restart` does.
 *
 * @param {BitReader | ArithmeticReader} bits
 * @param {number} expected 0 to 7
 */
function restart(bits, expected) {
  bits.discard();
  let { marker } = bits;
  for (;;) {
    if (marker === 0) marker = nextMarker(bits);
    if (marker === 0xd0 + expected) break;
    const isRestart = marker >= 0xd0 && marker <= 0xd7;
    const ahead = (marker - 0xd0 - expected) & 7;
    if (marker >= 0xc0 && (!isRestart || ahead === 1 || ahead === 2)) {
      // Data were lost up to there: what is left of this segment stays grey.
      bits.marker = marker;
      return;
    }
    if (isRestart && ahead !== 6 && ahead !== 7) break;
    marker = 0;
  }
  bits.marker = 0;
  bits.exhausted = false;
}

/**
 * @param {BitReader | ArithmeticReader} bits
 * @returns {number}
 */
function nextMarker(bits) {
  const { data } = bits;
  while (bits.position + 1 < data.length) {
    const found = data[bits.position] === 0xff && data[bits.position + 1] !== 0 && data[bits.position + 1] !== 0xff;
    bits.position += found ? 2 : 1;
    if (found) return data[bits.position - 1];
  }
  throw damaged('the file ends too early');
}

/**
 * @param {HuffmanTable | undefined} found
 * @returns {HuffmanTable}
 */
function table(found) {
  if (!found) throw damaged('it names a Huffman table that it does not hold');
  return found;
}

/**
 * @param {ScanComponent} part
 * @returns {Int16Array}
 */
function coefficients(part) {
  return /** @type {Int16Array} */ (part.component.coefficients);
}

module.exports = { decodeScan };
