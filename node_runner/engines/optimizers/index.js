'use strict';

const { readdirSync } = require('node:fs');
const { basename } = require('node:path');

/**
 * @typedef {import('@tensorflow/tfjs-node').Optimizer} Optimizer
 * @typedef {import('@tensorflow/tfjs-node').Variable} Variable
 * @typedef {{learningRate: number, momentum: number, nesterov: boolean}} OptimizerOptions
 * @typedef {{
 *   create(options: OptimizerOptions): Optimizer,
 *   setLearningRate?(optimizer: Optimizer, learningRate: number): void,
 *   powers?(optimizer: Optimizer): Variable[],
 * }} OptimizerFile what a file of this folder exports. `setLearningRate` is for those whose rate is more than the property
 *   `learningRate`; `powers` are scalars that `setWeights` of the optimizer does not restore to the bit.
 */

const names = readdirSync(__dirname)
  .map((file) => basename(file, '.js'))
  .filter((name) => name !== 'index');

/** An optimizer of the layers engine: TensorFlow.js's own, or a class of ours. */
class LayersOptimizer {
  /**
   * @param {string} name of a file of this folder
   * @param {OptimizerOptions} options
   */
  constructor(name, options) {
    if (!names.includes(name)) throw new RangeError(`The optimizer ${name} is unknown; there are ${names.join(', ')}`);
    /** @type {OptimizerFile} */
    this.file = require(`./${name}`);
    this.tfjs = this.file.create(options);
  }

  /** @param {number} learningRate */
  setLearningRate(learningRate) {
    if (this.file.setLearningRate) this.file.setLearningRate(this.tfjs, learningRate);
    else /** @type {any} */ (this.tfjs).learningRate = learningRate;
  }

  /** @returns {Variable[]} */
  get powers() {
    return this.file.powers ? this.file.powers(this.tfjs) : [];
  }
}

module.exports = { LayersOptimizer };
