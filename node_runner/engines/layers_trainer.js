'use strict';

const { loadTensorflow } = require('../tensorflow');
const { NDArray } = require('../rpc/ndarray');
const { DivergenceError } = require('./training_error');
const { LayersOptimizer } = require('./optimizers');
const { flatLayers, holdBatchNormalization, readWeights, writeWeights } = require('./layers_model');

/**
 * @typedef {import('@tensorflow/tfjs-node').LayersModel} LayersModel
 * @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor
 * @typedef {import('./feature_store').FeatureStore} FeatureStore
 * @typedef {import('./optimizers').OptimizerOptions & {name: string, weightDecay: number, globalClipnorm: number}} OptimizerSettings
 * @typedef {{
 *   optimizer: OptimizerSettings,
 *   loss: string,
 *   labelSmoothing: number,
 *   seed: number,
 *   holdBatchNormalization: boolean,
 * }} TrainerSettings
 * @typedef {{inputs: FeatureStore, targets: NDArray, rows: ArrayLike<number>, targetRows: ArrayLike<number>, batchSize: number}} Examples
 * @typedef {Examples & {sampleWeights: Float32Array | null, rates: Float32Array, mixing: Float32Array}} Epoch `rates` and `mixing` for each step
 * @typedef {{loss: number, accuracy?: number}} Logs
 */

const CLASSIFICATION_LOSSES = new Set(['categorical_crossentropy', 'sparse_categorical_crossentropy', 'binary_crossentropy']);

/** @type {Record<string, string>} */
const TFJS_LOSSES = {
  binary_crossentropy: 'binaryCrossentropy',
  categorical_crossentropy: 'categoricalCrossentropy',
  mean_absolute_error: 'meanAbsoluteError',
  mean_squared_error: 'meanSquaredError',
  // Integer classes become one-hot rows first, so that labels can be smoothed.
  sparse_categorical_crossentropy: 'categoricalCrossentropy',
};

/** Trains a tf.LayersModel with TensorFlow.js's own gradients and optimizers: the portable engine. */
class LayersTrainer {
  /**
   * @param {LayersModel} model
   * @param {string[]} names of the model's weights, as Python knows them
   * @param {TrainerSettings} settings
   */
  constructor(model, names, settings) {
    this.model = model;
    this.names = names;
    this.settings = settings;
    this.chosen = new LayersOptimizer(settings.optimizer.name, settings.optimizer);
    this.optimizer = this.chosen.tfjs;
    this.step = 0;
    holdBatchNormalization(model, settings.holdBatchNormalization);
    model.compile({ optimizer: this.optimizer, loss: lossName(settings.loss) });
    // A tf.Sequential compiles the model that it wraps.
    const compiled = /** @type {any} */ (model).model || model;
    /** @type {(y: Tensor, output: Tensor) => Tensor} */
    this.loss = compiled.lossFunctions[0];
    this.dropouts = flatLayers(model).filter((layer) => 'seed' in layer && 'rate' in layer);
    this.decayed = decayedVariables(model);
    this.variables = model.trainableWeights.map((weight) => /** @type {import('@tensorflow/tfjs-node').Variable} */ (weight.read()));
  }

  /**
   * One pass over the examples in the order given.
   *
   * @param {Epoch} epoch
   * @param {{signal: AbortSignal, progress: (value: object) => void}} context
   * @returns {Promise<Logs>}
   */
  async trainEpoch(epoch, { signal, progress }) {
    const sums = { loss: 0, correct: 0, examples: 0 };
    for (let start = 0; start < epoch.rows.length; start += epoch.batchSize) {
      signal.throwIfAborted();
      const [logs, count] = this.trainBatch(epoch, start);
      sums.loss += logs.loss * count;
      sums.correct += logs.correct;
      sums.examples += count;
      progress({ examples: sums.examples, loss: sums.loss / sums.examples });
      await new Promise(setImmediate);
    }
    return this.logs(sums);
  }

  /**
   * @param {Examples} examples
   * @param {{signal: AbortSignal, progress: (value: object) => void}} context
   * @returns {Promise<{logs: Logs, outputs: NDArray}>} metrics, and the model's output for every example
   */
  async evaluate(examples, { signal, progress }) {
    const tf = loadTensorflow();
    const sums = { loss: 0, correct: 0, examples: 0 };
    const size = /** @type {number[]} */ (this.model.outputShape).slice(1).reduce((product, dimension) => product * dimension, 1);
    const outputs = new Float32Array(examples.rows.length * size);
    for (let start = 0; start < examples.rows.length; start += examples.batchSize) {
      signal.throwIfAborted();
      tf.tidy(() => {
        const { x, y, count } = this.batch(examples, start);
        const output = /** @type {Tensor} */ (this.model.apply(x, { training: false }));
        outputs.set(/** @type {Float32Array} */ (output.dataSync()), start * size);
        sums.loss += tf.sum(this.losses(y, output)).dataSync()[0];
        sums.correct += this.countCorrect(y, output);
        sums.examples += count;
      });
      progress({ examples: sums.examples });
      await new Promise(setImmediate);
    }
    const shape = [examples.rows.length, .../** @type {number[]} */ (this.model.outputShape).slice(1)];
    return { logs: this.logs(sums), outputs: new NDArray('float32', shape, outputs) };
  }

  /**
   * All that a later trainer needs to go on as this one would.
   *
   * @returns {Promise<{weights: NDArray[], optimizer: NDArray[], optimizerNames: string[], powers: number[], step: number}>}
   */
  async savedState() {
    const optimizer = await this.optimizer.getWeights();
    return {
      weights: this.weights(),
      optimizer: optimizer.map(({ tensor }) => new NDArray(tensor.dtype, tensor.shape, /** @type {any} */ (tensor.dataSync()))),
      optimizerNames: optimizer.map(({ name }) => name),
      powers: this.chosen.powers.map((power) => power.dataSync()[0]),
      step: this.step,
    };
  }

  /** @param {Awaited<ReturnType<LayersTrainer['savedState']>>} state */
  async restore({ weights, optimizer, optimizerNames, powers, step }) {
    const tf = loadTensorflow();
    this.setWeights(weights);
    const values = optimizer.map((value, i) => ({ name: optimizerNames[i], tensor: value.toTensor(tf) }));
    await this.optimizer.setWeights(values);
    this.chosen.powers.forEach((power, i) => tf.tidy(() => power.assign(tf.scalar(powers[i]))));
    this.step = step;
  }

  weights() {
    return readWeights(this.model, this.names);
  }

  /** @param {NDArray[]} values */
  setWeights(values) {
    writeWeights(this.model, this.names, values);
  }

  dispose() {
    this.optimizer.dispose();
    this.model.dispose();
  }

  /**
   * @param {Epoch} epoch
   * @param {number} start
   * @returns {[{loss: number, correct: number}, number]}
   */
  trainBatch(epoch, start) {
    const tf = loadTensorflow();
    const rate = epoch.rates[start / epoch.batchSize];
    const share = epoch.mixing[start / epoch.batchSize];
    this.chosen.setLearningRate(rate);
    this.seedDropout();
    return tf.tidy(() => {
      const batch = this.batch(epoch, start);
      const { count } = batch;
      const weights = epoch.sampleWeights && tf.tensor1d(epoch.sampleWeights.slice(start, start + count));
      const [x, y] = [mix(batch.x, share), mix(batch.y, share)];
      let correct = 0;
      const { value: cost, grads } = this.optimizer.computeGradients(() => {
        const output = /** @type {Tensor} */ (this.model.apply(x, { training: true }));
        correct = this.countCorrect(y, output);
        let losses = this.losses(y, output);
        if (weights) losses = losses.mul(mix(weights, share));
        const penalties = this.model.calculateLosses();
        return penalties.reduce((total, penalty) => total.add(penalty), /** @type {import('@tensorflow/tfjs-node').Scalar} */ (tf.mean(losses)));
      }, this.variables);
      const loss = cost.dataSync()[0];
      if (!Number.isFinite(loss)) throw new DivergenceError(loss, this.step + 1);
      // As in Keras, weights decay before they are updated, after the gradients were taken.
      this.decayWeights(rate);
      this.optimizer.applyGradients(clipGradients(grads, this.settings.optimizer.globalClipnorm));
      this.step += 1;
      return [{ loss, correct }, count];
    });
  }

  /**
   * @param {Examples} examples
   * @param {number} start
   * @returns {{x: Tensor, y: Tensor, count: number}}
   */
  batch({ inputs, targets, rows, targetRows, batchSize }, start) {
    const stop = Math.min(start + batchSize, rows.length);
    const x = inputs.gather(Array.prototype.slice.call(rows, start, stop));
    const y = this.targets(targets, Array.prototype.slice.call(targetRows, start, stop));
    return { x, y, count: stop - start };
  }

  /**
   * @param {NDArray} targets
   * @param {number[]} rows
   * @returns {Tensor}
   */
  targets(targets, rows) {
    const tf = loadTensorflow();
    const size = targets.shape.slice(1).reduce((product, dimension) => product * dimension, 1);
    const data = /** @type {Float32Array} */ (targets.data);
    if (this.settings.loss !== 'sparse_categorical_crossentropy') {
      const values = rows.flatMap((row) => Array.from(data.subarray(row * size, (row + 1) * size)));
      return tf.tensor(values, [rows.length, ...targets.shape.slice(1)], 'float32');
    }
    const classes = /** @type {number[]} */ (this.model.outputShape).at(-1) || 0;
    const hot = tf.oneHot(tf.tensor1d(rows.map((row) => data[row]), 'int32'), classes).toFloat();
    const { labelSmoothing } = this.settings;
    return labelSmoothing ? hot.mul(1 - labelSmoothing).add(labelSmoothing / classes) : hot;
  }

  /**
   * @param {Tensor} y
   * @param {Tensor} output
   * @returns {Tensor} one loss for each example
   */
  losses(y, output) {
    const losses = this.loss(y, output);
    return losses.rank > 1 ? losses.reshape([losses.shape[0], -1]).mean(1) : losses;
  }

  /**
   * @param {Tensor} y
   * @param {Tensor} output
   * @returns {number}
   */
  countCorrect(y, output) {
    const tf = loadTensorflow();
    if (!CLASSIFICATION_LOSSES.has(this.settings.loss)) return 0;
    return tf.tidy(() => {
      const binary = this.settings.loss === 'binary_crossentropy';
      const equal = binary ? output.greater(0.5).equal(y.greater(0.5)).all(-1) : output.argMax(-1).equal(y.argMax(-1));
      return (equal.toFloat().sum().dataSync()[0] * y.shape[0]) / equal.size;
    });
  }

  /**
   * @param {{loss: number, correct: number, examples: number}} sums
   * @returns {Logs}
   */
  logs({ loss, correct, examples }) {
    if (!CLASSIFICATION_LOSSES.has(this.settings.loss)) return { loss: loss / examples };
    return { loss: loss / examples, accuracy: correct / examples };
  }

  /** TensorFlow.js draws one mask for one seed, so every step and layer gets a seed of its own. */
  seedDropout() {
    this.dropouts.forEach((layer, i) => {
      layer.seed = `${this.settings.seed}/${this.step}/${i}`;
    });
  }

  /**
   * Decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101) on kernels only.
   *
   * @param {number} learningRate
   */
  decayWeights(learningRate) {
    const { weightDecay } = this.settings.optimizer;
    if (!weightDecay) return;
    for (const variable of this.decayed) variable.assign(variable.mul(1 - learningRate * weightDecay));
  }
}

/**
 * @param {string} loss
 * @returns {string} its name in TensorFlow.js
 */
function lossName(loss) {
  const name = TFJS_LOSSES[loss];
  if (!name) throw new RangeError(`The loss ${loss} is unknown; there are ${Object.keys(TFJS_LOSSES).join(', ')}`);
  return name;
}

/**
 * Mixup (Zhang et al. 2018, arXiv:1710.09412). The order is random, so the neighbour is as good as any other example.
 *
 * @template {Tensor} T
 * @param {T} values
 * @param {number} share that each example keeps of itself
 * @returns {T}
 */
function mix(values, share) {
  const count = values.shape[0];
  if (share === 1 || count === 1) return values;
  const tf = loadTensorflow();
  const neighbours = tf.concat([values.slice([count - 1], [1]), values.slice([0], [count - 1])]);
  return /** @type {T} */ (values.mul(share).add(neighbours.mul(1 - share)));
}

/**
 * @param {Record<string, Tensor>} gradients
 * @param {number} limit of the length of all of them together; 0 for none
 * @returns {Record<string, Tensor>}
 */
function clipGradients(gradients, limit) {
  if (!limit) return gradients;
  const tf = loadTensorflow();
  const length = tf.sqrt(tf.addN(Object.values(gradients).map((gradient) => gradient.square().sum())));
  const factor = tf.div(limit, tf.maximum(length, limit));
  return Object.fromEntries(Object.entries(gradients).map(([name, gradient]) => [name, gradient.mul(factor)]));
}

/**
 * @param {LayersModel} model
 * @returns {import('@tensorflow/tfjs-node').Variable[]}
 */
function decayedVariables(model) {
  const kernels = model.trainableWeights.filter((weight) => /kernel/.test(weight.originalName));
  return kernels.map((weight) => /** @type {import('@tensorflow/tfjs-node').Variable} */ (weight.read()));
}

module.exports = { LayersTrainer };
