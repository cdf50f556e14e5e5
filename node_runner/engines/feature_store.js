'use strict';

const { loadTensorflow } = require('../tensorflow');
const { rowsInFile, rowsInMemory, rowsOfChunks } = require('./rows');

/** @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor */

// Of larger stores, a graph gets the rows that it needs; making one tensor of all needs their memory twice for a moment.
const WHOLE_TENSOR_BYTES = 256 * 2 ** 20;

/**
 * Activations of a frozen base model, one row for each image (or augmented view of one): in memory, or in a file.
 *
 * A small store in memory becomes a tensor when a graph first asks for it; the values are in one of the two places, never in both.
 */
class FeatureStore {
  /**
   * @param {number} rows
   * @param {number[]} shape of one row
   * @param {{values?: Float32Array, file?: string}} [place] all rows, where they are known already; or an empty file for them
   */
  constructor(rows, shape, { values, file } = {}) {
    this.rows = rows;
    this.shape = shape;
    this.size = shape.reduce((product, dimension) => product * dimension, 1);
    this.filled = new Uint8Array(rows).fill(values ? 1 : 0);
    this.inFile = file !== undefined;
    /** @type {import('./rows').Rows | null} null while the values are in `whole` */
    this.stored = null;
    /** @type {Tensor | null} */
    this.whole = null;
    if (file !== undefined) this.stored = rowsInFile(file, this.size);
    else this.stored = values ? rowsOfChunks([values], Math.max(rows, 1), this.size) : rowsInMemory(rows, this.size);
  }

  /**
   * @param {ArrayLike<number>} rows where each row of `values` belongs
   * @param {Float32Array} values
   */
  write(rows, values) {
    if (values.length !== rows.length * this.size) {
      throw new RangeError(`${rows.length} rows of ${this.size} values were expected, ${values.length} values came`);
    }
    for (let i = 0; i < rows.length; i++) this.check(rows[i]);
    if (this.whole) {
      const all = /** @type {Float32Array} */ (this.whole.dataSync());
      this.stored = rowsOfChunks([all.slice()], Math.max(this.rows, 1), this.size);
      this.dropWhole();
    }
    this.open().write(rows, values);
    for (let i = 0; i < rows.length; i++) this.filled[rows[i]] = 1;
  }

  /**
   * @param {ArrayLike<number>} rows
   * @returns {Tensor} of shape [rows, ...shape]; the caller's to dispose
   */
  gather(rows) {
    for (let i = 0; i < rows.length; i++) this.checkFilled(rows[i]);
    if (this.whole) {
      const tf = loadTensorflow();
      const whole = this.whole;
      return tf.tidy(() => tf.gather(whole, tf.tensor1d(Int32Array.from(rows), 'int32')));
    }
    return toTensor(this.read(rows), [rows.length, ...this.shape]);
  }

  /**
   * @param {ArrayLike<number>} rows
   * @returns {Float32Array}
   */
  read(rows) {
    for (let i = 0; i < rows.length; i++) this.checkFilled(rows[i]);
    if (this.whole) {
      const tensor = this.gather(rows);
      const values = /** @type {Float32Array} */ (tensor.dataSync());
      tensor.dispose();
      return values;
    }
    const values = new Float32Array(rows.length * this.size);
    this.open().read(rows, values);
    return values;
  }

  /**
   * Rows as a graph can gather them: where the store is small, a tensor of all rows that stays in Node.
   *
   * @param {ArrayLike<number>} rows
   * @returns {{x: Tensor, rows: Int32Array, dispose: () => void}} `rows[i]` is where in `x` the row is
   */
  source(rows) {
    if (!this.isWhole()) {
      const x = this.gather(rows);
      return { x, rows: Int32Array.from(rows, (_, i) => i), dispose: () => x.dispose() };
    }
    for (let i = 0; i < rows.length; i++) this.checkFilled(rows[i]);
    return { x: this.whole ?? this.makeWhole(), rows: Int32Array.from(rows), dispose: () => {} };
  }

  /**
   * Says which rows `source` or `gather` will be asked for next, so that a file can be read while TensorFlow computes.
   *
   * @param {ArrayLike<number>} rows
   */
  announce(rows) {
    this.stored?.warm(rows);
  }

  /** @returns {boolean} whether `source` gives a tensor of all rows */
  isWhole() {
    return !this.inFile && 4 * this.rows * this.size <= WHOLE_TENSOR_BYTES;
  }

  /** Frees the values; the store cannot be used again. */
  dispose() {
    this.dropWhole();
    this.stored?.close();
    this.stored = null;
  }

  /** @returns {Tensor} */
  makeWhole() {
    this.whole = toTensor(this.open().all() ?? new Float32Array(0), [this.rows, ...this.shape]);
    this.open().close();
    this.stored = null;
    return this.whole;
  }

  dropWhole() {
    this.whole?.dispose();
    this.whole = null;
  }

  /** @returns {import('./rows').Rows} */
  open() {
    if (!this.stored) throw new Error('The feature store was disposed');
    return this.stored;
  }

  /** @param {number} row */
  checkFilled(row) {
    this.check(row);
    if (!this.filled[row]) throw new RangeError(`Row ${row} holds no features yet`);
  }

  /** @param {number} row */
  check(row) {
    if (!(row >= 0 && row < this.rows)) throw new RangeError(`Row ${row} is outside the ${this.rows} rows`);
  }
}

/**
 * `tf.tensor` would hold on to the JavaScript values until an operation first uses them.
 *
 * @param {Float32Array} values copied
 * @param {number[]} shape
 * @returns {Tensor}
 */
function toTensor(values, shape) {
  const backend = /** @type {any} */ (loadTensorflow().backend());
  const { binding } = backend;
  return backend.createOutputTensor({ id: binding.createTensor(shape, binding.TF_FLOAT, values), shape, dtype: binding.TF_FLOAT });
}

module.exports = { FeatureStore };
