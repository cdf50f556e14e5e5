'use strict';

const http = require('http');

/** What those ask who run the server; nothing that costs more than a look. */
const PATHS = ['/healthz', '/readyz', '/metrics', '/v2/health/live', '/v2/health/ready'];
const MOST_CONNECTIONS = 64;
const SECONDS = 10;

/**
 * Answers probes at a port of their own, so that they are answered however many connections clients have open.
 *
 * @param {import('./app').App} app
 * @param {{host: string, probePort: number}} options
 * @returns {Promise<import('http').Server>}
 */
async function listenForProbes(app, { host, probePort }) {
  await app.ready();
  const server = http.createServer({ headersTimeout: SECONDS * 1000, requestTimeout: SECONDS * 1000, requireHostHeader: false }, (request, response) => {
    if (PATHS.includes((request.url ?? '').split('?')[0]) && ['GET', 'HEAD'].includes(request.method ?? '')) return app.routing(request, response);
    response.writeHead(404, { 'content-type': 'application/json; charset=utf-8', connection: 'close' });
    return response.end(JSON.stringify({ error: `This port answers ${PATHS.join(', ')}` }));
  });
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port: probePort }, () => resolve(undefined));
  });
  app.server.once('close', () => server.close());
  return server;
}

module.exports = { listenForProbes };
