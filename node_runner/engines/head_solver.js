'use strict';

const { performance } = require('node:perf_hooks');
const { NDArray } = require('../rpc/ndarray');
const { Program } = require('./program');

/**
 * @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor
 * @typedef {import('./program').Signature} Signature
 * @typedef {{signal: AbortSignal, progress: (value: object) => void}} Context
 * @typedef {{parts: NDArray, folds: number}} Folds which part each example belongs to, of which fold it is held out; -1 for none
 * @typedef {{kind: string, classes: number, penalty: number, tolerance: number, steps: number, callSteps: number, exact: boolean}} Problem
 */

const MEMORY = 10;

/** Fits linear heads by running a graph that Python traced; features, coefficients and what L-BFGS remembers stay in TensorFlow. */
class HeadSolver {
  /**
   * @param {{folder: string, signatures: Record<string, Signature>}} program
   * @param {Tensor} features of shape [examples, channels]; the solver's from now on
   * @param {NDArray} targets int32
   * @param {NDArray} weights float32, of the examples
   */
  constructor(program, features, targets, weights) {
    this.program = new Program(program);
    this.features = features;
    this.targets = targets;
    this.weights = weights;
    /** @type {Map<string, {x: Tensor, mean: Tensor, square: number}>} */
    this.prepared = new Map();
    /** @type {Tensor | null} coefficients of shape [channels + 1, folds, classes] */
    this.coefficients = null;
  }

  /**
   * @param {string} kind `raw` or `normalized`
   * @returns {number} the mean square of the length of the centred features
   */
  prepare(kind) {
    const [x, mean, square] = this.program.runAll('prepare', [this.features, new NDArray('bool', [], Uint8Array.of(kind === 'normalized' ? 1 : 0))]);
    const value = square.dataSync()[0];
    square.dispose();
    this.forget(kind);
    this.prepared.set(kind, { x, mean, square: value });
    return value;
  }

  /** @param {string} kind whose features are not needed any more */
  forget(kind) {
    const known = this.prepared.get(kind);
    known?.x.dispose();
    known?.mean.dispose();
    this.prepared.delete(kind);
  }

  /**
   * Minimises from where the coefficients are, in calls of some steps.
   *
   * @param {Folds} folds
   * @param {Problem} problem
   * @param {Context} context
   * @returns {Promise<{logits: NDArray, loss: number, accuracy: number, iterations: number, converged: boolean, seconds: number}>}
   */
  async solve({ parts, folds }, { kind, classes, penalty, tolerance, steps, callSteps, exact }, { signal, progress }) {
    const { x } = this.get(kind);
    const shape = [/** @type {number} */ (x.shape[1]), folds, classes];
    if (this.coefficients && this.coefficients.shape.join() !== shape.join()) this.start(null);
    /** @type {(NDArray | Tensor)[]} */
    let state = [this.coefficients ?? zeros(shape), ...memory(shape)];
    this.coefficients = null;
    const begun = performance.now();
    for (let done = 0; ; ) {
      signal.throwIfAborted();
      const count = Math.min(callSteps, steps - done);
      const inputs = [x, this.targets, parts, int32(folds), this.weights, ...state, float32(penalty), float32(tolerance), int32(count)];
      const results = this.program.runAll(exact ? 'refine' : 'solve', inputs);
      dispose(state);
      state = results.slice(0, 4);
      done += count;
      const [logits, loss, accuracy, converged] = results.slice(4);
      if (converged.dataSync()[0] || done >= steps) {
        this.coefficients = /** @type {Tensor} */ (state[0]);
        dispose(state.slice(1));
        const answer = {
          logits: NDArray.fromTensor(logits),
          loss: loss.dataSync()[0],
          accuracy: accuracy.dataSync()[0],
          iterations: done,
          converged: Boolean(converged.dataSync()[0]),
          seconds: (performance.now() - begun) / 1000,
        };
        dispose([logits, loss, accuracy, converged]);
        return answer;
      }
      dispose([logits, loss, accuracy, converged]);
      progress({ iterations: done });
      await new Promise(setImmediate);
    }
  }

  /**
   * @param {Folds} folds
   * @param {{kind: string, classes: number}} problem
   * @returns {NDArray} held-out logits of shape [examples, classes]
   */
  discriminate({ parts, folds }, { kind, classes }) {
    const inputs = [this.get(kind).x, this.targets, parts, int32(folds), this.weights, int32(classes)];
    const [coefficients, logits] = this.program.runAll('discriminate', inputs);
    this.start(coefficients);
    const answer = NDArray.fromTensor(logits);
    logits.dispose();
    return answer;
  }

  /** @param {Tensor | null} coefficients to go on from; null for zeros */
  start(coefficients) {
    this.coefficients?.dispose();
    this.coefficients = coefficients;
  }

  /**
   * @param {string} kind of the features
   * @param {number} scale of the logits
   * @returns {{kernel: NDArray, bias: NDArray}} of the first fold, for features that are not centred
   */
  result(kind, scale) {
    if (!this.coefficients) throw new Error('There is no head yet');
    const results = this.program.runAll('weights', [this.coefficients, this.get(kind).mean, float32(scale)]);
    const [kernel, bias] = results.map((tensor) => NDArray.fromTensor(tensor));
    dispose(results);
    return { kernel, bias };
  }

  /**
   * @param {string} kind
   * @returns {{x: Tensor, mean: Tensor, square: number}}
   */
  get(kind) {
    const known = this.prepared.get(kind);
    if (!known) throw new RangeError(`The features ${kind} were not prepared`);
    return known;
  }

  dispose() {
    this.start(null);
    for (const kind of [...this.prepared.keys()]) this.forget(kind);
    this.features.dispose();
    this.program.dispose();
  }
}

/**
 * @param {number[]} shape of the coefficients
 * @returns {NDArray[]} of L-BFGS, which remembers nothing yet
 */
function memory(shape) {
  return [zeros([MEMORY, ...shape]), zeros([MEMORY, ...shape]), zeros([MEMORY, shape[1]])];
}

/**
 * @param {number[]} shape
 * @returns {NDArray}
 */
function zeros(shape) {
  return new NDArray('float32', shape, new Float32Array(shape.reduce((product, size) => product * size, 1)));
}

/** @param {(NDArray | Tensor)[]} values */
function dispose(values) {
  for (const value of values) if (!(value instanceof NDArray)) value.dispose();
}

/**
 * @param {number} value
 * @returns {NDArray}
 */
function int32(value) {
  return new NDArray('int32', [], Int32Array.of(value));
}

/**
 * @param {number} value
 * @returns {NDArray}
 */
function float32(value) {
  return new NDArray('float32', [], Float32Array.of(value));
}

module.exports = { HeadSolver };
