'use strict';

const { NDArray } = require('../rpc/ndarray');
const { loadTensorflow } = require('../tensorflow');

/**
 * @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor
 * @typedef {{name: string, tensor: string, dtype: string, shape: (number | null)[], any_rank?: boolean}} SignaturePort
 */

/**
 * A user's SavedModel, run through TensorFlow's own session, which restores and holds its variables.
 *
 * Python has read the signature; the native binding is called directly, for the reasons that `Program` gives.
 */
class SavedModel {
  /** @param {{folder: string, inputs: SignaturePort[], outputs: SignaturePort[]}} description what Python read of it */
  constructor({ folder, inputs, outputs }) {
    this.inputs = inputs;
    this.outputs = outputs;
    this.backend = /** @type {any} */ (loadTensorflow().backend());
    this.session = this.backend.binding.loadSavedModel(folder, 'serve');
  }

  /**
   * @param {(Tensor | NDArray)[]} tensors in the order of the inputs; they stay the caller's. Whole numbers of 64 bits, which
   *   TensorFlow.js does not have, are arrays
   * @returns {(Tensor | NDArray)[]} in the order of the outputs; those of whole numbers of 64 bits are arrays
   */
  run(tensors) {
    const { binding } = this.backend;
    /** @type {number[]} */
    const temporary = [];
    try {
      const ids = tensors.map((tensor, position) => {
        const native = toNative(binding, tensor, this.inputs[position].dtype);
        if (native === null) return this.backend.getInputTensorIds([tensor])[0];
        temporary.push(native);
        return native;
      });
      // Fed and fetched by the tensors' names, so that the order is the signature's.
      const names = (/** @type {SignaturePort[]} */ ports) => ports.map((port) => port.tensor).join(',');
      const outputs = binding.runSavedModel(this.session, ids, names(this.inputs), names(this.outputs));
      return outputs.map((/** @type {any} */ output) => (output.dtype === binding.TF_INT64 ? wide(binding, output) : this.backend.createOutputTensor(output)));
    } finally {
      for (const id of temporary) binding.deleteTensor(id);
    }
  }

  dispose() {
    this.backend.binding.deleteSavedModel(this.session);
  }
}

/**
 * @param {any} binding
 * @param {{id: number, shape: number[]}} output
 * @returns {NDArray}
 */
function wide(binding, { id, shape }) {
  const data = binding.tensorDataSync(id);
  binding.deleteTensor(id);
  return new NDArray('int64', shape, data);
}

/**
 * @param {any} binding
 * @param {Tensor | NDArray} tensor int32 where the signature wants a type that TensorFlow.js does not have
 * @param {string} dtype of the signature's input
 * @returns {number | null} the id of a native tensor of that type, or null where the tensor itself can be fed
 */
function toNative(binding, tensor, dtype) {
  if (tensor instanceof NDArray) {
    // The addon takes int64 as pairs of int32, the low half first, as they lie in memory.
    const { buffer, byteOffset, byteLength } = /** @type {BigInt64Array} */ (tensor.data);
    return binding.createTensor(tensor.shape, binding.TF_INT64, new Int32Array(buffer.slice(byteOffset, byteOffset + byteLength)));
  }
  if (dtype === 'uint8') return binding.createTensor(tensor.shape, binding.TF_UINT8, Uint8Array.from(tensor.dataSync()));
  if (dtype !== 'int64') return null;
  const values = tensor.dataSync();
  const halves = new Int32Array(values.length * 2);
  values.forEach((/** @type {number} */ value, /** @type {number} */ index) => halves.set([value, value < 0 ? -1 : 0], index * 2));
  return binding.createTensor(tensor.shape, binding.TF_INT64, halves);
}

module.exports = { SavedModel };
