'use strict';

const { HIDDEN } = require('./description');
const { ServiceError } = require('./errors');

/**
 * @typedef {(request: import('fastify').FastifyRequest, reply: import('fastify').FastifyReply) => unknown} Handler
 * @typedef {'GET' | 'POST'} Method
 *
 * @typedef {object} Router
 * @property {(method: Method, url: string, schema: import('./description').Json, handler: Handler) => void} add a route, and what
 *   `/openapi.json` says of it
 * @property {() => void} refuseOthers
 */

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/**
 * Adds routes, and 405 with the methods that are allowed for all others of an address. What lies below a `*` is refused by that one.
 *
 * @param {import('fastify').FastifyInstance} app
 * @returns {Router}
 */
function createRouter(app) {
  /** @type {Map<string, Method[]>} */
  const known = new Map();
  return {
    add(method, url, schema, handler) {
      known.set(url, [...(known.get(url) ?? []), method]);
      app.route({ method, url, schema, handler: async (request, reply) => handler(request, reply) });
    },
    refuseOthers() {
      const wildcards = [...known.keys()].filter((url) => url.endsWith('*')).map((url) => url.slice(0, -1));
      for (const [url, methods] of known) {
        if (!url.endsWith('*') && wildcards.some((start) => url.startsWith(start))) continue;
        const allowed = methods.includes('GET') ? ['HEAD', ...methods] : methods;
        app.route({
          method: METHODS.filter((method) => !allowed.includes(method)),
          url,
          schema: HIDDEN,
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
