'use strict';

const { HEADER_BYTES, INTERNAL_ERROR, MAGIC, MAX_JSON_BYTES, MAX_PAYLOAD_BYTES } = require('./protocol');
const { RpcError } = require('./errors');

// A Buffer of Node.js 18 and 20 holds at most 4 GiB; one write takes less.
const MAX_WRITE_BYTES = 2 ** 30;

/**
 * Write one frame. The tensors' memory is handed to the socket as it is.
 *
 * @param {import('node:net').Socket} socket
 * @param {import('./protocol').Message} message
 * @param {import('./tensors').EncodedTensor[]} tensors
 * @param {() => void} [onWritten] called when nobody reads the tensors' memory any more
 */
function writeFrame(socket, message, tensors, onWritten) {
  if (tensors.length > 0) message.tensors = tensors.map(({ descriptor }) => descriptor);
  const text = JSON.stringify(message);
  const jsonBytes = Buffer.byteLength(text);
  const payloadBytes = tensors.reduce((sum, { descriptor }) => sum + descriptor.nbytes, 0);
  if (jsonBytes > MAX_JSON_BYTES || payloadBytes > MAX_PAYLOAD_BYTES) {
    throw new RpcError(
      INTERNAL_ERROR,
      `a message to Python has ${jsonBytes} bytes of JSON and ${payloadBytes} of tensors, which is too large`,
      'Return numbers as typed arrays, and large data in several calls.',
    );
  }
  const head = Buffer.allocUnsafe(HEADER_BYTES + jsonBytes);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt32LE(jsonBytes, 4);
  head.writeUInt32LE(payloadBytes % 2 ** 32, 8);
  head.writeUInt32LE(Math.floor(payloadBytes / 2 ** 32), 12);
  head.write(text, HEADER_BYTES);
  if (payloadBytes === 0) {
    socket.write(head);
    onWritten?.();
    return;
  }
  socket.cork();
  socket.write(head);
  for (const { chunks } of tensors) {
    for (const chunk of chunks) writeChunk(socket, chunk);
  }
  // After the last byte, or when the socket has failed.
  if (onWritten) socket.write('', onWritten);
  socket.uncork();
}

/**
 * @param {import('node:net').Socket} socket
 * @param {Uint8Array} chunk
 */
function writeChunk(socket, chunk) {
  for (let start = 0; start < chunk.length; start += MAX_WRITE_BYTES) {
    socket.write(chunk.subarray(start, start + MAX_WRITE_BYTES));
  }
}

module.exports = { writeFrame };
