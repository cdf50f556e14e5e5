'use strict';

const { damaged } = require('../../errors');
const { huffmanTable } = require('./bits');
const { toRgb } = require('./colour');
const { readFrame } = require('./frame');
const { inverse, multipliers } = require('./idct');
const { decodeScan } = require('./scan');
const { NATURAL } = require('./zigzag');

/**
 * @typedef {import('./bits').HuffmanTable} HuffmanTable
 * @typedef {import('./frame').Frame} Frame
 * @typedef {import('./scan').Scan} Scan
 *
 * @typedef {object} State what the segments read so far have set
 * @property {Uint8Array} data
 * @property {number} maxPixels
 * @property {Frame | null} frame
 * @property {(Uint16Array | undefined)[]} quantization
 * @property {(HuffmanTable | undefined)[]} dc
 * @property {(HuffmanTable | undefined)[]} ac
 * @property {number} restartInterval
 * @property {import('./scan').Conditioning} conditioning
 * @property {boolean} jfif
 * @property {number | null} adobe
 */

/**
 * Decodes a JPEG file as TensorFlow's `tf.io.decode_image` does, to the last bit: baseline and progressive, grey, RGB, YCbCr, CMYK
 * and YCCK; and with arithmetic coding, which TensorFlow does not know, as if it had Huffman coding. The EXIF orientation is not applied.
 *
 * Libraries for JavaScript use other inverse transforms or other upsampling; their pixels differ from those that a model was
 * trained on.
 *
 * @param {Uint8Array} data
 * @param {number} maxPixels
 * @returns {{width: number, height: number, pixels: Uint8ClampedArray}} red, green and blue of each pixel, row by row
 * @throws {import('../../errors').ImageError} where the file is damaged or of a kind that is not decoded
 */
function decodeJpeg(data, maxPixels) {
  /** @type {State} */
  const state = {
    data,
    maxPixels,
    frame: null,
    quantization: [],
    dc: [],
    ac: [],
    restartInterval: 0,
    conditioning: { dc: Array.from({ length: 16 }, () => [0, 1]), ac: Array(16).fill(5) },
    jfif: false,
    adobe: null,
  };
  let position = 2;
  let marker = 0;
  let scanned = false;
  for (;;) {
    if (marker === 0) ({ position, marker } = findMarker(data, position, scanned && !frameOf(state).arithmetic));
    if (marker === 0xd9) break;
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
      marker = 0;
      continue;
    }
    if (marker === 0xd8) throw damaged('a second image begins inside of it');
    const end = position + word(data, position);
    if (end < position + 2 || end > data.length) throw damaged('the file ends too early');
    const body = data.subarray(position + 2, end);
    position = end;
    if (marker === 0xda) {
      ({ position, marker } = decodeScan(frameOf(state), readScan(state, body), data, position));
      scanned = true;
      continue;
    }
    readSegment(state, marker, body);
    marker = 0;
  }
  if (!scanned) throw damaged('it holds no pixels');
  const frame = frameOf(state);
  if (frame.progressive) transformAll(frame);
  frame.jfif = state.jfif;
  frame.adobe = state.adobe;
  return { width: frame.width, height: frame.height, pixels: toRgb(frame) };
}

/**
 * @param {State} state
 * @param {number} marker
 * @param {Uint8Array} body
 */
function readSegment(state, marker, body) {
  if (marker === 0xdb) readQuantization(state, body);
  else if (marker === 0xc4) readHuffman(state, body);
  else if (marker === 0xdd) {
    if (body.length !== 2) throw damaged('a restart interval has a wrong length');
    state.restartInterval = word(body, 0);
  } else if (marker === 0xe0) state.jfif ||= body.length >= 14 && text(body, 0, 5) === 'JFIF\0';
  else if (marker === 0xee) {
    if (body.length >= 12 && text(body, 0, 5) === 'Adobe') state.adobe = body[11];
  } else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc8 && marker !== 0xcc) {
    if (state.frame) throw damaged('it has two frame headers');
    state.frame = readFrame(marker, body, state.maxPixels);
  } else if (marker === 0xdc || (marker >= 0xe0 && marker <= 0xef) || marker === 0xfe) {
    return;
  } else if (marker === 0xcc) {
    readConditioning(state, body);
  } else {
    throw damaged(`it holds the unknown marker 0x${marker.toString(16)}`);
  }
}

/**
 * @param {State} state
 * @param {Uint8Array} body
 */
function readQuantization(state, body) {
  let position = 0;
  while (position < body.length) {
    const wide = body[position] >> 4 !== 0;
    const number = body[position] & 15;
    position += 1;
    if (number > 3) throw damaged('a quantization table has an impossible number');
    if (position + (wide ? 128 : 64) > body.length) throw damaged('a quantization table is incomplete');
    const steps = new Uint16Array(64);
    for (let i = 0; i < 64; i++) {
      steps[NATURAL[i]] = wide ? word(body, position) : body[position];
      position += wide ? 2 : 1;
    }
    state.quantization[number] = steps;
  }
}

/**
 * @param {State} state
 * @param {Uint8Array} body
 */
function readHuffman(state, body) {
  let position = 0;
  while (position < body.length) {
    const kind = body[position];
    const counts = body.subarray(position + 1, position + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    position += 17;
    if (counts.length < 16 || total > 256 || position + total > body.length) throw damaged('a Huffman table is incomplete');
    if ((kind & 0xef) > 3) throw damaged('a Huffman table has an impossible number');
    const symbols = new Uint8Array(256);
    symbols.set(body.subarray(position, position + total));
    position += total;
    const isAc = (kind & 0x10) !== 0;
    if (!isAc && symbols.some((symbol) => symbol > 15)) throw damaged('it holds an impossible Huffman table');
    (isAc ? state.ac : state.dc)[kind & 3] = huffmanTable(counts, symbols);
  }
}

/**
 * @param {State} state
 * @param {Uint8Array} body
 */
function readConditioning(state, body) {
  for (let position = 0; position + 1 < body.length; position += 2) {
    const [number, value] = [body[position], body[position + 1]];
    if (number > 31 || (number < 16 && (value & 15) > value >> 4)) throw damaged('its arithmetic conditioning is impossible');
    if (number < 16) state.conditioning.dc[number] = [value & 15, value >> 4];
    else state.conditioning.ac[number - 16] = value;
  }
}

/**
 * @param {State} state
 * @param {Uint8Array} body
 * @returns {Scan}
 */
function readScan(state, body) {
  const frame = frameOf(state);
  const count = body[0];
  if (!(count >= 1 && count <= 4) || body.length !== 4 + 2 * count) throw damaged('a scan header has a wrong length');
  const parts = Array.from({ length: count }, (_, i) => {
    const component = frame.components.find(({ id }) => id === body[1 + 2 * i]);
    if (!component) throw damaged('a scan names a colour component that does not exist');
    const tables = body[2 + 2 * i];
    const [dcNumber, acNumber] = [tables >> 4, tables & 15];
    return { component, dc: state.dc[dcNumber], ac: state.ac[acNumber], dcNumber, acNumber, prediction: 0 };
  });
  if (new Set(parts.map(({ component }) => component)).size !== count) throw damaged('a scan names a colour component twice');
  if (count > 1 && parts.reduce((sum, { component: { h, v } }) => sum + h * v, 0) > 10) throw damaged('its colour sampling is impossible');
  const [first, last, bits] = body.subarray(1 + 2 * count);
  const scan = { parts, first, last, high: bits >> 4, low: bits & 15, restartInterval: state.restartInterval, conditioning: state.conditioning };
  if (frame.progressive && !isPossible(scan)) throw damaged('a scan has impossible parameters');
  for (const { component } of parts) {
    if (component.factors) continue;
    const steps = state.quantization[component.table];
    if (!steps) throw damaged('it names a quantization table that it does not hold');
    component.factors = multipliers(steps);
  }
  return scan;
}

/**
 * @param {Scan} scan
 * @returns {boolean}
 */
function isPossible({ parts, first, last, high, low }) {
  const isDc = first === 0;
  if (isDc ? last !== 0 : parts.length !== 1 || last < first || last > 63) return false;
  return low <= 13 && (high === 0 || low === high - 1);
}

/** @param {Frame} frame */
function transformAll(frame) {
  for (const { coefficients, factors, blockStride, stride, plane } of frame.components) {
    if (!coefficients || !factors) throw damaged('a colour component is missing');
    const blocks = coefficients.length / 64;
    for (let index = 0; index < blocks; index++) {
      const row = Math.floor(index / blockStride);
      inverse(coefficients, 64 * index, factors, plane, row * 8 * stride + (index - row * blockStride) * 8, stride);
    }
  }
}

/**
 * @param {Uint8Array} data
 * @param {number} position
 * @param {boolean} mayEnd whether the end of the file stands for the end marker
 * @returns {{position: number, marker: number}} the next marker, and what follows it
 */
function findMarker(data, position, mayEnd) {
  for (; position + 1 < data.length; position++) {
    if (data[position] === 0xff && data[position + 1] !== 0 && data[position + 1] !== 0xff) {
      return { position: position + 2, marker: data[position + 1] };
    }
  }
  if (mayEnd) return { position, marker: 0xd9 };
  throw damaged('the file ends too early');
}

/**
 * @param {State} state
 * @returns {Frame}
 */
function frameOf(state) {
  if (!state.frame) throw damaged('it has no frame header');
  return state.frame;
}

/**
 * @param {Uint8Array} data
 * @param {number} position
 */
function word(data, position) {
  return (data[position] << 8) | data[position + 1];
}

/**
 * @param {Uint8Array} data
 * @param {number} start
 * @param {number} end
 */
function text(data, start, end) {
  return String.fromCharCode(...data.subarray(start, end));
}

module.exports = { decodeJpeg };
