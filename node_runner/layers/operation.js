'use strict';

const { operations } = require('./operation_table');
const { layerBase } = require('./support');

/** @param {any} tf */
function create(tf) {
  /**
   * An operation of `keras.ops`. In its arguments `{tensor: i}` stands for its i-th input, `{array, dtype}` for a constant, in which
   * texts such as `-Infinity` are numbers,
   * `{slice: [start, stop, step]}` and `{ellipsis: true}` for parts of an index.
   */
  class PybridgeOp extends layerBase(tf) {
    static className = 'PybridgeOp';

    /** @param {any} args */
    constructor(args) {
      super(args);
      const name = args.op.replace(/([A-Z])/g, (/** @type {string} */ letter) => `_${letter.toLowerCase()}`);
      this.operation = Object.hasOwn(operations, name) ? operations[name] : undefined;
      this.supportsMasking = false;
      if (!this.operation) throw new Error(`There is no operation ${name}`);
    }

    computeOutputShape() {
      return this.settings.outputShape;
    }

    /** @param {any[]} inputs */
    forward(inputs) {
      const operation = /** @type {Function} */ (this.operation);
      const names = Object.entries(this.settings.arguments).map(([key, value]) => [
        key.replace(/([A-Z])/g, (letter) => `_${letter.toLowerCase()}`),
        resolve(value, inputs),
      ]);
      const result = operation(tf, Object.fromEntries(names));
      const dtypes = [this.settings.outputDtype].flat();
      if (Array.isArray(result)) return result.map((one, i) => typed(one, dtypes[i]));
      return typed(result, dtypes[0]);
    }
  }

  /**
   * @param {any} value
   * @param {any[]} inputs
   * @returns {any}
   */
  function resolve(value, inputs) {
    if (Array.isArray(value)) return value.map((one) => resolve(one, inputs));
    if (value === null || typeof value !== 'object') return value;
    if ('tensor' in value) return inputs[value.tensor];
    if ('array' in value) return tf.tensor(numbers(value.array), undefined, value.dtype);
    return value;
  }

  /**
   * @param {any} array in which texts stand for the numbers that JSON does not have
   * @returns {any}
   */
  function numbers(array) {
    if (Array.isArray(array)) return array.map(numbers);
    return typeof array === 'string' ? Number(array) : array;
  }

  /**
   * @param {any} x
   * @param {string} dtype
   */
  function typed(x, dtype) {
    return x.dtype === dtype ? x : tf.cast(x, dtype);
  }

  return [PybridgeOp];
}

module.exports = create;
