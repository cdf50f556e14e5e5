'use strict';

const { performance } = require('perf_hooks');
const { NDArray } = require('../rpc/ndarray');
const { Program } = require('./program');
const { DivergenceError } = require('./training_error');

/**
 * @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor
 * @typedef {import('./program').Signature} Signature
 * @typedef {import('./layers_trainer').Examples} Examples
 * @typedef {import('./layers_trainer').Logs} Logs
 * @typedef {import('./layers_trainer').Epoch} Epoch
 * @typedef {{signal: AbortSignal, progress: (value: object) => void}} Context
 * @typedef {{
 *   folder: string,
 *   weights: string[],
 *   updated: number[],
 *   slots: number[][],
 *   signatures: Record<'steps' | 'evaluate', Signature>,
 *   accuracy: boolean,
 * }} TrainingProgram
 */

// A call blocks Node; so long it may take, for progress and cancelling to be noticed in between.
const CALL_MILLISECONDS = 300;
const ROWS_BYTES = 64 * 2 ** 20;

/** Trains by running a graph that Python traced: state in, state out, all of it in Node. */
class CompiledTrainer {
  /**
   * @param {TrainingProgram} program
   * @param {NDArray[]} weights in the program's order
   * @param {number} seed of dropout
   * @param {NDArray} numbers momentum, weight decay, clip norm, label smoothing
   */
  constructor(program, weights, seed, numbers) {
    this.description = program;
    this.program = new Program(program);
    this.seed = seed;
    this.numbers = numbers;
    this.step = 0;
    this.stepMilliseconds = CALL_MILLISECONDS;
    this.batchMilliseconds = CALL_MILLISECONDS;
    const { inputs } = program.signatures.steps;
    const stateSpecs = inputs.slice(0, program.weights.length + program.slots.length);
    const slots = program.slots.map((shape) => new NDArray('float32', shape, new Float32Array(product(shape))));
    /** @type {Tensor[]} */
    this.state = [...weights, ...slots].map((value, i) => this.program.tensor(value, stateSpecs[i]));
  }

  /**
   * One pass over the examples in the order given, in calls of as many steps as fit into a moment.
   *
   * @param {Epoch} epoch
   * @param {Context} context
   * @returns {Promise<Logs>}
   */
  async trainEpoch(epoch, { signal, progress }) {
    const { batchSize, rates, rows } = epoch;
    const sums = { loss: 0, correct: 0, examples: 0 };
    for (let first = 0; first < rates.length; ) {
      signal.throwIfAborted();
      const steps = Math.min(rates.length - first, callLength(epoch.inputs, batchSize, this.stepMilliseconds));
      const next = (first + steps) * batchSize;
      epoch.inputs.announce(slice(rows, next, next + steps * batchSize));
      const { losses, hits } = this.runSteps(epoch, first, steps);
      for (let i = 0; i < steps; i++) {
        const count = Math.min(batchSize, rows.length - (first + i) * batchSize);
        sums.loss += losses[i] * count;
        sums.correct += hits[i];
        sums.examples += count;
      }
      first += steps;
      progress({ examples: sums.examples, loss: sums.loss / sums.examples });
      await new Promise(setImmediate);
    }
    return this.logs(sums);
  }

  /**
   * @param {Examples} examples
   * @param {Context} context
   * @returns {Promise<{logs: Logs, outputs: NDArray}>} metrics, and the model's output for every example
   */
  async evaluate({ inputs, targets, rows, targetRows, batchSize }, { signal, progress }) {
    const shape = /** @type {number[]} */ (this.description.signatures.evaluate.output.shape.slice(1));
    const size = product(shape);
    const outputs = new Float32Array(rows.length * size);
    const sums = { loss: 0, correct: 0, examples: 0 };
    while (sums.examples < rows.length) {
      signal.throwIfAborted();
      const start = sums.examples;
      const batches = callLength(inputs, batchSize, this.batchMilliseconds);
      const stop = Math.min(start + batches * batchSize, rows.length);
      inputs.announce(slice(rows, stop, stop + batches * batchSize));
      const { output, losses, hits } = this.evaluateRows(inputs, targets, slice(rows, start, stop), slice(targetRows, start, stop), batchSize);
      outputs.set(output, start * size);
      for (let i = 0; i < losses.length; i++) {
        sums.loss += losses[i];
        sums.correct += hits[i];
      }
      sums.examples = stop;
      progress({ examples: sums.examples });
      await new Promise(setImmediate);
    }
    return { logs: this.logs(sums), outputs: new NDArray('float32', [rows.length, ...shape], outputs) };
  }

  /**
   * @param {Examples['inputs']} inputs
   * @param {NDArray} targets
   * @param {Int32Array} rows
   * @param {Int32Array} targetRows
   * @param {number} batchSize
   * @returns {{output: Float32Array, losses: Float32Array, hits: Float32Array}} the model's outputs; the others are sums for each batch
   */
  evaluateRows(inputs, targets, rows, targetRows, batchSize) {
    const source = inputs.source(rows);
    const begun = performance.now();
    try {
      const results = this.program.runAll('evaluate', [
        ...this.state.slice(0, this.description.weights.length),
        source.x,
        targets,
        int32(source.rows),
        int32(targetRows),
        this.numbers,
        scalar(batchSize),
      ]);
      const [output, losses, hits] = results.map(takeValues);
      this.batchMilliseconds = (performance.now() - begun) / Math.ceil(rows.length / batchSize);
      return { output, losses, hits };
    } finally {
      source.dispose();
    }
  }

  /** @returns {{weights: NDArray[], optimizer: NDArray[], step: number}} all that a later trainer needs to go on as this one would */
  savedState() {
    const slots = this.state.slice(this.description.weights.length);
    return { weights: this.weights(), optimizer: slots.map((tensor) => NDArray.fromTensor(tensor)), step: this.step };
  }

  /** @param {{weights: NDArray[], optimizer: NDArray[], step: number}} state */
  restore({ weights, optimizer, step }) {
    if (optimizer.length !== this.description.slots.length) {
      throw new RangeError(`The state has ${optimizer.length} optimizer slots, this trainer has ${this.description.slots.length}`);
    }
    this.replace([...weights, ...optimizer], 0);
    this.step = step;
  }

  /** @returns {NDArray[]} in the program's order */
  weights() {
    return this.state.slice(0, this.description.weights.length).map((tensor) => NDArray.fromTensor(tensor));
  }

  /** @param {NDArray[]} values in the program's order */
  setWeights(values) {
    this.replace(values, 0);
  }

  dispose() {
    for (const tensor of this.state) tensor.dispose();
    this.state = [];
    this.program.dispose();
  }

  /**
   * @param {Epoch} epoch
   * @param {number} first
   * @param {number} steps
   * @returns {{losses: Float32Array, hits: Float32Array}} of each step
   * @throws {DivergenceError} where a loss is no number; the state is then the one before that step
   */
  runSteps(epoch, first, steps) {
    const { losses, hits, state } = this.call(epoch, first, steps);
    const bad = losses.findIndex((loss) => !Number.isFinite(loss));
    if (bad < 0) {
      this.take(state, steps);
      return { losses, hits };
    }
    for (const tensor of state) tensor.dispose();
    if (bad > 0) this.take(this.call(epoch, first, bad).state, bad);
    throw new DivergenceError(losses[bad], this.step + 1);
  }

  /**
   * @param {Epoch} epoch
   * @param {number} first
   * @param {number} steps
   * @returns {{losses: Float32Array, hits: Float32Array, state: Tensor[]}} the state that comes after, the caller's to dispose
   */
  call({ inputs, targets, rows, targetRows, batchSize, sampleWeights, rates, mixing }, first, steps) {
    const [start, stop] = [first * batchSize, Math.min((first + steps) * batchSize, rows.length)];
    const source = inputs.source(slice(rows, start, stop));
    const begun = performance.now();
    try {
      const outputs = this.program.runAll('steps', [
        ...this.state,
        source.x,
        targets,
        int32(source.rows),
        int32(slice(targetRows, start, stop)),
        float32(sampleWeights ? sampleWeights.slice(start, stop) : new Float32Array(stop - start).fill(1)),
        float32(rates.slice(first, first + steps)),
        float32(mixing.slice(first, first + steps)),
        this.numbers,
        scalar(this.seed),
        scalar(this.step),
        scalar(batchSize),
      ]);
      const [losses, hits] = outputs.splice(-2).map(takeValues);
      this.stepMilliseconds = (performance.now() - begun) / steps;
      return { losses, hits, state: outputs };
    } finally {
      source.dispose();
    }
  }

  /**
   * @param {Tensor[]} state as the program gives it
   * @param {number} steps
   */
  take(state, steps) {
    state.forEach((tensor, i) => {
      const position = this.description.updated[i];
      this.state[position].dispose();
      this.state[position] = tensor;
    });
    this.step += steps;
  }

  /**
   * @param {NDArray[]} values
   * @param {number} first position in the state
   */
  replace(values, first) {
    const { inputs } = this.description.signatures.steps;
    const tensors = values.map((value, i) => this.program.tensor(value, inputs[first + i]));
    tensors.forEach((tensor, i) => {
      this.state[first + i].dispose();
      this.state[first + i] = tensor;
    });
  }

  /**
   * @param {{loss: number, correct: number, examples: number}} sums
   * @returns {Logs}
   */
  logs({ loss, correct, examples }) {
    const mean = { loss: loss / examples };
    return this.description.accuracy ? { ...mean, accuracy: correct / examples } : mean;
  }
}

/**
 * @param {Examples['inputs']} inputs
 * @param {number} batchSize
 * @param {number} milliseconds that a batch took lately
 * @returns {number} how many batches the next call shall take
 */
function callLength(inputs, batchSize, milliseconds) {
  const fitting = inputs.isWhole() ? Infinity : Math.floor(ROWS_BYTES / (4 * inputs.size * batchSize));
  return Math.max(1, Math.min(fitting, Math.floor(CALL_MILLISECONDS / milliseconds)));
}

/**
 * @param {ArrayLike<number>} values
 * @param {number} start
 * @param {number} stop where it is beyond the end, the end
 * @returns {Int32Array}
 */
function slice(values, start, stop) {
  const part = new Int32Array(Math.max(Math.min(stop, values.length) - start, 0));
  for (let i = 0; i < part.length; i++) part[i] = values[start + i];
  return part;
}

/**
 * @param {Tensor} tensor disposed of
 * @returns {Float32Array}
 */
function takeValues(tensor) {
  const values = /** @type {Float32Array} */ (tensor.dataSync());
  tensor.dispose();
  return values;
}

/**
 * @param {Int32Array} values
 * @returns {NDArray}
 */
function int32(values) {
  return new NDArray('int32', [values.length], values);
}

/**
 * @param {Float32Array} values
 * @returns {NDArray}
 */
function float32(values) {
  return new NDArray('float32', [values.length], values);
}

/**
 * @param {number} value
 * @returns {NDArray}
 */
function scalar(value) {
  return new NDArray('int32', [], Int32Array.of(value));
}

/**
 * @param {number[]} shape
 * @returns {number}
 */
function product(shape) {
  return shape.reduce((total, size) => total * size, 1);
}

module.exports = { CompiledTrainer };
