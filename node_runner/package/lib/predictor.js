'use strict';

const { DeployError, IntegrityError } = require('./errors');
const { checkOptions } = require('./options');

/**
 * A model that is no classifier: it takes tensors and gives tensors, by the names of its signatures.
 *
 * @typedef {{name: string, dtype: string, shape: (number | null)[] | null}} Port a size that is null is free, and so is a shape
 * @typedef {{inputs: Port[], outputs: Port[]}} Signature
 *
 * @typedef {object} ModelManifest what `manifest.json` says of such a model
 * @property {'model'} kind
 * @property {Record<string, Signature>} signatures
 * @property {string} default_signature
 * @property {{form: 'layers' | 'graph', file: string, layers: string | null, precision: string, inputs: string[], outputs: string[]} | null} model
 *   `inputs` and `outputs` are the graph's tensors, in the order of the default signature
 * @property {{tensorflow: string, folder: string, signatures: Record<string, {inputs: string[], outputs: string[]}>} | null} saved_model
 * @property {{inputs: number[][], outputs: {shape: number[], values: number[]}[], tolerance: number} | null} check shapes to make inputs of, and
 *   the first numbers of what Python computes
 * @property {Record<string, {sha256: string, bytes: number}>} files
 *
 * @typedef {object} TensorEngine
 * @property {any} tf
 * @property {string} runtime
 * @property {string} form `layers`, `graph` or `saved_model`
 * @property {string[]} signatures those that it can run
 * @property {(signature: string, inputs: any[]) => Promise<any[]>} run tensors in the order of the signature, which stay the caller's
 * @property {() => void} dispose
 */

/** What TensorFlow.js has for the types of TensorFlow that it lacks. @type {Record<string, string>} */
const TENSOR_TYPES = { int64: 'int32', uint8: 'int32' };

/** Made by `load`. */
class Predictor {
  /** @type {TensorEngine | null} */
  #engine;

  /**
   * @param {ModelManifest} manifest
   * @param {TensorEngine} engine
   */
  constructor(manifest, engine) {
    this.#engine = engine;
    this.manifest = manifest;
    this.runtime = engine.runtime;
    this.form = engine.form;
    this.signatures = Object.freeze(Object.fromEntries(engine.signatures.map((name) => [name, manifest.signatures[name]])));
  }

  /**
   * @param {any} tensors one tensor, or several in the order of the signature's inputs, or by their names; they stay the caller's
   * @param {{signature?: string}} [options]
   * @returns {Promise<any>} the tensor, or for several outputs tensors by name; the caller's to dispose of
   */
  async predict(tensors, options = {}) {
    checkOptions(options, ['signature'], 'predict');
    const name = options.signature ?? this.manifest.default_signature;
    const signature = this.signatureOf(name);
    const outputs = await this.#running().run(name, ordered(tensors, signature));
    if (outputs.length === 1) return outputs[0];
    return Object.fromEntries(signature.outputs.map((port, i) => [port.name, outputs[i]]));
  }

  /**
   * For servers: the same with plain arrays.
   *
   * @param {string} name of the signature
   * @param {{shape: number[], dtype: string, data: any}[]} inputs in its order, in the dtypes of TensorFlow.js
   * @returns {Promise<{shape: number[], dtype: string, data: any}[]>} in the order of its outputs
   */
  async compute(name, inputs) {
    const { tf } = this.#running();
    const tensors = inputs.map(({ data, shape, dtype }) => tf.tensor(data, shape, dtype));
    let outputs = [];
    try {
      outputs = await this.#running().run(name, ordered(tensors, this.signatureOf(name)));
      return await Promise.all(outputs.map(async (output) => ({ shape: output.shape, dtype: output.dtype, data: await output.data() })));
    } finally {
      tf.dispose([tensors, outputs]);
    }
  }

  /**
   * @param {string} name
   * @returns {Signature}
   */
  signatureOf(name) {
    if (Object.hasOwn(this.signatures, name)) return this.signatures[name];
    throw new DeployError(`There is no signature ${JSON.stringify(String(name).slice(0, 100))}; there are ${Object.keys(this.signatures).join(', ')}`, 'ERR_INPUT');
  }

  /** Frees the model; later calls are rejected. */
  dispose() {
    this.#engine?.dispose();
    this.#engine = null;
  }

  /** @returns {TensorEngine} */
  #running() {
    if (!this.#engine) throw new DeployError('The model was disposed of; load it again', 'ERR_DISPOSED');
    return this.#engine;
  }
}

/**
 * @param {any} given
 * @param {Signature} signature
 * @returns {any[]} tensors in the order of the signature's inputs
 */
function ordered(given, { inputs }) {
  const list = isTensor(given) ? [given] : Array.isArray(given) ? given : named(given, inputs);
  if (list.length !== inputs.length) throw new DeployError(`The model has ${inputs.length} inputs (${inputs.map(({ name }) => name).join(', ')}), not ${list.length}`, 'ERR_INPUT');
  list.forEach((tensor, i) => checkTensor(tensor, inputs[i]));
  return list;
}

/**
 * @param {any} given
 * @param {Port[]} inputs
 */
function named(given, inputs) {
  if (typeof given !== 'object' || given === null) throw new DeployError(`predict takes tensors, not ${given === null ? 'null' : typeof given}`, 'ERR_INPUT');
  const unknown = Object.keys(given).find((name) => !inputs.some((port) => port.name === name));
  if (unknown !== undefined) throw new DeployError(`The model has no input ${JSON.stringify(unknown.slice(0, 100))}; it has ${inputs.map(({ name }) => name).join(', ')}`, 'ERR_INPUT');
  return inputs.map(({ name }) => given[name]);
}

/**
 * @param {any} tensor
 * @param {Port} port
 */
function checkTensor(tensor, { name, dtype, shape }) {
  const expected = TENSOR_TYPES[dtype] ?? dtype;
  const like = (/** @type {number[]} */ given) => shape === null || (given.length === shape.length && shape.every((size, i) => size === null || size === given[i]));
  if (isTensor(tensor) && tensor.dtype === expected && like(tensor.shape)) return;
  const found = isTensor(tensor) ? `a ${tensor.dtype} tensor of shape [${tensor.shape.join(', ')}]` : typeof tensor;
  throw new DeployError(`The input ${name} must be a ${expected} tensor of shape [${shape?.map((size) => size ?? 'any').join(', ') ?? '...'}], not ${found}`, 'ERR_INPUT');
}

/** @param {any} value */
function isTensor(value) {
  return typeof value === 'object' && value !== null && Array.isArray(value.shape) && typeof value.data === 'function';
}

/**
 * Runs inputs that Python has made too, and compares the answers.
 *
 * @param {Predictor} predictor
 * @returns {Promise<void>}
 */
async function checkAnswers(predictor) {
  const { check, default_signature: name, signatures } = predictor.manifest;
  if (!check || !Object.hasOwn(predictor.signatures, name)) return;
  const inputs = signatures[name].inputs.map(({ dtype }, i) => waves(check.inputs[i], TENSOR_TYPES[dtype] ?? dtype));
  const outputs = await predictor.compute(name, inputs);
  if (outputs.length !== check.outputs.length) throw new IntegrityError('manifest.json has another number of outputs than the model');
  outputs.forEach(({ shape, data }, i) => {
    const expected = check.outputs[i];
    const scale = Math.max(1, ...expected.values.map(Math.abs));
    const worst = Math.max(0, ...expected.values.map((value, at) => Math.abs(value - Number(data[at])))) / scale;
    if (shape.join() === expected.shape.join() && worst <= check.tolerance) return;
    throw new DeployError(
      `This TensorFlow.js (${predictor.runtime}) computes another answer than Python: ${signatures[name].outputs[i].name} differs by ${worst} of its largest ` +
        `number, and at most ${check.tolerance} is expected. Use another version of TensorFlow.js, or load with {check: false} to go on all the same`,
      'ERR_RUNTIME',
    );
  });
}

/**
 * @param {number[]} shape
 * @param {string} dtype
 * @returns {{shape: number[], dtype: string, data: any}} numbers from 0 to 1; Python makes the same
 */
function waves(shape, dtype) {
  const size = shape.reduce((product, each) => product * each, 1);
  const whole = dtype !== 'float32';
  const data = dtype === 'float32' ? new Float32Array(size) : dtype === 'bool' ? new Uint8Array(size) : new Int32Array(size);
  for (let i = 0; i < size; i++) data[i] = whole ? i % 2 : ((i * 7919) % 1000) / 1000;
  return { shape, dtype, data };
}

module.exports = { Predictor, checkAnswers };
