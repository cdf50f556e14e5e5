'use strict';

/**
 * Web pages of other sites may use the server where they are allowed to: https://fetch.spec.whatwg.org/#http-cors-protocol
 */

const METHODS = 'GET, HEAD, POST';
const EXPOSED = 'inference-header-content-length, retry-after, traceparent, x-request-id';
const MAX_AGE_SECONDS = 600;

/**
 * @param {string[]} allowed origins such as `https://shop.example`; `*` for any
 * @param {import('http').IncomingHttpHeaders} headers
 * @returns {boolean} whether a page asks that may
 */
function isAllowedOrigin(allowed, { origin }) {
  return origin !== undefined && (allowed.includes('*') || allowed.includes(origin.toLowerCase()));
}

/**
 * @param {string[]} allowed
 * @param {import('fastify').FastifyRequest} request
 * @param {import('fastify').FastifyReply} reply
 * @returns {boolean} whether it was a question of the browser, which is answered with the headers alone
 */
function answerOrigin(allowed, { headers, method }, reply) {
  if (allowed.length === 0) return false;
  reply.header('vary', 'origin');
  if (!isAllowedOrigin(allowed, headers)) return false;
  reply.header('access-control-allow-origin', allowed.includes('*') ? '*' : headers.origin);
  reply.header('access-control-expose-headers', EXPOSED);
  if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return false;
  reply.header('access-control-allow-methods', METHODS);
  reply.header('access-control-allow-headers', headers['access-control-request-headers'] ?? '');
  reply.header('access-control-max-age', String(MAX_AGE_SECONDS));
  return true;
}

module.exports = { answerOrigin, isAllowedOrigin };
