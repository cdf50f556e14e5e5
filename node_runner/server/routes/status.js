'use strict';

const { array, object, operation, text } = require('../description');
const { modelsOf } = require('../inference');
const { isReady } = require('./kserve');

/** @typedef {import('../inference').Service} Service */

const VERSION = object({ version: text, state: text, error: { ...text, description: 'Why it failed.' } }, ['version', 'state']);

/**
 * What those ask who run the server.
 *
 * @param {import('../router').Router} router
 * @param {Service} service
 * @param {import('../metrics').Metrics} metrics
 */
function addStatus(router, service, metrics) {
  const state = { answer: object({ status: text }), security: [] };
  const alive = operation({ id: 'healthz', summary: 'Whether the process is alive.', ...state });
  const ready = operation({ id: 'readyz', summary: 'Whether requests are answered.', ...state, refusals: [503] });
  const figures = operation({ id: 'metrics', summary: 'Figures for Prometheus.', content: { 'text/plain': { schema: text } }, refusals: [401] });
  const models = operation({
    id: 'models',
    summary: 'The models and the states of their versions.',
    answer: object({ models: array(object({ name: text, versions: array(VERSION), labels: { type: 'object', additionalProperties: text } })) }),
    refusals: [401, 503],
  });
  router.add('GET', '/healthz', alive, () => ({ status: 'alive' }));
  router.add('GET', '/readyz', ready, (_request, reply) => {
    reply.code(isReady(service) ? 200 : 503);
    return { status: isReady(service) ? 'ready' : service.draining ? 'ending' : 'loading' };
  });
  router.add('GET', '/metrics', figures, async (_request, reply) => {
    reply.type(metrics.contentType);
    return metrics.text();
  });
  router.add('GET', '/models', models, () => ({ models: modelsOf(service).list() }));
}

module.exports = { addStatus };
