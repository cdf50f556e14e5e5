'use strict';

const { loadTensorflow } = require('../tensorflow');

// Larger stores are copied row by row as they are needed: a second copy of all of them would cost too much memory.
const WHOLE_TENSOR_BYTES = 256 * 2 ** 20;

/**
 * Activations of a frozen base model, one row for each image (or augmented view of one), kept in Node's memory.
 */
class FeatureStore {
  /**
   * @param {number} rows
   * @param {number[]} shape of one row
   * @param {Float32Array} [values] all rows, where they are known already
   */
  constructor(rows, shape, values) {
    this.rows = rows;
    this.shape = shape;
    this.size = shape.reduce((product, dimension) => product * dimension, 1);
    this.values = values || new Float32Array(rows * this.size);
    this.filled = new Uint8Array(rows).fill(values ? 1 : 0);
    /** @type {import('@tensorflow/tfjs-node').Tensor | null} */
    this.whole = null;
  }

  /**
   * @param {ArrayLike<number>} rows where each row of `values` belongs
   * @param {Float32Array} values
   */
  write(rows, values) {
    if (values.length !== rows.length * this.size) {
      throw new RangeError(`${rows.length} rows of ${this.size} values were expected, ${values.length} values came`);
    }
    this.dispose();
    for (let i = 0; i < rows.length; i++) {
      this.check(rows[i]);
      this.values.set(values.subarray(i * this.size, (i + 1) * this.size), rows[i] * this.size);
      this.filled[rows[i]] = 1;
    }
  }

  /**
   * @param {ArrayLike<number>} rows
   * @returns {import('@tensorflow/tfjs-node').Tensor} of shape [rows, ...shape]; the caller's to dispose
   */
  gather(rows) {
    return loadTensorflow().tensor(this.read(rows), [rows.length, ...this.shape], 'float32');
  }

  /**
   * @param {ArrayLike<number>} rows
   * @returns {Float32Array}
   */
  read(rows) {
    const values = new Float32Array(rows.length * this.size);
    for (let i = 0; i < rows.length; i++) {
      this.checkFilled(rows[i]);
      values.set(this.values.subarray(rows[i] * this.size, (rows[i] + 1) * this.size), i * this.size);
    }
    return values;
  }

  /**
   * Rows as a graph can gather them: where the store is small, a tensor of all rows that stays in Node.
   *
   * @param {ArrayLike<number>} rows
   * @returns {{x: import('@tensorflow/tfjs-node').Tensor, rows: Int32Array, dispose: () => void}} `rows[i]` is where in `x` the row is
   */
  source(rows) {
    if (!this.isWhole()) {
      const x = this.gather(rows);
      return { x, rows: Int32Array.from(rows, (_, i) => i), dispose: () => x.dispose() };
    }
    for (let i = 0; i < rows.length; i++) this.checkFilled(rows[i]);
    if (!this.whole) this.whole = loadTensorflow().tensor(this.values, [this.rows, ...this.shape], 'float32');
    return { x: this.whole, rows: Int32Array.from(rows), dispose: () => {} };
  }

  /** @returns {boolean} whether `source` gives a tensor of all rows */
  isWhole() {
    return this.values.byteLength <= WHOLE_TENSOR_BYTES;
  }

  /** Frees what the store holds beside its values. */
  dispose() {
    this.whole?.dispose();
    this.whole = null;
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

module.exports = { FeatureStore };
