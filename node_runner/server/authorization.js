'use strict';

const { createHash, timingSafeEqual } = require('crypto');

const { ServiceError } = require('./errors');

// What platforms ask without a token, and the page on which a person types it.
const OPEN = ['/healthz', '/readyz', '/v2/health/live', '/v2/health/ready', '/', '/page.js', '/page.css'];

/**
 * @param {string | undefined} token
 * @param {import('fastify').FastifyRequest} request
 * @param {import('fastify').FastifyReply} reply
 * @throws {ServiceError} 401 where the request has not the token
 */
function checkToken(token, request, reply) {
  if (token === undefined || OPEN.includes(String(request.routeOptions.url))) return;
  const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  // Of digests, whose length says nothing of the token's.
  if (given !== undefined && timingSafeEqual(digest(given), digest(token))) return;
  reply.header('www-authenticate', 'Bearer');
  throw new ServiceError('BAD_INPUT', 'Send the token in the header Authorization: Bearer TOKEN', { status: 401 });
}

/** @param {string} text */
function digest(text) {
  return createHash('sha256').update(text).digest();
}

module.exports = { checkToken };
