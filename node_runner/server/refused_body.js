'use strict';

/**
 * Connections that were answered while their request was still being sent.
 *
 * @type {WeakSet<import('net').Socket>}
 */
const answered = new WeakSet();

/**
 * Throws away what a refused request still sends, for as long as a request may take. A connection that is closed with bytes unread is
 * reset, and clients that send all before they read report that instead of the answer.
 *
 * @param {import('http').IncomingMessage} request
 * @param {import('fastify').FastifyReply} reply whose headers are not sent yet
 */
function discardRest(request, reply) {
  if (request.complete || !hasBody(request)) return;
  const { socket } = request;
  const response = reply.raw;
  // Node.js would close behind the answer to a client that asked for it, though its body is not read.
  reply.header('connection', 'keep-alive');
  answered.add(socket);
  const end = () => {
    if (!request.complete || !response.writableFinished) return;
    answered.delete(socket);
    if (/close/i.test(request.headers.connection ?? '')) socket.end();
  };
  response.once('finish', end);
  request.once('end', end);
  request.unpipe();
  request.resume();
}

/** @param {import('http').IncomingMessage} request */
function hasBody({ headers }) {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/**
 * @param {import('net').Socket} socket
 * @returns {boolean} whether another answer would be one too many
 */
function wasAnswered(socket) {
  return answered.has(socket);
}

module.exports = { discardRest, wasAnswered };
