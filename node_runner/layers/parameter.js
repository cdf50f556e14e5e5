'use strict';

const { layerBase, single } = require('./support');

/** @param {any} tf */
function create(tf) {
  const PybridgeLayer = layerBase(tf);

  /** A free weight that is added to its input, or that its input is multiplied by. */
  class PybridgeParameter extends PybridgeLayer {
    static className = 'PybridgeParameter';

    /** @param {any} inputShape */
    build(inputShape) {
      this.value = this.weight('value', this.settings.shape);
      super.build(inputShape);
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      const [given, own] = [single(inputShape), this.settings.shape];
      const rank = Math.max(given.length, own.length);
      const at = (/** @type {any[]} */ shape, /** @type {number} */ i) => shape[i - rank + shape.length] ?? (i < rank - shape.length ? 1 : null);
      return Array.from({ length: rank }, (_, i) => (at(given, i) === 1 ? at(own, i) : at(given, i)));
    }

    /** @param {any[]} inputs */
    forward([x]) {
      return this.settings.mode === 'multiply' ? tf.mul(x, this.value.read()) : tf.add(x, this.value.read());
    }
  }

  class PybridgeReversibleEmbedding extends PybridgeLayer {
    static className = 'PybridgeReversibleEmbedding';

    /** @param {any} args */
    constructor(args) {
      super(args);
      this.reverse = Boolean(args.pybridgeCall?.reverse);
      this.supportsMasking = Boolean(args.maskZero) && !this.reverse;
    }

    /** @param {any} inputShape */
    build(inputShape) {
      const { inputDim, outputDim } = this.settings;
      this.embeddings = this.weight('embeddings', [inputDim, outputDim]);
      if (!(this.settings.tieWeights ?? true)) this.reversed = this.weight('reverse_embeddings', [outputDim, inputDim]);
      super.build(inputShape);
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      const shape = single(inputShape);
      return this.reverse ? [...shape.slice(0, -1), this.settings.inputDim] : [...shape, this.settings.outputDim];
    }

    /** @param {any} inputs */
    computeMask(inputs) {
      const [x] = Array.isArray(inputs) ? inputs : [inputs];
      return this.supportsMasking ? tf.notEqual(x, 0) : null;
    }

    /** @param {any[]} inputs */
    forward([x]) {
      if (!this.reverse) return tf.gather(this.embeddings.read(), tf.cast(x, 'int32'));
      const kernel = this.reversed ? this.reversed.read() : tf.transpose(this.embeddings.read());
      const rows = tf.matMul(tf.reshape(x, [-1, x.shape[x.rank - 1]]), kernel);
      const logits = tf.reshape(rows, [...x.shape.slice(0, -1), this.settings.inputDim]);
      const cap = this.settings.logitSoftCap;
      return cap ? tf.mul(tf.tanh(tf.div(logits, cap)), cap) : logits;
    }
  }

  return [PybridgeParameter, PybridgeReversibleEmbedding];
}

module.exports = create;
