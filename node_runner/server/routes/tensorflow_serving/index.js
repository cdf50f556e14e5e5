'use strict';

/**
 * TensorFlow Serving's REST API: https://www.tensorflow.org/tfx/serving/api_rest
 *
 * Three signatures: `serving_default` takes files of images (input `image_bytes`, {"b64": ...}), `preprocessed` takes float32 of
 * shape [height, width, 3] as the model has them, `pixels` takes whole numbers from 0 to 255 of shape [any height, any width, 3].
 * Without `signature_name`, rows of numbers are taken for `preprocessed`. All give `probabilities`.
 */

const { HIDDEN, INFERENCE_REFUSALS, PARAMETERS, json, object, operation, reference } = require('../../description');
const { badInput, notFound } = require('../../errors');
const { fromBase64, pixels, preprocessed } = require('../../inputs');
const { infer, checkCount, compute, metadataOf, modelsOf, ranking } = require('../../inference');
const { field, isObject, kindOf, parseObject, quote } = require('../../json');
const { SCHEMAS } = require('./schemas');
const tensors = require('./tensors');

/**
 * @typedef {import('../../inference').Service} Service
 * @typedef {import('../../inputs').Content} Content
 * @typedef {'serving_default' | 'preprocessed' | 'pixels'} Signature
 */

/** @type {Record<Signature, string>} */
const INPUTS = { serving_default: 'image_bytes', preprocessed: 'preprocessed', pixels: 'pixels' };
const SIGNATURES = /** @type {Signature[]} */ (Object.keys(INPUTS));
// A colon ends a name: what follows is the verb.
const NAME = ':name(^[^/:]+)';
const VERSION = ':version(^\\d{1,19})';
const LABEL = ':label(^[^/:]+)';

/**
 * @param {import('../../router').Router} router
 * @param {Service} service
 */
function addTensorflowServing(router, service) {
  addModel(router, service, `/v1/models/${NAME}`, '', ['name']);
  addModel(router, service, `/v1/models/${NAME}/versions/${VERSION}`, 'OfVersion', ['name', 'version']);
  addModel(router, service, `/v1/models/${NAME}/labels/${LABEL}`, 'OfLabel', ['name', 'label']);
  router.add('GET', '/v1/models/*', HIDDEN, () => {
    throw notFound('The address is not of the form /v1/models/NAME or /v1/models/NAME/versions/NUMBER');
  });
  router.add('POST', '/v1/models/*', HIDDEN, () => {
    throw notFound('POST asks a model: /v1/models/NAME:predict or /v1/models/NAME:classify');
  });
}

/**
 * @param {import('../../router').Router} router
 * @param {Service} service
 * @param {string} base address of the model
 * @param {string} suffix of the names of its operations
 * @param {('name' | 'version' | 'label')[]} parameters of the address
 */
function addModel(router, service, base, suffix, parameters) {
  const params = object(Object.fromEntries(parameters.map((name) => [name, PARAMETERS[name]])));
  const asked = { params, refusals: [401, 404, 503] };
  const predicts = operation({
    id: `predict${suffix}`,
    summary: 'Probabilities, in the order of the labels.',
    params,
    body: { content: json(reference('PredictRequest')) },
    content: json(reference('PredictResponse')),
    refusals: INFERENCE_REFUSALS,
  });
  const classifies = operation({
    id: `classifyExamples${suffix}`,
    summary: 'Labels with probabilities, the best first.',
    params,
    body: { content: json(reference('ClassifyRequest')) },
    content: json(reference('ClassifyResponse')),
    refusals: INFERENCE_REFUSALS,
  });
  router.add('GET', base, operation({ id: `status${suffix}`, summary: 'States of the versions.', ...asked }), (request) => {
    const { name, version } = address(service, request);
    return status(service, name, version);
  });
  router.add('GET', `${base}/metadata`, operation({ id: `metadata${suffix}`, summary: 'Signatures and labels.', ...asked }), (request) => {
    const { name, version } = address(service, request);
    return metadata(service, name, version);
  });
  router.add('POST', `${base}::predict`, predicts, (request, reply) => predict(service, request, reply));
  router.add('POST', `${base}::classify`, classifies, (request, reply) => classify(service, request, reply));
  const regresses = operation({
    id: `regress${suffix}`,
    summary: 'A number for each example, of a model that gives one.',
    params,
    body: { content: json(reference('RegressRequest')) },
    content: json(reference('RegressResponse')),
    refusals: INFERENCE_REFUSALS,
  });
  router.add('POST', `${base}::regress`, regresses, (request, reply) => regress(service, request, reply));
}

/**
 * @param {Service} service
 * @param {import('../../inference').Request} request
 * @param {import('../../inference').Reply} reply
 */
async function predict(service, request, reply) {
  const { name, version, size, body } = questionOf(service, request);
  if (size.model) {
    const asked = tensors.signatureOf(body, size.model);
    const { inputs, rows: count } = tensors.questionOf(body, size.model.signatures[asked]);
    const { outputs } = await compute(service, reply, { name, version, signature: asked, inputs });
    return tensors.answerOf(outputs, size.model.signatures[asked], count);
  }
  const signature = signatureOf(body);
  const { key, rows } = rowsOf(body, signature);
  const { rows: predictions } = await infer(service, reply, { name, version, content: contentOf(rows, signature, size, service, key) });
  return { [key === 'instances' ? 'predictions' : 'outputs']: predictions };
}

/**
 * @param {Service} service
 * @param {import('../../inference').Request} request
 * @param {import('../../inference').Reply} reply
 */
async function classify(service, request, reply) {
  const { name, version, size, body } = questionOf(service, request);
  if (size.model) throw badInput(`The model ${quote(name)} has no labels to classify with. Use :predict`);
  const found = await infer(service, reply, { name, version, content: examplesOf(body, size, service, signatureOf(body)) });
  return { result: labelled(found) };
}

/**
 * @param {Service} service
 * @param {import('../../inference').Request} request
 * @param {import('../../inference').Reply} reply
 */
async function regress(service, request, reply) {
  const { name, version, size, body } = questionOf(service, request);
  if (!size.model) throw badInput(`The model ${quote(name)} classifies; it has no regression signature. Use :predict or :classify`);
  const asked = tensors.signatureOf(body, size.model);
  const { inputs, rows } = tensors.examplesOf(body, size.model.signatures[asked]);
  const { outputs } = await compute(service, reply, { name, version, signature: asked, inputs });
  return tensors.regressionOf(outputs, size.model.signatures[asked], rows);
}

/**
 * @param {Service} service
 * @param {import('../../inference').Request} request
 */
function questionOf(service, request) {
  const { name, version } = address(service, request);
  // An unknown model is refused before its body is parsed.
  const size = metadataOf(service, name, version);
  const body = parseObject(/** @type {Buffer} */ (request.body ?? Buffer.alloc(0)));
  return { name, version, size, body };
}

/**
 * @param {Service} service
 * @param {import('../../inference').Request} request
 * @returns {{name: string, version?: string}}
 */
function address(service, request) {
  const { name, version, label } = /** @type {{name: string, version?: string, label?: string}} */ (request.params);
  if (label === undefined) return { name, version };
  const model = modelsOf(service).list().find((each) => each.name === name);
  if (!model) throw notFound(`There is no model ${quote(name)}`);
  if (!Object.hasOwn(model.labels, label)) throw notFound(`No version of the model ${quote(name)} has the label ${quote(label)}`);
  return { name, version: model.labels[label] };
}

/**
 * @param {Service} service
 * @param {string} name
 * @param {string | undefined} version
 */
function status(service, name, version) {
  const model = modelsOf(service).list().find((each) => each.name === name);
  const versions = model?.versions.filter((each) => version === undefined || String(each.version) === version) ?? [];
  if (versions.length === 0) throw notFound(`Could not find any versions of model ${quote(name)}`);
  return {
    model_version_status: versions.map(({ version: number, state, error }) => ({
      version: String(number),
      state: { LOADING: 'LOADING', AVAILABLE: 'AVAILABLE', UNLOADING: 'UNLOADING' }[state] ?? 'END',
      status: state === 'FAILED' ? { error_code: 'INTERNAL', error_message: error ?? '' } : { error_code: 'OK', error_message: '' },
    })),
  };
}

/**
 * @param {Service} service
 * @param {string} name
 * @param {string | undefined} version
 */
function metadata(service, name, version) {
  const { inputHeight, inputWidth, labels, model, version: number } = metadataOf(service, name, version);
  if (model) {
    return { model_spec: { name, signature_name: '', version: String(number) }, metadata: { signature_def: { signature_def: tensors.signatureDefs(model) } } };
  }
  const tensor = (/** @type {string} */ tensorName, /** @type {string} */ dtype, /** @type {number[]} */ shape) => ({
    dtype,
    tensor_shape: { dim: shape.map((size) => ({ size: String(size), name: '' })), unknown_rank: false },
    name: `${tensorName}:0`,
  });
  const inputs = {
    serving_default: tensor('image_bytes', 'DT_STRING', [-1]),
    preprocessed: tensor('preprocessed', 'DT_FLOAT', [-1, inputHeight, inputWidth, 3]),
    pixels: tensor('pixels', 'DT_UINT8', [-1, -1, -1, 3]),
  };
  const signatures = SIGNATURES.map((signature) => [
    signature,
    {
      inputs: { [INPUTS[signature]]: inputs[signature] },
      outputs: { probabilities: tensor('probabilities', 'DT_FLOAT', [-1, labels.length]) },
      method_name: 'tensorflow/serving/predict',
    },
  ]);
  return {
    model_spec: { name, signature_name: '', version: String(number) },
    metadata: { signature_def: { signature_def: Object.fromEntries(signatures) }, labels },
  };
}

/**
 * @param {Record<string, unknown>} body
 * @returns {Signature | undefined}
 */
function signatureOf(body) {
  const name = field(body, 'signature_name');
  if (name === undefined || name === '') return undefined;
  if (!SIGNATURES.includes(/** @type {Signature} */ (name))) throw badInput(`signature_name must be one of ${SIGNATURES.join(', ')}, not ${kindOf(name)}`);
  return /** @type {Signature} */ (name);
}

/**
 * @param {Record<string, unknown>} body
 * @param {Signature | undefined} signature
 * @returns {{key: 'instances' | 'inputs', rows: unknown[]}}
 */
function rowsOf(body, signature) {
  const [instances, inputs] = [field(body, 'instances'), field(body, 'inputs')];
  if ((instances === undefined) === (inputs === undefined)) throw badInput("The body must have either 'instances' (rows) or 'inputs' (columns)");
  if (instances !== undefined) {
    if (!Array.isArray(instances)) throw badInput(`'instances' must be an array with an entry for each image, not ${kindOf(instances)}`);
    return { key: 'instances', rows: instances };
  }
  let column = inputs;
  if (isObject(inputs) && field(inputs, 'b64') === undefined) {
    const names = Object.keys(inputs);
    const expected = signature ? [INPUTS[signature]] : Object.values(INPUTS);
    if (names.length !== 1 || !expected.includes(names[0])) throw badInput(`'inputs' must have one field: ${expected.join(' or ')}`);
    return { key: 'inputs', rows: asRows(inputs[names[0]], names[0]).map((value) => ({ [names[0]]: value })) };
  }
  if (isObject(column)) column = [column];
  return { key: 'inputs', rows: asRows(column, 'inputs') };
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {unknown[]}
 */
function asRows(value, name) {
  if (isObject(value)) return [value];
  if (!Array.isArray(value)) throw badInput(`'${name}' must be an array with an entry for each image, not ${kindOf(value)}`);
  return value;
}

/**
 * @param {unknown[]} rows
 * @param {Signature | undefined} wanted
 * @param {import('../../inputs').Size} size
 * @param {Service} service
 * @param {string} key
 * @returns {Content}
 */
function contentOf(rows, wanted, size, service, key) {
  checkCount(service, rows.length);
  const signature = wanted ?? guess(rows[0]);
  const name = INPUTS[signature];
  const whatOf = (/** @type {number} */ i) => `${key}[${i}]`;
  const values = rows.map((row, i) => {
    if (isObject(row) && field(row, 'b64') === undefined) {
      const names = Object.keys(row);
      if (names.length !== 1 || names[0] !== name) throw badInput(`${whatOf(i)} must have the one field ${name} of the signature ${signature}`);
      return row[name];
    }
    return row;
  });
  if (signature === 'preprocessed') return preprocessed(values, size, whatOf);
  if (signature === 'pixels') return pixels(values, service.options.maxPixels, whatOf);
  return { images: values.map((value, i) => file(value, whatOf(i))) };
}

/**
 * @param {unknown} row
 * @returns {Signature}
 */
function guess(row) {
  if (Array.isArray(row)) return 'preprocessed';
  return SIGNATURES.find((signature) => field(row, INPUTS[signature]) !== undefined) ?? 'serving_default';
}

/**
 * @param {unknown} value
 * @param {string} what
 * @returns {Buffer}
 */
function file(value, what) {
  const text = field(value, 'b64');
  if (text === undefined) throw badInput(`${what} must be an image file as {"b64": "..."}, not ${kindOf(value)}`);
  return fromBase64(text, `${what}.b64`);
}

/**
 * The examples of `:classify`, each with the features of `context` unless it has its own.
 *
 * @param {Record<string, unknown>} body
 * @param {import('../../inputs').Size} size
 * @param {Service} service
 * @param {Signature | undefined} signature
 * @returns {Content}
 */
function examplesOf(body, size, service, signature) {
  const [examples, context] = [field(body, 'examples'), field(body, 'context')];
  if (!Array.isArray(examples)) throw badInput(`'examples' must be an array with an object for each image, not ${kindOf(examples)}`);
  if (context !== undefined && !isObject(context)) throw badInput(`'context' must be an object, not ${kindOf(context)}`);
  const rows = examples.map((example, i) => {
    if (!isObject(example)) throw badInput(`examples[${i}] must be an object such as {"image_bytes": {"b64": "..."}}, not ${kindOf(example)}`);
    if (field(example, 'b64') !== undefined) return example;
    const name = Object.values(INPUTS).find((each) => field(example, each) !== undefined || field(context, each) !== undefined);
    if (!name) throw badInput(`examples[${i}] must have the field ${Object.values(INPUTS).join(' or ')}`);
    return { [name]: field(example, name) ?? field(context, name) };
  });
  return contentOf(rows, signature, size, service, 'examples');
}

/** @param {{labels: string[], rows: number[][]}} result */
function labelled({ labels, rows }) {
  return rows.map((row) => ranking(row).map((i) => [labels[i], row[i]]));
}

module.exports = { SCHEMAS, addTensorflowServing };
