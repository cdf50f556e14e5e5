'use strict';

/**
 * The binary tensor data extension of KServe's protocol v2 (`.../extension_binary_data`): behind the JSON, whose length the header
 * `Inference-Header-Content-Length` has, come the tensors one after the other, little-endian, without gaps.
 */

const { badInput } = require('../../errors');
const { field, kindOf } = require('../../json');

const LENGTH_HEADER = 'inference-header-content-length';

/**
 * @param {Buffer} body
 * @param {string | string[] | undefined} header
 * @returns {{json: Buffer, rest: Buffer}}
 */
function splitBody(body, header) {
  if (header === undefined) return { json: body, rest: body.subarray(body.length) };
  const length = typeof header === 'string' && /^\d{1,10}$/.test(header) ? Number(header) : NaN;
  if (!(length <= body.length)) throw badInput(`The header Inference-Header-Content-Length must be a number of at most ${body.length}, the body's bytes`);
  return { json: body.subarray(0, length), rest: body.subarray(length) };
}

/**
 * Gives each input its bytes.
 *
 * @param {unknown[]} inputs as in the JSON
 * @param {Buffer} rest
 * @returns {(Buffer | undefined)[]} undefined for an input with its data in the JSON
 */
function takeBytes(inputs, rest) {
  let at = 0;
  const taken = inputs.map((input, i) => {
    const size = field(field(input, 'parameters'), 'binary_data_size');
    if (size === undefined) return undefined;
    if (!Number.isInteger(size) || Number(size) < 0 || at + Number(size) > rest.length) {
      throw badInput(`inputs[${i}].parameters.binary_data_size is ${kindOf(size)}, and ${rest.length - at} bytes are left behind the JSON`);
    }
    at += Number(size);
    return rest.subarray(at - Number(size), at);
  });
  if (at !== rest.length) throw badInput(`${rest.length - at} bytes behind the JSON belong to no input`);
  return taken;
}

/**
 * @param {Buffer} bytes elements, each behind its length as an unsigned 32-bit number
 * @param {number} count
 * @param {string} what
 * @returns {Buffer[]}
 */
function readElements(bytes, count, what) {
  const elements = [];
  let at = 0;
  while (at < bytes.length) {
    const left = bytes.length - at - 4;
    const size = left >= 0 ? bytes.readUInt32LE(at) : 0;
    if (left < size || left < 0) throw badInput(`${what} ends within its element ${elements.length}`);
    elements.push(bytes.subarray(at + 4, at + 4 + size));
    at += 4 + size;
    if (elements.length > count) break;
  }
  if (elements.length !== count) throw badInput(`${what} has ${elements.length > count ? 'more' : 'fewer'} elements than its shape says (${count})`);
  return elements;
}

/**
 * @param {Buffer} bytes
 * @param {number} count
 * @param {string} what
 * @returns {Float32Array}
 * @throws {import('../../errors').ServiceError} where they are more or fewer, or one is not finite
 */
function readFloats(bytes, count, what) {
  if (bytes.length !== count * 4) throw badInput(`${what} has ${bytes.length} bytes; its shape needs ${count * 4}`);
  const aligned = new Uint8Array(bytes).buffer;
  const values = new Float32Array(aligned);
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw badInput(`${what} holds ${values[wrong]} at ${wrong}; numbers must be finite`);
  return values;
}

/**
 * @param {string[]} texts
 * @returns {Buffer}
 */
function writeElements(texts) {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

module.exports = { LENGTH_HEADER, readElements, readFloats, splitBody, takeBytes, writeElements };
