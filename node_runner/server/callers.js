'use strict';

const { isAllowedOrigin } = require('./cross_origin');
const { ServiceError, badInput } = require('./errors');
const { quote } = require('./json');

/**
 * Keeps web pages from using a server behind their visitors' backs. A browser reaches whatever its machine reaches, and any page may
 * send forms there (cross-site requests), or let a name of its own lead there (DNS rebinding). Programs, which send no such headers, are
 * answered as before.
 *
 * @param {{host: string, allowedHosts: string[], allowedOrigins: string[]}} options
 * @returns {(request: import('fastify').FastifyRequest, reply: import('fastify').FastifyReply) => void} throws for those that are refused
 */
function createCallerCheck({ host, allowedHosts, allowedOrigins }) {
  const allowed = new Set(allowedHosts.map((name) => name.toLowerCase()));
  // Who listens for others cannot know by which names they call it, unless it is told.
  const anyHost = !isLoopback(host) && allowed.size === 0;
  return ({ raw, headers, method }, reply) => {
    const hosts = raw.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length;
    if (hosts > 1 || (hosts === 0 && raw.httpVersion === '1.1')) {
      // Node.js would answer the second of these by itself, without a word.
      reply.header('connection', 'close');
      throw badInput(hosts === 0 ? 'The header Host is missing' : 'The header Host is given more than once');
    }
    const name = hostName(headers.host ?? '');
    if (hosts === 1 && !anyHost && !isLoopback(name) && !allowed.has(name) && name !== host.toLowerCase()) {
      throw new ServiceError('BAD_INPUT', `This server does not answer for the host ${quote(name)}; --allow-host allows it`, { status: 403 });
    }
    if (isOfAnotherSite(headers, method) && !isAllowedOrigin(allowedOrigins, headers)) {
      throw new ServiceError('BAD_INPUT', 'Pages of other sites may not use this server; --cors allows them', { status: 403 });
    }
  };
}

/**
 * @param {{host: string, token: string | undefined}} options
 * @returns {boolean} whether anybody who reaches its address is answered, and not only this machine
 */
function isOpenToAll({ host, token }) {
  return token === undefined && !isLoopback(host);
}

/**
 * @param {import('http').IncomingHttpHeaders} headers
 * @param {string} method
 * @returns {boolean}
 */
function isOfAnotherSite(headers, method) {
  const site = headers['sec-fetch-site'];
  // A link is followed, and shows what it leads to to the person alone.
  const isLink = headers['sec-fetch-mode'] === 'navigate' && (method === 'GET' || method === 'HEAD');
  if (site !== undefined) return site === 'cross-site' && !isLink;
  // Browsers send the other header to addresses with TLS and to this machine only.
  return headers.origin !== undefined && headers.origin.replace(/^https?:\/\//, '').toLowerCase() !== (headers.host ?? '').toLowerCase();
}

/**
 * @param {string} header such as `localhost:8501` or `[::1]:8501`
 * @returns {string}
 */
function hostName(header) {
  return header.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '').replace(/^\[(.*)\]$/, '$1');
}

/**
 * @param {string} name or address
 * @returns {boolean} whether it leads to this machine alone
 */
function isLoopback(name) {
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/i.test(name);
}

module.exports = { createCallerCheck, isOpenToAll };
