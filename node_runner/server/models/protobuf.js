'use strict';

/**
 * Reads the wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding/), as far as it takes to look into a
 * SavedModel. Only canonical numbers are read: parsers differ in what they make of others, and a check would then see another message
 * than TensorFlow does.
 */

const [VARINT, FIXED64, BYTES, FIXED32] = [0, 1, 2, 5];
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * @param {Uint8Array} message
 * @returns {Generator<[number, Uint8Array | null]>} each field's number, and its bytes; null for one that is a number
 * @throws {Error} where the bytes are no message, or one that no writer of protocol buffers leaves
 */
function* fields(message) {
  let at = 0;
  const varint = (/** @type {number} */ bits) => {
    const start = at;
    let value = 0n;
    for (let shift = 0n; shift < bits; shift += 7n) {
      if (at >= message.length) throw new Error(`byte ${at}: the data end inside a number`);
      const byte = message[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if (value >> BigInt(bits) || (byte === 0 && shift > 0n)) throw new Error(`byte ${start}: a number that is longer than it need be`);
      return value;
    }
    throw new Error(`byte ${start}: a number of more than ${bits} bits`);
  };
  while (at < message.length) {
    const key = Number(varint(32));
    const kind = key & 7;
    const number = Math.floor(key / 8);
    if (number === 0) throw new Error(`byte ${at}: a field with the number 0`);
    if (kind === VARINT) {
      varint(64);
      yield [number, null];
      continue;
    }
    if (kind !== BYTES && kind !== FIXED32 && kind !== FIXED64) throw new Error(`byte ${at}: wire type ${kind}`);
    const size = kind === BYTES ? Number(varint(31)) : kind === FIXED32 ? 4 : 8;
    if (at + size > message.length) throw new Error(`byte ${at}: ${size} bytes announced, ${message.length - at} left`);
    if (kind === BYTES) yield [number, message.subarray(at, at + size)];
    at += size;
  }
}

/**
 * @param {Uint8Array} message
 * @param {number} wanted
 * @returns {Uint8Array[]} the fields with this number that have a length
 */
function messages(message, wanted) {
  const found = [];
  for (const [number, bytes] of fields(message)) if (number === wanted && bytes) found.push(bytes);
  return found;
}

/**
 * @param {Uint8Array} message
 * @param {number} wanted
 * @returns {Uint8Array} the one message with this number; where a field is written several times, parsers merge them
 */
function merged(message, wanted) {
  const found = messages(message, wanted);
  return found.length === 1 ? found[0] : Buffer.concat(found);
}

/**
 * @param {Uint8Array} message
 * @param {number} wanted
 * @returns {string} the last with this number; empty where there is none
 */
function text(message, wanted) {
  return decoder.decode(messages(message, wanted).at(-1) ?? new Uint8Array(0));
}

module.exports = { fields, merged, messages, text };
