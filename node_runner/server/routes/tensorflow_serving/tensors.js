'use strict';

/**
 * TensorFlow Serving's REST API for models that take tensors: rows (`instances`), columns (`inputs`), and regression.
 */

const { badInput } = require('../../errors');
const { field, isObject, kindOf } = require('../../json');
const { fromNested, nested, typeOf, valuesOf } = require('../../tensors');

/**
 * @typedef {import('../../models/worker_process').Port} Port
 * @typedef {import('../../models/worker_process').Signature} Signature
 * @typedef {import('../../models/worker_process').Tensor} Tensor
 * @typedef {{signatures: Record<string, Signature>, defaultSignature: string}} TensorModel
 */

/**
 * @param {Record<string, unknown>} body
 * @param {TensorModel} model
 * @returns {string} the name of the signature that is asked
 */
function signatureOf(body, { signatures, defaultSignature }) {
  const name = field(body, 'signature_name') ?? '';
  if (name === '') return defaultSignature;
  if (typeof name === 'string' && Object.hasOwn(signatures, name)) return name;
  throw badInput(`signature_name must be one of ${Object.keys(signatures).join(', ')}, not ${kindOf(name)}`);
}

/**
 * @param {Record<string, unknown>} body of `:predict`
 * @param {Signature} signature
 * @returns {{rows: number | null, inputs: Tensor[]}} `rows` where they were asked for
 */
function questionOf(body, { inputs: ports }) {
  const [instances, inputs] = [field(body, 'instances'), field(body, 'inputs')];
  if ((instances === undefined) === (inputs === undefined)) throw badInput("The body must have either 'instances' (rows) or 'inputs' (columns)");
  if (instances === undefined) return { rows: null, inputs: ports.map((port) => fromNested(column(inputs, port, ports), port)) };
  if (!Array.isArray(instances) || instances.length === 0) throw badInput(`'instances' must be an array with an entry for each example, not ${kindOf(instances)}`);
  return { rows: instances.length, inputs: stacked(instances, ports, 'instances') };
}

/**
 * @param {Record<string, unknown>} body of `:regress`
 * @param {Signature} signature
 * @returns {{rows: number, inputs: Tensor[]}}
 */
function examplesOf(body, { inputs: ports }) {
  const [examples, context] = [field(body, 'examples'), field(body, 'context') ?? {}];
  if (!Array.isArray(examples) || examples.length === 0) throw badInput(`'examples' must be an array with an object for each example, not ${kindOf(examples)}`);
  if (!isObject(context)) throw badInput(`'context' must be an object, not ${kindOf(context)}`);
  const rows = examples.map((example, i) => {
    if (!isObject(example)) throw badInput(`examples[${i}] must be an object such as {"${ports[0].name}": 1.5}, not ${kindOf(example)}`);
    return { ...context, ...example };
  });
  return { rows: rows.length, inputs: stacked(rows, ports, 'examples') };
}

/**
 * @param {unknown[]} rows
 * @param {Port[]} ports
 * @param {string} key of the body
 * @returns {Tensor[]}
 */
function stacked(rows, ports, key) {
  return ports.map((port) => fromNested(rows.map((row, i) => column(row, port, ports, `${key}[${i}]`)), port));
}

/**
 * @param {unknown} given an object by the inputs' names, or the value itself where there is one input
 * @param {Port} port
 * @param {Port[]} ports
 * @param {string} [what]
 * @returns {unknown}
 */
function column(given, { name }, ports, what = "'inputs'") {
  if (!isObject(given)) {
    if (ports.length === 1 && given !== undefined) return given;
    throw badInput(`${what} must be an object with ${ports.map((port) => port.name).join(', ')}, not ${kindOf(given)}`);
  }
  const unknown = Object.keys(given).find((each) => !ports.some((port) => port.name === each));
  const value = field(given, name);
  if (unknown !== undefined || value === undefined) throw badInput(`${what} must have the fields ${ports.map((port) => port.name).join(', ')}`);
  return value;
}

/**
 * @param {Tensor[]} outputs
 * @param {Signature} signature
 * @param {number | null} rows
 * @returns {object} `{predictions}` or `{outputs}`
 */
function answerOf(outputs, { outputs: ports }, rows) {
  const values = outputs.map((output, i) => nested(valuesOf(output, ports[i]), output.shape));
  if (rows === null) return { outputs: ports.length === 1 ? values[0] : byName(ports, (i) => values[i]) };
  outputs.forEach(({ shape }, i) => {
    if (shape[0] !== rows) throw badInput(`The output ${ports[i].name} has the shape [${shape.join(', ')}], which has no row for each of ${rows} instances: ask with 'inputs'`);
  });
  const row = (/** @type {number} */ at) => (ports.length === 1 ? values[0][at] : byName(ports, (i) => values[i][at]));
  return { predictions: Array.from({ length: rows }, (_, at) => row(at)) };
}

/**
 * @param {Tensor[]} outputs
 * @param {Signature} signature
 * @param {number} rows
 * @returns {{result: number[]}}
 */
function regressionOf(outputs, { outputs: ports }, rows) {
  const [{ data, dtype }] = outputs;
  if (outputs.length !== 1 || data.length !== rows || dtype === 'string') throw badInput('The signature gives other than one number for each example: use :predict');
  return { result: valuesOf(outputs[0], ports[0]) };
}

/**
 * @param {Port[]} ports
 * @param {(index: number) => any} valueOf
 */
function byName(ports, valueOf) {
  return Object.fromEntries(ports.map(({ name }, i) => [name, valueOf(i)]));
}

/**
 * @param {TensorModel} model
 * @returns {object} as the metadata of a model have them
 */
function signatureDefs({ signatures }) {
  const tensor = (/** @type {Port} */ { name, dtype, shape }) => ({
    dtype: typeOf(dtype).tensorflow,
    tensor_shape: { dim: (shape ?? []).map((size) => ({ size: String(size ?? -1), name: '' })), unknown_rank: shape === null },
    name: `${name}:0`,
  });
  const tensors = (/** @type {Port[]} */ ports) => Object.fromEntries(ports.map((port) => [port.name, tensor(port)]));
  return Object.fromEntries(
    Object.entries(signatures).map(([name, { inputs, outputs }]) => [
      name,
      { inputs: tensors(inputs), outputs: tensors(outputs), method_name: 'tensorflow/serving/predict' },
    ]),
  );
}

module.exports = { answerOf, examplesOf, questionOf, regressionOf, signatureDefs, signatureOf };
