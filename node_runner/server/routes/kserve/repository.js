'use strict';

/**
 * What those ask of KServe's protocol v2 who run models: Triton's extensions for statistics, model configuration and the model repository.
 * https://github.com/triton-inference-server/server/tree/main/docs/protocol
 */

const { PARAMETERS, array, json, object, operation, reference, text } = require('../../description');
const { badInput } = require('../../errors');
const { metadataOf, modelsOf } = require('../../inference');
const { field, kindOf, parseObject } = require('../../json');

/** @typedef {import('../../inference').Service} Service */

const EXTENSIONS = ['statistics', 'model_configuration', 'model_repository'];
/** @type {Record<string, string>} */
const STATES = { LOADING: 'LOADING', AVAILABLE: 'READY', UNLOADING: 'UNLOADING', FAILED: 'UNAVAILABLE' };
/** @type {Record<string, string>} */
const TYPES = { BYTES: 'TYPE_STRING' };

const INDEX_REQUEST = { $id: 'RepositoryIndexRequest', ...object({ ready: { type: 'boolean', description: 'Only what answers.' } }, []) };
const INDEX = { $id: 'RepositoryIndex', ...array(object({ name: text, version: text, state: text, reason: text }, ['name', 'state', 'reason'])) };
const STATISTICS = { $id: 'ModelStatistics', ...object({ model_stats: array({ type: 'object' }) }) };

/**
 * @param {import('../../router').Router} router
 * @param {Service} service
 * @param {(name: string, version?: string) => {inputs: Port[], outputs: Port[], platform: string}} describe
 *
 * @typedef {{name: string, datatype: string, shape: number[]}} Port
 */
function addRepository(router, service, describe) {
  const index = operation({
    id: 'repositoryIndex',
    summary: 'All models with their versions and states.',
    body: { content: json(reference('RepositoryIndexRequest')) },
    content: json(reference('RepositoryIndex')),
    refusals: [400, 401, 503],
  });
  router.add('POST', '/v2/repository/index', index, (request) => indexOf(service, /** @type {Buffer | undefined} */ (request.body)));
  const all = operation({ id: 'statistics', summary: 'How often and how fast all models answered.', content: json(reference('ModelStatistics')), refusals: [401, 503] });
  router.add('GET', '/v2/models/stats', all, () => ({ model_stats: statistics(service) }));
  for (const [base, suffix, parameters] of /** @type {[string, string, ('name' | 'version')[]][]} */ ([
    ['/v2/models/:name', '', ['name']],
    ['/v2/models/:name/versions/:version', 'OfVersion', ['name', 'version']],
  ])) {
    const params = object(Object.fromEntries(parameters.map((name) => [name, PARAMETERS[name]])));
    const asked = { params, refusals: [400, 401, 404, 503] };
    const stats = operation({ id: `statisticsOf${suffix || 'Model'}`, summary: 'How often and how fast it answered.', content: json(reference('ModelStatistics')), ...asked });
    router.add('GET', `${base}/stats`, stats, (request) => {
      const { name, version } = address(request.params);
      metadataOf(service, name, version);
      return { model_stats: statistics(service).filter((each) => each.name === name && (version === undefined || each.version === version)) };
    });
    router.add('GET', `${base}/config`, operation({ id: `config${suffix}`, summary: 'How it is served.', ...asked }), (request) => {
      const { name, version } = address(request.params);
      metadataOf(service, name, version);
      return config(service, name, describe(name, version));
    });
  }
}

/** @param {unknown} params */
function address(params) {
  const { name, version } = /** @type {{name: string, version?: string}} */ (params);
  if (version !== undefined && !/^\d{1,19}$/.test(version)) throw badInput(`The version must be a whole number, not ${kindOf(version)}`);
  return { name, version };
}

/**
 * @param {Service} service
 * @param {Buffer | undefined} body
 */
function indexOf(service, body) {
  const ready = body?.length ? field(parseObject(body), 'ready') : undefined;
  if (ready !== undefined && typeof ready !== 'boolean') throw badInput(`'ready' must be true or false, not ${kindOf(ready)}`);
  const found = modelsOf(service)
    .list()
    .flatMap(({ name, versions }) => versions.map(({ version, state, error }) => ({ name, version: String(version), state: STATES[state], reason: error ?? '' })));
  return ready ? found.filter(({ state }) => state === 'READY') : found;
}

/** @param {Service} service */
function statistics(service) {
  return modelsOf(service)
    .stats()
    .models.map(({ name, version, images, batches, failures, queueMs, computeMs, lastAnswer }) => ({
      name,
      version,
      last_inference: lastAnswer,
      inference_count: images - failures,
      execution_count: batches,
      inference_stats: {
        success: duration(images - failures, queueMs + computeMs),
        fail: duration(failures, 0),
        queue: duration(images, queueMs),
        compute_input: duration(0, 0),
        compute_infer: duration(batches, computeMs),
        compute_output: duration(0, 0),
        cache_hit: duration(0, 0),
        cache_miss: duration(0, 0),
      },
      batch_stats: [],
    }));
}

/**
 * @param {number} count
 * @param {number} milliseconds
 */
function duration(count, milliseconds) {
  return { count, ns: Math.round(milliseconds * 1e6) };
}

/**
 * @param {Service} service
 * @param {string} name
 * @param {{inputs: Port[], outputs: Port[], platform: string}} described
 */
function config({ options }, name, { inputs, outputs, platform }) {
  const tensors = (/** @type {Port[]} */ ports) =>
    ports.map(({ name: port, datatype, shape }) => ({ name: port, data_type: TYPES[datatype] ?? `TYPE_${datatype}`, dims: shape.slice(1) }));
  return {
    name,
    platform,
    backend: 'pybridge',
    version_policy: { latest: { num_versions: 1 } },
    max_batch_size: options.maxBatch,
    input: tensors(inputs),
    output: tensors(outputs),
    instance_group: [{ name, kind: 'KIND_CPU', count: options.workers }],
    dynamic_batching: { max_queue_delay_microseconds: Math.round(options.batchDelayMs * 1000) },
  };
}

module.exports = { EXTENSIONS, SCHEMAS: [INDEX_REQUEST, INDEX, STATISTICS], addRepository };
