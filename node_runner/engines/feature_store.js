'use strict';

const { loadTensorflow } = require('../tensorflow');

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
  }

  /**
   * @param {ArrayLike<number>} rows where each row of `values` belongs
   * @param {Float32Array} values
   */
  write(rows, values) {
    if (values.length !== rows.length * this.size) {
      throw new RangeError(`${rows.length} rows of ${this.size} values were expected, ${values.length} values came`);
    }
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
      this.check(rows[i]);
      if (!this.filled[rows[i]]) throw new RangeError(`Row ${rows[i]} holds no features yet`);
      values.set(this.values.subarray(rows[i] * this.size, (rows[i] + 1) * this.size), i * this.size);
    }
    return values;
  }

  /** @param {number} row */
  check(row) {
    if (!(row >= 0 && row < this.rows)) throw new RangeError(`Row ${row} is outside the ${this.rows} rows`);
  }
}

module.exports = { FeatureStore };
