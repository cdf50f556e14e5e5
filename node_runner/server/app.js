'use strict';

const fs = require('fs');
const { STATUS_CODES } = require('http');
const path = require('path');

const { createAdmission } = require('./admission');
const { checkToken } = require('./authorization');
const { createCallerCheck } = require('./callers');
const { inflated, isCompressed } = require('./compression');
const { limitConnections } = require('./connections');
const { answerOrigin } = require('./cross_origin');
const { HIDDEN, describe } = require('./description');
const { ServiceError, notFound } = require('./errors');
const { createMetrics } = require('./metrics');
const { discardRest, wasAnswered } = require('./refused_body');
const { createRouter } = require('./router');
const classify = require('./routes/classify');
const kserve = require('./routes/kserve');
const { addPage } = require('./routes/page');
const { addStatus } = require('./routes/status');
const tensorflowServing = require('./routes/tensorflow_serving');
const { requestId, traceOf } = require('./tracing');

/**
 * @typedef {import('./inference').Service} Service
 * @typedef {import('fastify').FastifyInstance} App
 * @typedef {ReturnType<typeof import('./dependencies').loadDependencies>} Dependencies
 */

const HEADERS_SECONDS = 10;
/** Characters. What a client sent may stand in the message of an error, in whatever library that was made. */
const LONGEST_MESSAGE = 2000;
// Of a path: a model's name with its version, escaped.
const MOST_PARAMETER = 400;
const VERSIONS = [
  ['../manifest.json', (/** @type {any} */ found) => found.versions.pybridge],
  ['../../package.json', (/** @type {any} */ found) => found.version],
];
const CLIENT_ERRORS = /** @type {Record<string, [number, string]>} */ ({
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time'],
  HPE_HEADER_OVERFLOW: [431, 'The headers are too large'],
});

/**
 * The HTTP side, which does not listen yet.
 *
 * @param {Service} service
 * @param {Dependencies} dependencies
 * @param {{write: (line: string) => unknown}} log
 * @returns {{app: App, modelsLoaded: () => void}} `modelsLoaded` is to be called once the service has its models
 */
function createApp(service, { fastify, LogController, multipart, swagger, prometheus }, log) {
  const { options } = service;
  const app = /** @type {App} */ (
    /** @type {unknown} */ (
      fastify({
        logger: options.logLevel === 'silent' ? false : { level: options.logLevel, stream: log, base: null, timestamp, formatters: { level: (level) => ({ level }) } },
        // One line for each request is written by the hook below.
        logController: new LogController({ disableRequestLogging: true }),
        genReqId: (request) => requestId(/** @type {import('http').IncomingMessage} */ (request)),
        bodyLimit: options.maxBody,
        requestTimeout: options.bodyTimeout * 1000,
        http: { requireHostHeader: false, headersTimeout: Math.min(HEADERS_SECONDS, options.bodyTimeout) * 1000, connectionsCheckingInterval: 500 },
        forceCloseConnections: 'idle',
        return503OnClosing: false,
        routerOptions: { maxParamLength: MOST_PARAMETER, ignoreTrailingSlash: true },
        frameworkErrors: (error, request, reply) => sendError(error, request, reply),
        clientErrorHandler: refuseConnection,
      })
    )
  );
  app.server.maxConnections = options.maxConnections;
  const refused = limitConnections(app.server, options.maxConnectionsPerAddress);
  const metrics = createMetrics(prometheus, service, refused);
  addHooks(app, service, metrics);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  const version = ownVersion();
  const schemas = [...classify.SCHEMAS, ...tensorflowServing.SCHEMAS, ...kserve.SCHEMAS];
  describe(app, swagger, { version, secured: options.token !== undefined, schemas });
  addRoutes(app, service, metrics, { multipart, version });
  app.setErrorHandler((error, request, reply) => {
    const found = isGone(request) ? new ServiceError('BAD_INPUT', 'The client closed the connection', { status: 499 }) : error;
    if (statusOf(found) >= 500) request.log.error({ err: found }, 'request failed');
    return sendError(found, request, reply);
  });
  app.setNotFoundHandler(() => {
    throw notFound('There is nothing at this address; /openapi.json says what there is');
  });
  return { app, modelsLoaded: metrics.watchModels };
}

/**
 * @param {App} app
 * @param {Service} service
 * @param {import('./metrics').Metrics} metrics
 */
function addHooks(app, service, metrics) {
  const admission = createAdmission(service.options);
  const checkCaller = createCallerCheck(service.options);
  app.addHook('onRequest', async (request, reply) => {
    metrics.begin();
    reply.raw.once('close', () => metrics.end());
    reply.header('x-content-type-options', 'nosniff').header('x-request-id', request.id);
    const trace = traceOf(request.headers);
    if (trace) reply.header('traceparent', trace.traceparent);
    const isQuestion = answerOrigin(service.options.allowedOrigins, request, reply);
    checkCaller(request, reply);
    if (isQuestion) return reply.code(204).send();
    checkToken(service.options.token, request, reply);
    admission.enter(request, reply, isCompressed(request));
    return undefined;
  });
  app.addHook('preParsing', async (request, _reply, payload) => (isCompressed(request) ? inflated(payload, service.options.maxBody) : payload));
  app.addHook('onSend', async (_request, reply) => {
    // The server may have begun to end after the request came: a connection that stays open would keep it.
    if (service.draining) reply.header('connection', 'close');
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = routeOf(request);
    metrics.answered(request.method, route, reply.statusCode, reply.elapsedTime);
    const facts = { method: request.method, route, status: reply.statusCode, milliseconds: Math.round(reply.elapsedTime * 10) / 10 };
    const trace = traceOf(request.headers);
    request.log.info({ ...facts, client: request.ip, ...(trace && { traceId: trace.traceId }) }, 'answered');
  });
}

/**
 * @param {App} app
 * @param {Service} service
 * @param {import('./metrics').Metrics} metrics
 * @param {{multipart: any, version: string}} parts
 */
function addRoutes(app, service, metrics, { multipart, version }) {
  app.register(async (scope) => {
    const router = createRouter(scope);
    addStatus(router, service, metrics);
    router.add('GET', '/openapi.json', HIDDEN, () => /** @type {any} */ (app).swagger());
    addPage(router);
    tensorflowServing.addTensorflowServing(router, service);
    kserve.addKserve(router, service, version);
    router.refuseOthers();
  });
  app.register(async (scope) => {
    const { maxBody, maxImages } = service.options;
    const limits = { fileSize: maxBody, files: maxImages, parts: maxImages + 10, fields: 10, fieldSize: 1000, fieldNameSize: 200, headerPairs: 20 };
    await scope.register(multipart, { limits });
    const router = createRouter(scope);
    classify.addClassify(router, service);
    router.refuseOthers();
  });
}

/** @returns {string} of the pybridge that this server belongs to */
function ownVersion() {
  for (const [name, find] of /** @type {[string, (found: any) => unknown][]} */ (VERSIONS)) {
    try {
      return String(find(JSON.parse(fs.readFileSync(path.join(__dirname, name), 'utf8'))));
    } catch {
      // In a package there is the one, in pybridge itself the other.
    }
  }
  return '0';
}

/**
 * @param {import('fastify').FastifyRequest} request
 * @returns {string} the pattern and not the address, of which there are without end
 */
function routeOf(request) {
  return (request.routeOptions.url ?? 'none').replace(/\(.*?\)/g, '').replace('::', ':');
}

/**
 * @param {any} error
 * @returns {number}
 */
function statusOf(error) {
  if (error instanceof ServiceError) return error.status;
  const status = Number(error?.statusCode);
  return /^(FST_|ERR_)/.test(String(error?.code)) && status >= 400 && status < 500 ? status : 500;
}

/**
 * @param {import('fastify').FastifyRequest} request
 * @returns {boolean} whether its client went away before all of it had come
 */
function isGone({ raw }) {
  return raw.destroyed && !raw.complete;
}

/**
 * All protocols have the same form of an error: an object with the one field `error`.
 *
 * @param {any} error
 * @param {import('fastify').FastifyRequest} request
 * @param {import('fastify').FastifyReply} reply
 */
function sendError(error, request, reply) {
  const status = statusOf(error);
  const own = error instanceof ServiceError && error.code !== 'INTERNAL';
  const message = status === 414 ? 'The address is too long' : shorten(String(error.message));
  if (own && (status === 429 || status === 503)) reply.header('retry-after', String(Math.max(1, Math.ceil(error.retryAfterSeconds ?? 1))));
  discardRest(request.raw, reply);
  return reply
    .code(status)
    .type('application/json; charset=utf-8')
    .send({ error: own || status < 500 ? message : `Internal error; the log has it for request ${reply.request.id}` });
}

/** @param {string} text */
function shorten(text) {
  return text.length > LONGEST_MESSAGE ? `${text.slice(0, LONGEST_MESSAGE)}…` : text;
}

/**
 * What is no HTTP, or too slow, never becomes a request.
 *
 * @param {Error & {code?: string}} error
 * @param {import('net').Socket} socket
 */
function refuseConnection(error, socket) {
  if (error.code === 'ECONNRESET' || !socket.writable || wasAnswered(socket)) {
    socket.destroy();
    return;
  }
  const [status, message] = CLIENT_ERRORS[error.code ?? ''] ?? [400, 'This is not a valid HTTP request'];
  const body = JSON.stringify({ error: message });
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, 'Content-Type: application/json; charset=utf-8'];
  socket.end([...head, `Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close', '', body].join('\r\n'));
}

/** @returns {string} */
function timestamp() {
  return `,"time":"${new Date().toISOString()}"`;
}

module.exports = { createApp };
