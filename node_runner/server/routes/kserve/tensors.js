'use strict';

/** KServe's protocol v2 for models that take tensors: the inputs and outputs of the default signature, by their names. */

const { takeBytes, writeElements } = require('./binary_tensors');
const { badInput } = require('../../errors');
const { field, isObject, kindOf } = require('../../json');
const { checkShape, fromBytes, fromNumbers, toBytes, typeOf, valuesOf } = require('../../tensors');

/**
 * @typedef {import('../../models/worker_process').Port} Port
 * @typedef {import('../../models/worker_process').Signature} Signature
 * @typedef {import('../../models/worker_process').Tensor} Tensor
 */

/**
 * @param {Port[]} ports
 * @returns {{name: string, datatype: string, shape: number[]}[]}
 */
function described(ports) {
  return ports.map(({ name, dtype, shape }) => ({ name, datatype: typeOf(dtype).kserve, shape: (shape ?? [null]).map((size) => size ?? -1) }));
}

/**
 * @param {Record<string, unknown>} body
 * @param {Buffer} rest what is behind the JSON
 * @param {Signature} signature
 * @returns {Tensor[]}
 */
function inputsOf(body, rest, { inputs: ports }) {
  const inputs = field(body, 'inputs');
  const names = ports.map(({ name }) => name);
  if (!Array.isArray(inputs) || inputs.length !== ports.length) throw badInput(`'inputs' must be an array of ${ports.length} (${names.join(', ')}), not ${kindOf(inputs)}`);
  const bytes = takeBytes(inputs, rest);
  return ports.map((port) => {
    const at = inputs.findIndex((input) => field(input, 'name') === port.name);
    if (at < 0) throw badInput(`'inputs' must have ${names.join(', ')}`);
    return inputOf(inputs[at], bytes[at], port);
  });
}

/**
 * @param {unknown} input
 * @param {Buffer | undefined} bytes
 * @param {Port} port
 * @returns {Tensor}
 */
function inputOf(input, bytes, port) {
  const { kserve } = typeOf(port.dtype);
  const [datatype, shape, data, parameters] = ['datatype', 'shape', 'data', 'parameters'].map((name) => field(input, name));
  if (parameters !== undefined && !isObject(parameters)) throw badInput(`The parameters of ${port.name} must be an object, not ${kindOf(parameters)}`);
  if (field(parameters, 'shared_memory_region') !== undefined) throw badInput('Shared memory is not supported; send tensors in the request');
  if (datatype !== kserve) throw badInput(`The datatype of ${port.name} must be ${kserve}, not ${kindOf(datatype)}`);
  const whole = (/** @type {unknown} */ size) => Number.isInteger(size) && Number(size) >= 0 && Number(size) < 2 ** 31;
  if (!Array.isArray(shape) || !shape.every(whole)) throw badInput(`The shape of ${port.name} must be whole numbers, not ${kindOf(shape)}`);
  checkShape(shape, port);
  if ((data === undefined) === (bytes === undefined)) throw badInput(`${port.name} must have either data or parameters.binary_data_size`);
  if (bytes) return fromBytes(bytes, shape, port);
  if (!Array.isArray(data)) throw badInput(`The data of ${port.name} must be an array, not ${kindOf(data)}`);
  return fromNumbers(data.flat(shape.length), shape, port);
}

/**
 * @param {Tensor[]} outputs
 * @param {Signature} signature
 * @param {{name: string, binary: boolean}[]} wanted
 * @returns {{outputs: object[], parts: Buffer[]}} `parts` come behind the JSON
 */
function outputsOf(outputs, { outputs: ports }, wanted) {
  /** @type {Buffer[]} */
  const parts = [];
  const written = wanted.map(({ name, binary }) => {
    const at = ports.findIndex((port) => port.name === name);
    const values = valuesOf(outputs[at], ports[at]);
    const head = { name, datatype: typeOf(ports[at].dtype).kserve, shape: outputs[at].shape };
    if (!binary) return { ...head, data: values };
    const bytes = outputs[at].dtype === 'string' ? writeElements(values.map(String)) : toBytes(values, ports[at]);
    parts.push(bytes);
    return { ...head, parameters: { binary_data_size: bytes.length } };
  });
  return { outputs: written, parts };
}

module.exports = { described, inputsOf, outputsOf };
