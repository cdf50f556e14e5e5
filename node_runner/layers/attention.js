'use strict';

const { activation } = require('./activation_functions');
const { einsum } = require('./einsum');
const { layerBase, positive, range, repeated } = require('./support');

// What Keras writes where nothing may be seen, before the softmax: in ops.dot_product_attention (-0.7 times the largest float32)
// and in layers.Softmax.
const HIDDEN_IN_PRODUCT = -0.7 * 3.4028234663852886e38;
const HIDDEN_IN_SOFTMAX = -1e9;

/** @param {any} tf */
function create(tf) {
  const PybridgeLayer = layerBase(tf);

  /** Projections of query, key and value, attention, and a projection of what it finds. */
  class ManyHeads extends PybridgeLayer {
    /** @param {any} args */
    constructor(args) {
      super(args);
      const call = args.pybridgeCall ?? {};
      this.names = call.inputs ?? ['query', 'value', 'key'];
      this.causal = Boolean(call.useCausalMask);
      this.withScores = Boolean(call.returnAttentionScores);
      this.masked = call.masked ?? [];
    }

    /**
     * @param {any} shapes
     * @returns {Record<string, any>}
     */
    named(shapes) {
      const list = Array.isArray(shapes[0]) || shapes[0]?.shape ? shapes : [shapes];
      const found = Object.fromEntries(this.names.map((/** @type {string} */ name, /** @type {number} */ i) => [name, list[i]]));
      return { ...found, value: found.value ?? found.query, key: found.key ?? found.value ?? found.query };
    }

    /** @param {any} inputShape */
    build(inputShape) {
      const { query, key, value } = this.named(inputShape);
      const { heads, keyHeads, keySize, valueSize } = this.sizes();
      const [queryDim, keyDim, valueDim] = [query, key, value].map((shape) => shape[shape.length - 1]);
      /** @type {Record<string, any>} */
      this.projections = {
        query: this.projection('query', queryDim, heads, keySize),
        key: this.projection('key', keyDim, keyHeads, keySize),
        value: this.projection('value', valueDim, keyHeads, valueSize),
      };
      if (this.settings.useGate) this.gate = this.projection('gate', queryDim, heads, valueSize);
      const output = repeated(this.settings.outputShape ?? queryDim, 1);
      this.outputKernel = this.weight('attention_output/kernel', [heads, valueSize, ...output], { kind: 'kernel' });
      if (this.settings.useBias ?? true) this.outputBias = this.weight('attention_output/bias', output, { kind: 'bias' });
      super.build(inputShape);
    }

    /**
     * @param {any} inputs
     * @param {any} mask
     */
    computeMask(inputs, mask) {
      const own = super.computeMask(inputs, mask);
      return this.withScores ? [own, null] : own;
    }

    /**
     * @param {string} name
     * @param {number} channels
     * @param {number} heads
     * @param {number} size
     */
    projection(name, channels, heads, size) {
      const kernel = this.weight(`${name}/kernel`, [channels, heads, size], { kind: 'kernel' });
      const bias = (this.settings.useBias ?? true) ? this.weight(`${name}/bias`, [heads, size], { kind: 'bias' }) : null;
      return { kernel, bias };
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      const { query, value } = this.named(inputShape);
      const output = [...query.slice(0, -1), ...repeated(this.settings.outputShape ?? query[query.length - 1], 1)];
      if (!this.withScores) return output;
      const axes = this.attentionAxes(query.length);
      const others = range(query.length - 1).filter((axis) => !axes.includes(axis));
      const scores = [...others.map((axis) => query[axis]), this.sizes().heads, ...axes.map((axis) => query[axis]), ...axes.map((axis) => value[axis])];
      return [output, scores];
    }

    /**
     * @param {any[]} inputs
     * @param {any} kwargs
     */
    forward(inputs, { mask, training }) {
      const given = this.named(inputs);
      const { heads, keyHeads, keySize, valueSize } = this.sizes();
      const axes = this.attentionAxes(given.query.rank);
      const rank = given.query.rank;
      const others = range(rank - 1).filter((axis) => !axes.includes(axis));
      const [query, key, value] = ['query', 'key', 'value'].map((name) => project(given[name], /** @type {any} */ (this.projections)[name]));
      // (...others, heads, positions, size)
      const order = [...others, rank - 1, ...axes, rank];
      const flat = (/** @type {any} */ x) => {
        const y = tf.transpose(x, order);
        const positions = axes.reduce((total, axis) => total * x.shape[axis], 1);
        return tf.reshape(y, [...y.shape.slice(0, others.length + 1), positions, y.shape[y.rank - 1]]);
      };
      const spread = (/** @type {any} */ x) => (heads === keyHeads ? x : repeatHeads(x, heads / keyHeads));
      const [q, k, v] = [flat(query), spread(flat(key)), spread(flat(value))];
      const allowed = this.allowed(given, axes, mask);
      const plain = (this.settings.dropout ?? 0) === 0 && !this.withScores && rank === 3;
      let scores = plain
        ? tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(keySize))
        : tf.matMul(tf.mul(q, 1 / Math.sqrt(keySize)), k, false, true);
      if (allowed) scores = tf.where(allowed, scores, tf.fill(scores.shape, plain ? HIDDEN_IN_PRODUCT : HIDDEN_IN_SOFTMAX));
      let weights = tf.softmax(scores);
      if (allowed && !plain) weights = tf.where(allowed, weights, tf.zerosLike(weights));
      const dropped = training && this.settings.dropout > 0 ? tf.dropout(weights, this.settings.dropout) : weights;
      const found = tf.matMul(dropped, v);
      const unflat = tf.reshape(found, [...found.shape.slice(0, others.length + 1), ...axes.map((axis) => query.shape[axis]), valueSize]);
      const back = order.map((_, axis) => order.indexOf(axis));
      let context = tf.transpose(unflat, back);
      if (this.gate) context = tf.mul(context, tf.sigmoid(project(given.query, this.gate)));
      const output = this.joined(context);
      if (!this.withScores) return output;
      const sizes = axes.map((axis) => query.shape[axis]);
      const keys = axes.map((axis) => key.shape[axis]);
      return [output, tf.reshape(weights, [...weights.shape.slice(0, others.length + 1), ...sizes, ...keys])];
    }

    /** @param {any} context of shape (..., heads, size) */
    joined(context) {
      const kernel = this.outputKernel.read();
      const outer = kernel.shape.slice(2);
      const size = kernel.shape[0] * kernel.shape[1];
      const rows = tf.reshape(context, [-1, size]);
      const y = tf.reshape(tf.matMul(rows, tf.reshape(kernel, [size, -1])), [...context.shape.slice(0, -2), ...outer]);
      return this.outputBias ? tf.add(y, this.outputBias.read()) : y;
    }

    /**
     * @param {Record<string, any>} given
     * @param {number[]} axes
     * @param {any} mask of the query
     * @returns {any} which scores count, of a shape that broadcasts to that of the scores; null where all do
     */
    allowed(given, axes, mask) {
      const [length, count] = [given.query.shape[1], given.value.shape[1]];
      const parts = [];
      if (mask && this.masked.includes('query')) parts.push(tf.expandDims(tf.cast(mask, 'bool'), 2));
      if (mask && this.masked.includes('value')) parts.push(tf.expandDims(tf.cast(mask, 'bool'), 1));
      if (this.causal) parts.push(tf.expandDims(tf.greaterEqual(tf.expandDims(tf.range(0, length), 1), tf.expandDims(tf.range(0, count), 0)), 0));
      if (this.settings.slidingWindow) {
        const distance = tf.abs(tf.sub(tf.expandDims(tf.range(0, length), 1), tf.expandDims(tf.range(0, count), 0)));
        parts.push(tf.expandDims(tf.less(distance, this.settings.slidingWindow), 0));
      }
      if (given.attentionMask) parts.push(tf.cast(given.attentionMask, 'bool'));
      if (!parts.length) return null;
      const rank = Math.max(...parts.map((part) => part.rank));
      const joined = parts.map((part) => lift(part, rank, axes.length)).reduce((a, b) => tf.logicalAnd(a, b));
      const total = given.query.rank - 1 - axes.length + 1 + 2 * axes.length;
      const lifted = lift(joined, total, axes.length);
      const positions = lifted.shape.slice(total - 2 * axes.length);
      const [rows, columns] = [positions.slice(0, axes.length), positions.slice(axes.length)];
      const times = (/** @type {number[]} */ sizes) => sizes.reduce((a, b) => a * b, 1);
      return tf.reshape(lifted, [...lifted.shape.slice(0, total - 2 * axes.length), times(rows), times(columns)]);
    }

    /** @param {number} rank */
    attentionAxes(rank) {
      const axes = this.settings.attentionAxes;
      return axes ? repeated(axes, 1).map((axis) => positive(axis, rank)) : range(rank - 2).map((axis) => axis + 1);
    }
  }

  class PybridgeMultiHeadAttention extends ManyHeads {
    static className = 'PybridgeMultiHeadAttention';

    sizes() {
      const { numHeads, keyDim, valueDim } = this.settings;
      return { heads: numHeads, keyHeads: numHeads, keySize: keyDim, valueSize: valueDim ?? keyDim };
    }
  }

  class PybridgeGroupQueryAttention extends ManyHeads {
    static className = 'PybridgeGroupQueryAttention';

    sizes() {
      const { headDim, numQueryHeads, numKeyValueHeads } = this.settings;
      return { heads: numQueryHeads, keyHeads: numKeyValueHeads, keySize: headDim, valueSize: headDim };
    }
  }

  class PybridgeAttention extends PybridgeLayer {
    static className = 'PybridgeAttention';

    /** @param {any} inputShape */
    build(inputShape) {
      if (this.settings.useScale) this.scale = this.weight('scale', this.scaleShape(inputShape));
      if (this.settings.scoreMode === 'concat') this.concatWeight = this.weight('concat_score_weight', []);
      super.build(inputShape);
    }

    /** @param {any} _inputShape */
    scaleShape(_inputShape) {
      return /** @type {number[]} */ ([]);
    }

    /** @param {any} shapes */
    computeOutputShape(shapes) {
      const output = [...shapes[0].slice(0, -1), shapes[1][shapes[1].length - 1]];
      const { returnAttentionScores } = this.settings.pybridgeCall ?? {};
      return returnAttentionScores ? [output, [shapes[0][0], shapes[0][1], shapes[1][1]]] : output;
    }

    /**
     * @param {any} inputs
     * @param {any} mask
     */
    computeMask(inputs, mask) {
      const own = super.computeMask(inputs, mask);
      return this.settings.pybridgeCall?.returnAttentionScores ? [own, null] : own;
    }

    /**
     * @param {any} query
     * @param {any} key
     */
    scores(query, key) {
      if (this.settings.scoreMode === 'concat') {
        const both = tf.add(tf.expandDims(query, 2), tf.expandDims(key, 1));
        return tf.mul(this.concatWeight.read(), tf.sum(tf.tanh(this.scale ? tf.mul(this.scale.read(), both) : both), -1));
      }
      const scores = tf.matMul(query, key, false, true);
      return this.scale ? tf.mul(scores, this.scale.read()) : scores;
    }

    /**
     * @param {any[]} inputs
     * @param {any} kwargs
     */
    forward([query, value, key = value], { mask, training }) {
      const { useCausalMask, returnAttentionScores, masked = [] } = this.settings.pybridgeCall ?? {};
      let scores = this.scores(query, key);
      const parts = [];
      if (mask && masked.includes('value')) parts.push(tf.expandDims(tf.cast(mask, 'bool'), 1));
      if (useCausalMask) {
        const [rows, columns] = scores.shape.slice(1);
        parts.push(tf.expandDims(tf.greaterEqual(tf.expandDims(tf.range(0, rows), 1), tf.expandDims(tf.range(0, columns), 0)), 0));
      }
      for (const part of parts) scores = tf.where(part, scores, tf.sub(scores, 1e9));
      const weights = tf.softmax(scores);
      const dropped = training && this.settings.dropout > 0 ? tf.dropout(weights, this.settings.dropout) : weights;
      let output = tf.matMul(dropped, value);
      if (mask && masked.includes('query')) output = tf.mul(output, tf.expandDims(tf.cast(mask, 'float32'), 2));
      return returnAttentionScores ? [output, weights] : output;
    }
  }

  class PybridgeAdditiveAttention extends PybridgeAttention {
    static className = 'PybridgeAdditiveAttention';

    /** @param {any} inputShape */
    scaleShape(inputShape) {
      const [query] = inputShape;
      return [query[query.length - 1]];
    }

    /**
     * @param {any} query
     * @param {any} key
     */
    scores(query, key) {
      const both = tf.tanh(tf.add(tf.expandDims(query, 2), tf.expandDims(key, 1)));
      return tf.sum(this.scale ? tf.mul(both, this.scale.read()) : both, -1);
    }
  }

  /**
   * @param {any} x
   * @param {any} projection
   */
  function project(x, { kernel, bias }) {
    const weights = kernel.read();
    const [channels, heads, size] = weights.shape;
    const rows = tf.matMul(tf.reshape(x, [-1, channels]), tf.reshape(weights, [channels, heads * size]));
    const y = tf.reshape(rows, [...x.shape.slice(0, -1), heads, size]);
    return bias ? tf.add(y, bias.read()) : y;
  }

  /**
   * @param {any} x of shape (batch, heads, positions, size)
   * @param {number} times
   */
  function repeatHeads(x, times) {
    const [batch, heads, positions, size] = x.shape;
    const repeatedHeads = tf.tile(tf.reshape(x, [batch * heads, 1, positions * size]), [1, times, 1]);
    return tf.reshape(repeatedHeads, [batch, heads * times, positions, size]);
  }

  /**
   * Axes of size 1 before those of the positions, as Keras puts the heads there.
   *
   * @param {any} mask
   * @param {number} rank
   * @param {number} count of attention axes
   */
  function lift(mask, rank, count) {
    let lifted = mask;
    while (lifted.rank < rank) lifted = tf.expandDims(lifted, lifted.rank - 2 * count);
    return lifted;
  }

  class PybridgeEinsumDense extends PybridgeLayer {
    static className = 'PybridgeEinsumDense';

    /** @param {any} args */
    constructor(args) {
      super(args);
      // Upper case would not survive a save by TensorFlow.js.
      this.supportsMasking = false;
      const call = args.pybridgeCall;
      this.kernelShape = call.kernelShape;
      this.biasShape = call.biasShape;
      this.resultShape = call.outputShape;
    }

    /** @param {any} inputShape */
    build(inputShape) {
      this.kernel = this.weight('kernel', this.kernelShape);
      if (this.biasShape) this.bias = this.weight('bias', this.biasShape);
      super.build(inputShape);
    }

    computeOutputShape() {
      return this.resultShape;
    }

    /** @param {any[]} inputs */
    forward([x]) {
      const y = einsum(tf, this.settings.equation, [x, this.kernel.read()]);
      return activation(this.settings.activation)(tf, this.bias ? tf.add(y, this.bias.read()) : y);
    }
  }

  return [PybridgeMultiHeadAttention, PybridgeGroupQueryAttention, PybridgeAttention, PybridgeAdditiveAttention, PybridgeEinsumDense];
}

module.exports = create;
