'use strict';

const { convLstmCell, gruCell, lstmCell, simpleCell } = require('./recurrent_steps');
const { layerBase, range } = require('./support');

/** @param {any} tf */
function create(tf) {
  /** A recurrent layer; its inputs are the sequence and, where the model gives them, the initial states. */
  class Recurrent extends layerBase(tf) {
    /** @param {any} args */
    constructor(args) {
      super(args);
      this.returnSequences = Boolean(args.returnSequences);
      this.returnState = Boolean(args.returnState);
      this.goBackwards = Boolean(args.goBackwards);
      this._stateful = Boolean(args.stateful);
      this.dataFormat = args.dataFormat ?? 'channelsLast';
      const { makeCell, rank } = /** @type {any} */ (this.constructor);
      this.cell = makeCell(tf, this, this.settings, rank);
      // What the Bidirectional of TensorFlow.js reads and sets.
      /** @type {any} */
      this.inputSpec = null;
      /** @type {any} */
      this.stateSpec = null;
      /** @type {any[] | null} */
      this.keptStates = null;
    }

    // The Bidirectional of TensorFlow.js counts them before there are any.
    get states() {
      return this.keptStates ?? this.cell.sizes(this.stepShape([1, 1, 1, 1, 1])).map(() => null);
    }

    /** @param {any} inputShape */
    stepShape(inputShape) {
      const [shape] = Array.isArray(inputShape[0]) ? inputShape : [inputShape];
      const step = [shape[0], ...shape.slice(2)];
      return this.dataFormat === 'channelsFirst' ? [step[0], ...step.slice(2), step[1]] : step;
    }

    /** @param {any} inputShape */
    build(inputShape) {
      this.cell.build(this.stepShape(inputShape));
      super.build(inputShape);
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      const [shape] = Array.isArray(inputShape[0]) ? inputShape : [inputShape];
      const states = this.cell.sizes(this.stepShape(inputShape)).map((/** @type {number[]} */ size) => this.placed([shape[0], ...size]));
      // A copy: the Bidirectional of TensorFlow.js doubles the last size of what it is given in place.
      const output = this.returnSequences ? [shape[0], shape[1], ...states[0].slice(1)] : [...states[0]];
      return this.returnState ? [output, ...states] : output;
    }

    /** @param {any} shape with the channels last */
    placed(shape) {
      if (this.dataFormat !== 'channelsFirst') return shape;
      return [shape[0], shape[shape.length - 1], ...shape.slice(1, -1)];
    }

    /**
     * @param {any} inputs
     * @param {any} mask
     */
    computeMask(inputs, mask) {
      const own = this.returnSequences ? super.computeMask(inputs, mask) : null;
      return this.returnState ? [own, ...this.cell.sizes(this.stepShape([1, 1, 1, 1, 1])).map(() => null)] : own;
    }

    /**
     * @param {any[]} inputs
     * @param {any} kwargs
     */
    forward([sequence, ...given], { mask, training, initialState }) {
      const channelsLast = sequence.rank > 3 && this.dataFormat === 'channelsFirst' ? tf.transpose(sequence, [0, 1, ...range(sequence.rank - 3).map((i) => i + 3), 2]) : sequence;
      // Copies: the gradient of unstack reads the list that unstack returned, in its order.
      const steps = [...tf.unstack(channelsLast, 1)];
      const masks = mask ? [...tf.unstack(tf.cast(mask, 'float32'), 1)] : null;
      if (this.goBackwards) {
        steps.reverse();
        masks?.reverse();
      }
      const batch = sequence.shape[0];
      const sizes = this.cell.sizes(steps[0].shape);
      const start = given.length ? given : Array.isArray(initialState) && initialState.length === sizes.length ? initialState : null;
      let states = start ? start.map((/** @type {any} */ state) => this.inside(state)) : this.kept(batch, sizes);
      const noise = training ? this.noise(steps[0], states[0]) : { input: null, recurrent: null };
      let output = tf.zerosLike(states[0]);
      const outputs = [];
      for (const [t, x] of steps.entries()) {
        const [next, nextStates] = this.cell.step(x, states, noise);
        if (masks) {
          const keep = (/** @type {any} */ fresh, /** @type {any} */ old) => blend(masks[t], fresh, old);
          output = keep(next, this.settings.zeroOutputForMask ? tf.zerosLike(next) : output);
          states = nextStates.map((/** @type {any} */ state, /** @type {number} */ i) => keep(state, states[i]));
        } else {
          output = next;
          states = nextStates;
        }
        if (this.returnSequences) outputs.push(output);
      }
      if (this.stateful) this.keepStates(states);
      const result = this.outside(this.returnSequences ? tf.stack(outputs, 1) : output, this.returnSequences);
      return this.returnState ? [result, ...states.map((/** @type {any} */ state) => this.outside(state, false))] : result;
    }

    /** @param {any} state */
    inside(state) {
      if (this.dataFormat !== 'channelsFirst' || state.rank < 3) return state;
      return tf.transpose(state, [0, ...range(state.rank - 2).map((i) => i + 2), 1]);
    }

    /**
     * @param {any} x
     * @param {boolean} sequence
     */
    outside(x, sequence) {
      if (this.dataFormat !== 'channelsFirst') return x;
      const first = sequence ? [0, 1] : [0];
      const spatial = range(x.rank - first.length - 1).map((i) => i + first.length);
      return tf.transpose(x, [...first, x.rank - 1, ...spatial]);
    }

    /**
     * @param {number} batch
     * @param {number[][]} sizes
     */
    kept(batch, sizes) {
      if (this.stateful && this.keptStates) return this.keptStates;
      return sizes.map((size) => tf.zeros([batch, ...size]));
    }

    /** @param {any[]} states */
    keepStates(states) {
      const old = this.keptStates;
      this.keptStates = states.map((state) => tf.keep(state.clone()));
      if (old) tf.dispose(old);
    }

    resetStates() {
      if (this.keptStates) tf.dispose(this.keptStates);
      this.keptStates = null;
    }

    /**
     * @param {any} x
     * @param {any} h
     */
    noise(x, h) {
      const { dropout = 0, recurrentDropout = 0 } = this.settings;
      return {
        input: dropout > 0 ? tf.dropout(tf.onesLike(x), dropout) : null,
        recurrent: recurrentDropout > 0 ? tf.dropout(tf.onesLike(h), recurrentDropout) : null,
      };
    }
  }

  /**
   * @param {any} mask of shape (batch,)
   * @param {any} fresh
   * @param {any} old
   */
  function blend(mask, fresh, old) {
    const weights = tf.reshape(mask, [mask.shape[0], ...Array(fresh.rank - 1).fill(1)]);
    return tf.add(tf.mul(fresh, weights), tf.mul(old, tf.sub(1, weights)));
  }

  return [
    concrete(Recurrent, 'PybridgeSimpleRNN', simpleCell, 0),
    concrete(Recurrent, 'PybridgeGRU', gruCell, 0),
    concrete(Recurrent, 'PybridgeLSTM', lstmCell, 0),
    concrete(Recurrent, 'PybridgeConvLSTM1D', convLstmCell, 1),
    concrete(Recurrent, 'PybridgeConvLSTM2D', convLstmCell, 2),
    concrete(Recurrent, 'PybridgeConvLSTM3D', convLstmCell, 3),
  ];
}

/**
 * @param {any} base
 * @param {string} className
 * @param {any} makeCell
 * @param {number} rank
 */
function concrete(base, className, makeCell, rank) {
  return class extends base {
    static className = className;
    static makeCell = makeCell;
    static rank = rank;
  };
}

module.exports = create;
