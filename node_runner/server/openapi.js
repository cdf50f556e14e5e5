'use strict';

/** @typedef {Record<string, any>} Json */

/** @type {Record<string, string>} */
const REFUSALS = {
  400: 'The request cannot be answered as it is; the message says why.',
  401: 'The bearer token is missing or wrong.',
  404: 'There is no such model or version.',
  408: 'The request did not arrive in time.',
  413: 'The request, a picture, or their number is too large.',
  415: 'The content type is another one than those listed.',
  429: 'Too much is waiting; Retry-After says when to come again.',
  500: 'An error of the server; only its log says more.',
  503: 'The model is being loaded, or the server is ending.',
  504: 'The answer was not ready in time.',
};

const parameter = (/** @type {string} */ name, /** @type {string} */ description, /** @type {Json} */ schema) => ({
  name,
  in: 'path',
  required: true,
  description,
  schema,
});
const query = (/** @type {string} */ name, /** @type {string} */ description, /** @type {Json} */ schema) => ({ name, in: 'query', description, schema });
const NAME = parameter('name', 'A model.', { type: 'string' });
const VERSION = parameter('version', 'One of its versions.', { type: 'string', pattern: '^[0-9]+$' });
const reference = (/** @type {string} */ name) => ({ $ref: `#/components/schemas/${name}` });
const json = (/** @type {Json} */ schema) => ({ 'application/json': { schema } });
const array = (/** @type {Json} */ items) => ({ type: 'array', items });
const object = (/** @type {Json} */ properties, /** @type {string[]} */ required = Object.keys(properties)) => ({ type: 'object', properties, required });
const text = { type: 'string' };
const number = { type: 'number' };

/**
 * Describes the server as OpenAPI 3.1 does: https://spec.openapis.org/oas/v3.1.0
 *
 * @param {string} version
 * @param {boolean} secured whether a token is needed
 * @returns {Json}
 */
function openapi(version, secured) {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Image classifiers',
      version,
      description: "Classifies images over plain HTTP, TensorFlow Serving's REST API and KServe's Open Inference Protocol v2.",
    },
    paths: { ...ownPaths(), ...tensorflowServingPaths(), ...kservePaths() },
    components: { schemas: schemas(), ...(secured ? { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } } : {}) },
    security: secured ? [{ token: [] }] : [],
  };
}

/**
 * @param {string} operationId
 * @param {string} summary
 * @param {Json} more
 * @param {Json} content of the answer 200
 * @param {number[]} refusals
 */
function operation(operationId, summary, more, content, refusals = []) {
  const others = refusals.map((status) => [status, { description: REFUSALS[status], content: json(reference('Error')) }]);
  return { operationId, summary, ...more, responses: { 200: { description: 'The answer.', content }, ...Object.fromEntries(others) } };
}

/** @returns {Json} */
function ownPaths() {
  const open = { security: [] };
  const binary = { schema: { type: 'string', contentMediaType: 'application/octet-stream' } };
  const form = { schema: object({ file: array({ type: 'string', contentMediaType: 'application/octet-stream' }) }) };
  const parameters = [
    query('model', 'Which model; needed where there are several.', text),
    query('version', 'Which of its versions.', { type: 'string', pattern: '^[0-9]+$' }),
    query('topK', 'How many answers; all by default.', { type: 'integer', minimum: 1 }),
  ];
  const requestBody = { required: true, content: { 'image/*': binary, 'application/octet-stream': binary, 'multipart/form-data': form } };
  return {
    '/classify': {
      post: operation('classify', 'Classify the image that is the body, or the images of a form.', { parameters, requestBody }, json(reference('Classified')), [
        400, 401, 404, 408, 413, 415, 429, 500, 503, 504,
      ]),
    },
    '/models': { get: operation('models', 'The models and the states of their versions.', {}, json(reference('Models')), [401, 503]) },
    '/healthz': { get: operation('healthz', 'Whether the process is alive.', open, json(object({ status: text }))) },
    '/readyz': { get: operation('readyz', 'Whether requests are answered.', open, json(object({ status: text })), [503]) },
    '/metrics': { get: operation('metrics', 'Figures for Prometheus.', {}, { 'text/plain': { schema: text } }, [401]) },
  };
}

/** @returns {Json} */
function tensorflowServingPaths() {
  const predict = { requestBody: { required: true, content: json(reference('PredictRequest')) } };
  const classify = { requestBody: { required: true, content: json(reference('ClassifyRequest')) } };
  const refusals = [400, 401, 404, 408, 413, 429, 500, 503, 504];
  /** @type {Json} */
  const paths = {};
  for (const [place, parameters, suffix] of /** @type {[string, Json[], string][]} */ ([
    ['/v1/models/{name}', [NAME], ''],
    ['/v1/models/{name}/versions/{version}', [NAME, VERSION], 'OfVersion'],
  ])) {
    paths[place] = { parameters, get: operation(`status${suffix}`, 'States of the versions.', {}, json({ type: 'object' }), [401, 404, 503]) };
    paths[`${place}/metadata`] = { parameters, get: operation(`metadata${suffix}`, 'Signatures and labels.', {}, json({ type: 'object' }), [401, 404, 503]) };
    paths[`${place}:predict`] = {
      parameters,
      post: operation(`predict${suffix}`, 'Probabilities, in the order of the labels.', predict, json(reference('PredictResponse')), refusals),
    };
    paths[`${place}:classify`] = {
      parameters,
      post: operation(`classifyExamples${suffix}`, 'Labels with probabilities, the best first.', classify, json(reference('ClassifyResponse')), refusals),
    };
  }
  return paths;
}

/** @returns {Json} */
function kservePaths() {
  const body = { ...json(reference('InferRequest')), 'application/octet-stream': { schema: { type: 'string', contentMediaType: 'application/octet-stream' } } };
  const infer = {
    requestBody: { required: true, content: body },
    parameters: [
      {
        name: 'Inference-Header-Content-Length',
        in: 'header',
        description: 'Bytes of the JSON, where tensors follow it in binary.',
        schema: { type: 'integer', minimum: 0 },
      },
    ],
  };
  /** @type {Json} */
  const paths = {
    '/v2': { get: operation('server', 'Name and extensions.', {}, json({ type: 'object' }), [401]) },
    '/v2/health/live': { get: operation('live', 'Whether the process is alive.', { security: [] }, json({ type: 'object' })) },
    '/v2/health/ready': { get: operation('ready', 'Whether requests are answered.', { security: [] }, json({ type: 'object' }), [503]) },
  };
  for (const [place, parameters, suffix] of /** @type {[string, Json[], string][]} */ ([
    ['/v2/models/{name}', [NAME], ''],
    ['/v2/models/{name}/versions/{version}', [NAME, VERSION], 'OfVersion'],
  ])) {
    paths[place] = { parameters, get: operation(`describe${suffix}`, 'Inputs, outputs and labels.', {}, json({ type: 'object' }), [401, 404, 503]) };
    paths[`${place}/ready`] = { parameters, get: operation(`modelReady${suffix}`, 'Whether it answers.', {}, json({ type: 'object' }), [401, 404, 503]) };
    paths[`${place}/infer`] = {
      parameters,
      post: operation(`infer${suffix}`, 'Probabilities and labels.', infer, json(reference('InferResponse')), [400, 401, 404, 408, 413, 429, 500, 503, 504]),
    };
  }
  return paths;
}

/** @returns {Json} */
function schemas() {
  const image = object({ b64: { type: 'string', description: 'The bytes of an image file in base64.' } });
  const pixels = { ...array(array(array(number))), description: 'Rows of pixels of three numbers.' };
  const fields = { image_bytes: image, preprocessed: pixels, pixels };
  const row = { anyOf: [image, object(fields, []), pixels] };
  const tensor = { name: text, datatype: text, shape: array({ type: 'integer' }), parameters: { type: 'object' }, data: { type: 'array' } };
  const answer = object({ label: text, probability: number });
  return {
    Error: object({ error: text }),
    Models: object({ models: array(object({ name: text, versions: array(object({ version: text, state: text })) })) }),
    Classified: object({
      model: text,
      version: text,
      results: array(object({ file: text, label: text, probability: number, answers: array(answer) }, ['label', 'probability', 'answers'])),
    }),
    PredictRequest: {
      type: 'object',
      properties: { signature_name: { enum: ['serving_default', 'preprocessed', 'pixels'] }, instances: array(row), inputs: { anyOf: [array(row), { type: 'object' }] } },
      oneOf: [{ required: ['instances'] }, { required: ['inputs'] }],
    },
    PredictResponse: { type: 'object', properties: { predictions: array(array(number)), outputs: array(array(number)) } },
    ClassifyRequest: object({ signature_name: text, context: object(fields, []), examples: array({ anyOf: [image, object(fields, [])] }) }, ['examples']),
    ClassifyResponse: object({ result: array(array({ type: 'array', prefixItems: [text, number] })) }),
    InferRequest: object({ id: text, parameters: { type: 'object' }, inputs: array(object(tensor, ['name', 'datatype', 'shape'])), outputs: array(object(tensor, ['name'])) }, [
      'inputs',
    ]),
    InferResponse: object({ model_name: text, model_version: text, id: text, outputs: array(object(tensor, ['name', 'datatype', 'shape'])) }, [
      'model_name',
      'model_version',
      'outputs',
    ]),
  };
}

module.exports = { openapi };
