'use strict';

const { performance } = require('node:perf_hooks');
const { loadTensorflow } = require('../tensorflow');
const { NDArray } = require('../rpc/ndarray');

/**
 * @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor
 * @typedef {{name: string, tensor: string, dtype: string, shape: (number | null)[]}} TensorSpec
 * @typedef {{inputs: TensorSpec[], output: TensorSpec, others?: TensorSpec[]}} Signature
 */

const spent = { computeMilliseconds: 0, calls: 0 };

/**
 * A SavedModel that Python traced, run through TensorFlow's own session.
 *
 * The native binding is called directly: tfjs-node's public SavedModel class parses every constant of the graph in
 * JavaScript to learn names that Python has already told us, and knows no uint8 or byte strings as inputs.
 */
class Program {
  /** @param {{folder: string, signatures: Record<string, Signature>}} description */
  constructor(description) {
    this.signatures = description.signatures;
    this.backend = /** @type {any} */ (loadTensorflow().backend());
    this.session = this.backend.binding.loadSavedModel(description.folder, 'serve');
  }

  /**
   * @param {string} signatureName
   * @param {(NDArray | Tensor)[]} inputs in the signature's order
   * @returns {Tensor} its first output, the caller's to dispose
   */
  run(signatureName, inputs) {
    const signature = this.signature(signatureName);
    return this.compute(signature, inputs, [signature.output])[0];
  }

  /**
   * @param {string} signatureName
   * @param {(NDArray | Tensor)[]} inputs in the signature's order
   * @returns {Tensor[]} all its outputs, the caller's to dispose
   */
  runAll(signatureName, inputs) {
    const signature = this.signature(signatureName);
    return this.compute(signature, inputs, [signature.output, ...(signature.others ?? [])]);
  }

  /**
   * @param {string} name
   * @returns {Signature}
   */
  signature(name) {
    const signature = this.signatures[name];
    if (!signature) throw new RangeError(`The program has no signature ${name}, only ${Object.keys(this.signatures).join(', ')}`);
    return signature;
  }

  /**
   * @param {Signature} signature
   * @param {(NDArray | Tensor)[]} inputs
   * @param {TensorSpec[]} wanted
   * @returns {Tensor[]}
   */
  compute(signature, inputs, wanted) {
    const { binding } = this.backend;
    /** @type {number[]} */
    const temporary = [];
    try {
      const ids = inputs.map((input, position) => {
        if (!(input instanceof NDArray)) return this.backend.getInputTensorIds([input])[0];
        const id = createNativeTensor(binding, input, signature.inputs[position]);
        temporary.push(id);
        return id;
      });
      const names = signature.inputs.map((spec) => spec.tensor).join(',');
      const begun = performance.now();
      const outputs = binding.runSavedModel(this.session, ids, names, wanted.map((spec) => spec.tensor).join(','));
      spent.computeMilliseconds += performance.now() - begun;
      spent.calls += 1;
      return outputs.map((/** @type {any} */ output) => this.backend.createOutputTensor(output));
    } finally {
      for (const id of temporary) binding.deleteTensor(id);
    }
  }

  /**
   * @param {NDArray} array
   * @param {TensorSpec} spec
   * @returns {Tensor} that stays in TensorFlow; the caller's to dispose
   */
  tensor(array, spec) {
    const { binding } = this.backend;
    const types = new Map([['float32', binding.TF_FLOAT], ['int32', binding.TF_INT32], ['bool', binding.TF_BOOL]]);
    const id = createNativeTensor(binding, array, spec);
    return this.backend.createOutputTensor({ id, shape: array.shape, dtype: types.get(array.dtype) });
  }

  dispose() {
    this.backend.binding.deleteSavedModel(this.session);
  }
}

/**
 * @param {any} binding
 * @param {NDArray} array
 * @param {TensorSpec} spec
 * @returns {number} the native tensor's id
 */
function createNativeTensor(binding, array, spec) {
  if (array.dtype !== spec.dtype) throw new TypeError(`Input ${spec.name} is ${array.dtype}, not ${spec.dtype}`);
  /** @type {Record<string, number>} */
  const types = {
    bool: binding.TF_BOOL,
    float32: binding.TF_FLOAT,
    int32: binding.TF_INT32,
    string: binding.TF_STRING,
    uint8: binding.TF_UINT8,
  };
  const type = types[spec.dtype];
  if (type === undefined) throw new TypeError(`Input ${spec.name} has the dtype ${spec.dtype}, which programs do not take`);
  return binding.createTensor(array.shape, type, array.data);
}

/** @returns {{computeMilliseconds: number, calls: number}} what this process has spent within TensorFlow on programs so far */
function clock() {
  return { ...spent };
}

module.exports = { Program, clock };
