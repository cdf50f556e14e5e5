'use strict';

const { ServiceError, badInput } = require('./errors');

/**
 * Bounds the bytes of all requests that are being read or answered, before they are read: when many large ones come at once, the late
 * ones are told to come again, rather than that memory runs out.
 *
 * @param {{maxBody: number, maxMemory: number}} limits
 */
function createAdmission({ maxBody, maxMemory }) {
  let used = 0;
  return {
    /**
     * @param {import('fastify').FastifyRequest} request
     * @param {import('fastify').FastifyReply} reply
     * @param {boolean} compressed whether its size is known only once it is read
     * @throws {ServiceError}
     */
    enter(request, reply, compressed) {
      const sent = sizeOf(request, maxBody);
      const size = compressed && sent > 0 ? Math.max(sent, maxBody) : sent;
      if (size > maxBody) throw badInput(`The body has ${size} bytes; at most ${maxBody} are read`, 413);
      if (size > 0 && used > 0 && used + size > maxMemory) {
        throw new ServiceError('OVERLOADED', 'Too many large requests are under way; send it again later', { retryAfterSeconds: 1 });
      }
      used += size;
      reply.raw.once('close', () => {
        used -= size;
      });
    },
  };
}

/**
 * @param {import('fastify').FastifyRequest} request
 * @param {number} unknown for a body that comes in chunks
 * @returns {number}
 */
function sizeOf({ headers }, unknown) {
  if (headers['transfer-encoding'] !== undefined) return unknown;
  return Number(headers['content-length'] ?? 0);
}

module.exports = { createAdmission };
