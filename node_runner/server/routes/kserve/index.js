'use strict';

/**
 * KServe's Open Inference Protocol v2 over HTTP, with the extensions for binary tensors and for classification:
 * https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
 *
 * A request has one of three inputs: `image_bytes` (BYTES [n], files of images; base64 in JSON), `pixels` (UINT8 [n, any height, any
 * width, 3]) or `preprocessed` (FP32 [n, height, width, 3]). Outputs: `probabilities` (FP32 [n, labels]) and `label` (BYTES [n]).
 */

const { LENGTH_HEADER, splitBody, takeBytes, writeElements } = require('./binary_tensors');
const { INFERENCE_REFUSALS, PARAMETERS, file, json, object, operation, reference } = require('../../description');
const { badInput } = require('../../errors');
const { compute, infer, metadataOf, modelsOf, ranking } = require('../../inference');
const { field, isObject, kindOf, parseObject, quote } = require('../../json');
const { readInput } = require('./inputs');
const repository = require('./repository');
const schemas = require('./schemas');
const tensors = require('./tensors');

/**
 * @typedef {import('../../inference').Service} Service
 * @typedef {import('../../inference').Result} Result
 * @typedef {{name: string, binary: boolean, classes: number}} Wanted an output that was asked for
 * @typedef {{name: string, datatype: string, shape: number[], values: (number | string)[]}} Output
 */

const OUTPUTS = ['probabilities', 'label'];
const EXTENSIONS = ['binary_tensor_data', 'classification', ...repository.EXTENSIONS];

/**
 * @param {import('../../router').Router} router
 * @param {Service} service
 * @param {string} version of the server
 */
function addKserve(router, service, version) {
  router.add('GET', '/v2', operation({ id: 'server', summary: 'Name and extensions.', refusals: [401] }), () => ({
    name: 'pybridge',
    version,
    extensions: EXTENSIONS,
  }));
  const live = operation({ id: 'live', summary: 'Whether the process is alive.', security: [] });
  const ready = operation({ id: 'ready', summary: 'Whether requests are answered.', security: [], refusals: [503] });
  router.add('GET', '/v2/health/live', live, () => ({ live: true }));
  router.add('GET', '/v2/health/ready', ready, (_request, reply) => answerReady(reply, isReady(service)));
  repository.addRepository(router, service, (name, of) => describeModel(service, name, of));
  addModel(router, service, '/v2/models/:name', '', ['name']);
  addModel(router, service, '/v2/models/:name/versions/:version', 'OfVersion', ['name', 'version']);
}

/**
 * @param {import('../../router').Router} router
 * @param {Service} service
 * @param {string} base address of the model
 * @param {string} suffix of the names of its operations
 * @param {('name' | 'version')[]} parameters of the address
 */
function addModel(router, service, base, suffix, parameters) {
  const params = object(Object.fromEntries(parameters.map((name) => [name, PARAMETERS[name]])));
  const refusals = [401, 404, 503];
  const described = operation({ id: `describe${suffix}`, summary: 'Inputs, outputs and labels.', params, refusals });
  const ready = operation({ id: `modelReady${suffix}`, summary: 'Whether it answers.', params, refusals });
  const infers = operation({
    id: `infer${suffix}`,
    summary: 'Probabilities and labels.',
    params,
    headers: object({ 'Inference-Header-Content-Length': { type: 'integer', minimum: 0, description: 'Bytes of the JSON, where tensors follow it in binary.' } }, []),
    body: { content: { ...json(reference('InferRequest')), 'application/octet-stream': { schema: file } } },
    content: { ...json(reference('InferResponse')), 'application/octet-stream': { schema: file } },
    refusals: INFERENCE_REFUSALS,
  });
  router.add('GET', base, described, (request) => metadata(service, request));
  router.add('GET', `${base}/ready`, ready, (request, reply) => {
    const { name } = address(request);
    const known = modelsOf(service).list().some((model) => model.name === name);
    if (known && service.models?.ready(name)) metadata(service, request);
    return answerReady(reply, known && !service.draining && modelsOf(service).ready(name), known ? 503 : 404);
  });
  router.add('POST', `${base}/infer`, infers, (request, reply) => ask(service, request, reply));
}

/** @param {Service} service */
function isReady(service) {
  return Boolean(service.models?.ready()) && !service.draining;
}

/**
 * @param {import('fastify').FastifyReply} reply
 * @param {boolean} ready
 * @param {number} [otherwise]
 */
function answerReady(reply, ready, otherwise = 503) {
  reply.code(ready ? 200 : otherwise);
  return { ready };
}

/** @param {import('fastify').FastifyRequest} request */
function address(request) {
  const { name, version } = /** @type {{name: string, version?: string}} */ (request.params);
  if (version !== undefined && !/^\d{1,19}$/.test(version)) throw badInput(`The version must be a whole number, not ${quote(version)}`);
  return { name, version };
}

/**
 * @param {Service} service
 * @param {import('fastify').FastifyRequest} request
 */
function metadata(service, request) {
  const { name, version } = address(request);
  return describeModel(service, name, version);
}

/**
 * @param {Service} service
 * @param {string} name
 * @param {string} [version]
 */
function describeModel(service, name, version) {
  const { inputHeight, inputWidth, labels, model, ...rest } = metadataOf(service, name, version);
  const versions = modelsOf(service).list().find((each) => each.name === name)?.versions ?? [];
  return {
    name,
    versions: versions.filter(({ state }) => state === 'AVAILABLE').map((each) => String(each.version)),
    platform: `pybridge_${rest.runtime ?? 'tfjs'}`,
    ...(model ? tensorsOf(model) : imagesOf(inputHeight, inputWidth, labels)),
  };
}

/** @param {NonNullable<import('../../inference').Metadata['model']>} model */
function tensorsOf({ signatures, defaultSignature }) {
  const { inputs, outputs } = signatures[defaultSignature];
  return { inputs: tensors.described(inputs), outputs: tensors.described(outputs), parameters: {} };
}

/**
 * @param {number} inputHeight
 * @param {number} inputWidth
 * @param {string[]} labels
 */
function imagesOf(inputHeight, inputWidth, labels) {
  return {
    inputs: [
      { name: 'image_bytes', datatype: 'BYTES', shape: [-1] },
      { name: 'pixels', datatype: 'UINT8', shape: [-1, -1, -1, 3] },
      { name: 'preprocessed', datatype: 'FP32', shape: [-1, inputHeight, inputWidth, 3] },
    ],
    outputs: [
      { name: 'probabilities', datatype: 'FP32', shape: [-1, labels.length] },
      { name: 'label', datatype: 'BYTES', shape: [-1] },
    ],
    parameters: { labels },
  };
}

/**
 * @param {Service} service
 * @param {import('fastify').FastifyRequest} request
 * @param {import('fastify').FastifyReply} reply
 */
async function ask(service, request, reply) {
  const { name, version } = address(request);
  const size = metadataOf(service, name, version);
  const { json: head, rest } = splitBody(/** @type {Buffer} */ (request.body ?? Buffer.alloc(0)), request.headers[LENGTH_HEADER]);
  const body = parseObject(head);
  if (size.model) return askTensors(service, reply, { name, version, body, rest, model: size.model });
  const inputs = field(body, 'inputs');
  if (!Array.isArray(inputs) || inputs.length !== 1) {
    throw badInput(`'inputs' must be an array of one input (image_bytes, pixels or preprocessed), not ${kindOf(inputs)}`);
  }
  parametersOf(inputs[0], 'inputs[0].');
  const [bytes] = takeBytes(inputs, rest);
  const wanted = wantedOutputs(body, OUTPUTS);
  const id = idOf(body);
  const result = await infer(service, reply, { name, version, content: readInput(inputs[0], bytes, size, service.options) });
  return write(reply, wanted, result, { model_name: name, model_version: result.version, ...(id === undefined ? {} : { id }) });
}

/**
 * @param {Service} service
 * @param {import('fastify').FastifyReply} reply
 * @param {{name: string, version?: string, body: Record<string, unknown>, rest: Buffer, model: NonNullable<import('../../inference').Metadata['model']>}} question
 */
async function askTensors(service, reply, { name, version, body, rest, model }) {
  const signature = model.signatures[model.defaultSignature];
  const inputs = tensors.inputsOf(body, rest, signature);
  const wanted = wantedOutputs(body, signature.outputs.map((port) => port.name));
  if (wanted.some(({ classes }) => classes > 0)) throw badInput('The model has no labels for the parameter classification');
  const id = idOf(body);
  const found = await compute(service, reply, { name, version, signature: model.defaultSignature, inputs });
  const { outputs, parts } = tensors.outputsOf(found.outputs, signature, wanted);
  return send(reply, { model_name: name, model_version: found.version, ...(id === undefined ? {} : { id }), outputs }, parts);
}

/** @param {Record<string, unknown>} body */
function idOf(body) {
  const id = field(body, 'id');
  if (id !== undefined && typeof id !== 'string') throw badInput(`'id' must be a string, not ${kindOf(id)}`);
  return id;
}

/**
 * @param {Record<string, unknown>} body
 * @param {string[]} names of the outputs that there are
 * @returns {Wanted[]}
 */
function wantedOutputs(body, names) {
  const outputs = field(body, 'outputs');
  const allBinary = isWanted(parametersOf(body, ''), 'binary_data_output', '') ?? false;
  if (outputs === undefined || (Array.isArray(outputs) && outputs.length === 0)) return names.map((name) => ({ name, binary: allBinary, classes: 0 }));
  if (!Array.isArray(outputs) || outputs.length > names.length) throw badInput(`'outputs' must be an array of at most ${names.length}, not ${kindOf(outputs)}`);
  return outputs.map((output, i) => {
    const name = field(output, 'name');
    if (!names.includes(/** @type {string} */ (name))) throw badInput(`outputs[${i}].name must be one of ${names.join(', ')}, not ${kindOf(name)}`);
    const parameters = parametersOf(output, `outputs[${i}].`);
    if (field(parameters, 'shared_memory_region') !== undefined) throw badInput('Shared memory is not supported; send tensors in the request');
    const classes = field(parameters, 'classification') ?? 0;
    if (!Number.isInteger(classes) || Number(classes) < 0) throw badInput(`outputs[${i}].parameters.classification must be a whole number, not ${kindOf(classes)}`);
    return { name: String(name), binary: isWanted(parameters, 'binary_data', `outputs[${i}].`) ?? allBinary, classes: Number(classes) };
  });
}

/**
 * @param {unknown} owner
 * @param {string} place of the owner
 * @returns {Record<string, unknown>}
 */
function parametersOf(owner, place) {
  const parameters = field(owner, 'parameters') ?? {};
  if (!isObject(parameters)) throw badInput(`'${place}parameters' must be an object, not ${kindOf(parameters)}`);
  return parameters;
}

/**
 * @param {Record<string, unknown>} parameters
 * @param {string} name
 * @param {string} place of their owner
 * @returns {boolean | undefined}
 */
function isWanted(parameters, name, place) {
  const value = field(parameters, name) ?? undefined;
  if (value !== undefined && typeof value !== 'boolean') throw badInput(`'${place}parameters.${name}' must be true or false, not ${kindOf(value)}`);
  return value;
}

/**
 * @param {import('fastify').FastifyReply} reply
 * @param {Wanted[]} wanted
 * @param {Result} result
 * @param {Record<string, string>} head
 */
function write(reply, wanted, result, head) {
  /** @type {Buffer[]} */
  const parts = [];
  const outputs = wanted.map(({ name, binary, classes }) => {
    const { values, ...output } = outputOf(name, classes, result);
    if (!binary) return { ...output, data: values };
    const bytes = output.datatype === 'FP32' ? Buffer.from(Float32Array.from(values.map(Number)).buffer) : writeElements(values.map(String));
    parts.push(bytes);
    return { ...output, parameters: { binary_data_size: bytes.length } };
  });
  return send(reply, { ...head, outputs }, parts);
}

/**
 * @param {import('fastify').FastifyReply} reply
 * @param {object} answer
 * @param {Buffer[]} parts tensors that come behind it
 */
function send(reply, answer, parts) {
  if (parts.length === 0) return answer;
  const header = Buffer.from(JSON.stringify(answer));
  reply.header(LENGTH_HEADER, String(header.length)).type('application/octet-stream');
  return Buffer.concat([header, ...parts]);
}

/**
 * @param {string} name
 * @param {number} classes more than 0 for the best so many, as `probability:index:label`
 * @param {Result} result
 * @returns {Output}
 */
function outputOf(name, classes, { labels, rows }) {
  if (name === 'label') return { name, datatype: 'BYTES', shape: [rows.length], values: rows.map((row) => labels[ranking(row)[0]]) };
  if (classes === 0) return { name, datatype: 'FP32', shape: [rows.length, labels.length], values: rows.flat() };
  const count = Math.min(classes, labels.length);
  const best = (/** @type {number[]} */ row) => ranking(row).slice(0, count).map((i) => `${row[i]}:${i}:${labels[i]}`);
  return { name, datatype: 'BYTES', shape: [rows.length, count], values: rows.flatMap(best) };
}

module.exports = { SCHEMAS: [...schemas.SCHEMAS, ...repository.SCHEMAS], addKserve, isReady };
