'use strict';

const { DeployError, ImageError } = require('./errors');
const { checkBytes } = require('./image/decode');

/**
 * @param {Response} response of `fetch`
 * @param {number} maxBytes
 * @param {AbortSignal} [signal]
 * @returns {Promise<Uint8Array>}
 */
async function readResponse(response, maxBytes, signal) {
  if (!response.ok) throw new DeployError(`The input is a Response with the status ${response.status}`, 'ERR_INPUT');
  if (response.bodyUsed) throw new DeployError('The input is a Response whose body was read already', 'ERR_INPUT');
  return response.body ? readStream(response.body, maxBytes, signal) : new Uint8Array(0);
}

/**
 * @param {any} input
 * @returns {boolean} whether it is a stream of Node.js or of the web
 */
function isStream(input) {
  return typeof input.getReader === 'function' || typeof input[Symbol.asyncIterator] === 'function';
}

/**
 * Reads a stream to its end. One that is too long is closed as soon as that is known.
 *
 * @param {any} stream a ReadableStream, or what gives bytes to `for await`, such as a Readable of Node.js
 * @param {number} maxBytes
 * @param {AbortSignal} [signal]
 * @returns {Promise<Uint8Array>} in memory of its own
 */
async function readStream(stream, maxBytes, signal) {
  const reader = readerOf(stream);
  /** @type {Uint8Array[]} */
  const chunks = [];
  let length = 0;
  let abort = () => {};
  const aborted = new Promise((_resolve, reject) => {
    abort = () => reject(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
  });
  aborted.catch(() => {});
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.next().catch(failed), aborted]);
      if (done) break;
      if (!ArrayBuffer.isView(value)) throw new DeployError(`The input is a stream of ${typeof value}, not of bytes`, 'ERR_INPUT');
      length += value.byteLength;
      checkBytes(length, maxBytes);
      chunks.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    }
  } catch (error) {
    reader.close();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/**
 * @param {any} stream
 * @returns {{next: () => Promise<any>, close: () => void}}
 */
function readerOf(stream) {
  const ignore = () => {};
  if (typeof stream.getReader === 'function') {
    if (stream.locked) throw new DeployError('The input is a stream that somebody else reads', 'ERR_INPUT');
    const reader = stream.getReader();
    return { next: () => reader.read(), close: () => reader.cancel().catch(ignore) };
  }
  const iterator = stream[Symbol.asyncIterator]();
  return { next: async () => iterator.next(), close: () => void Promise.resolve(stream.destroy?.() ?? iterator.return?.()).catch(ignore) };
}

/**
 * @param {any} error
 * @returns {never}
 */
function failed(error) {
  throw new ImageError(`The image cannot be read: ${error?.message ?? error}`, 'ERR_IMAGE_UNREADABLE');
}

module.exports = { isStream, readResponse, readStream };
