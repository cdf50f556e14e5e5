'use strict';

/**
 * What Prometheus is told. Names of models come from the server's own options, so that their number is bounded.
 *
 * @typedef {object} Metrics
 * @property {() => void} begin
 * @property {() => void} end
 * @property {(method: string, route: string, status: number, milliseconds: number) => void} answered
 * @property {() => void} watchModels once there are models
 * @property {string} contentType
 * @property {() => Promise<string>} text
 */

const SECONDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];
const SIZES = [1, 2, 4, 8, 16, 32, 64];
const STATES = ['LOADING', 'AVAILABLE', 'UNLOADING', 'FAILED'];

/**
 * @param {typeof import('prom-client')} prometheus
 * @param {import('./inference').Service} service
 * @param {() => number} refusedConnections how many so far
 * @returns {Metrics}
 */
function createMetrics(prometheus, service, refusedConnections) {
  const registry = new prometheus.Registry();
  const registers = [registry];
  prometheus.collectDefaultMetrics({ register: registry });
  const labelNames = ['method', 'route', 'status'];
  const requests = new prometheus.Counter({ name: 'pybridge_http_requests_total', help: 'Answered requests.', labelNames, registers });
  const seconds = new prometheus.Histogram({
    name: 'pybridge_http_request_duration_seconds',
    help: 'From the headers of a request to the end of its answer.',
    labelNames: ['route'],
    buckets: SECONDS,
    registers,
  });
  const inFlight = new prometheus.Gauge({ name: 'pybridge_http_requests_in_flight', help: 'Requests being read or answered.', registers });
  const model = { labelNames: ['model'], registers };
  const images = new prometheus.Counter({ name: 'pybridge_images_total', help: 'Images that a model answered for.', ...model });
  const sizes = new prometheus.Histogram({ name: 'pybridge_batch_size', help: 'Images in one call of a model.', buckets: SIZES, ...model });
  const computing = new prometheus.Histogram({ name: 'pybridge_batch_duration_seconds', help: 'One call of a model.', buckets: SECONDS, ...model });
  const waiting = new prometheus.Histogram({ name: 'pybridge_queue_duration_seconds', help: 'An image until its batch began.', buckets: SECONDS, ...model });
  const refused = new prometheus.Gauge({ name: 'pybridge_connections_refused', help: 'Connections beyond what one address may have.', registers });
  const queued = new prometheus.Gauge({ name: 'pybridge_queue_images', help: 'Images that wait for a model.', ...model });
  const versions = new prometheus.Gauge({
    name: 'pybridge_model_version',
    help: '1 for the state that a version of a model is in.',
    labelNames: ['model', 'version', 'state'],
    registers,
  });
  return {
    begin: () => inFlight.inc(),
    end: () => inFlight.dec(),
    answered(method, route, status, milliseconds) {
      requests.inc({ method, route, status: String(status) });
      seconds.observe({ route }, milliseconds / 1000);
    },
    watchModels() {
      service.models?.on('batch', ({ name, size, milliseconds, waits }) => {
        for (const wait of waits) waiting.observe({ model: name }, wait / 1000);
        images.inc({ model: name }, size);
        sizes.observe({ model: name }, size);
        computing.observe({ model: name }, milliseconds / 1000);
      });
    },
    contentType: registry.contentType,
    text() {
      if (service.models) describe(service.models);
      refused.set(refusedConnections());
      return registry.metrics();
    },
  };

  /** @param {import('./inference').Models} models */
  function describe(models) {
    versions.reset();
    for (const { name, versions: known } of models.list()) {
      for (const { version, state } of known) {
        for (const each of STATES) versions.set({ model: name, version: String(version), state: each }, each === state ? 1 : 0);
      }
    }
    queued.reset();
    for (const { name, queued: count } of models.stats().models) queued.inc({ model: name }, count);
  }
}

module.exports = { createMetrics };
