'use strict';

const { ServiceError } = require('./errors');

/**
 * @typedef {(request: import('fastify').FastifyRequest, reply: import('fastify').FastifyReply) => unknown} Handler
 * @typedef {'GET' | 'POST'} Method
 * @typedef {{add: (method: Method, url: string, handler: Handler) => void, refuseOthers: () => void}} Router
 */

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/**
 * Adds routes, and 405 with the methods that are allowed for all others of an address.
 *
 * @param {import('fastify').FastifyInstance} app
 * @returns {Router}
 */
function createRouter(app) {
  /** @type {Map<string, Method[]>} */
  const known = new Map();
  return {
    add(method, url, handler) {
      known.set(url, [...(known.get(url) ?? []), method]);
      app.route({ method, url, handler: async (request, reply) => handler(request, reply) });
    },
    refuseOthers() {
      for (const [url, methods] of known) {
        const allowed = methods.includes('GET') ? ['HEAD', ...methods] : methods;
        app.route({
          method: METHODS.filter((method) => !allowed.includes(method)),
          url,
          exposeHeadRoute: false,
          onRequest: async (_request, reply) => {
            reply.header('allow', allowed.join(', '));
            throw new ServiceError('BAD_INPUT', `Only ${methods.join(' and ')} can be used here`, { status: 405 });
          },
          handler: () => undefined,
        });
      }
    },
  };
}

module.exports = { createRouter };
