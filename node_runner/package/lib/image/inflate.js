'use strict';

const { damaged } = require('../errors');

/**
 * Decompresses zlib data with what Node.js and browsers have built in. Stops at the expected size, so that a small file cannot
 * fill the memory.
 *
 * @param {Uint8Array[]} parts of the compressed data
 * @param {number} size bytes that come out
 * @returns {Promise<Uint8Array>}
 */
async function inflate(parts, size) {
  const out = new Uint8Array(size);
  let filled = 0;
  const stream = new DecompressionStream('deflate');
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  // Errors of the writer come out of the reader as well.
  const written = (async () => {
    for (const part of parts) await writer.write(/** @type {any} */ (part));
    await writer.close();
  })().catch(() => {});
  try {
    while (filled < size) {
      const { value, done } = await reader.read();
      if (done) break;
      const chunk = value.subarray(0, size - filled);
      out.set(chunk, filled);
      filled += chunk.length;
    }
  } catch {
    throw damaged('its compressed data cannot be read');
  } finally {
    reader.cancel().catch(() => {});
    writer.abort().catch(() => {});
    await written;
  }
  if (filled < size) throw damaged('its compressed data end too early');
  return out;
}

module.exports = { inflate };
