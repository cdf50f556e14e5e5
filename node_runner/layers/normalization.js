'use strict';

const { layerBase, positive, range, single } = require('./support');
const { wrapped } = require('./wrapped');

/** @param {any} tf */
function create(tf) {
  const PybridgeLayer = layerBase(tf);

  class PybridgeGroupNormalization extends PybridgeLayer {
    static className = 'PybridgeGroupNormalization';

    /** @param {any} inputShape */
    build(inputShape) {
      const shape = single(inputShape);
      /** @type {any} */
      this.axis = positive(this.settings.axis ?? -1, shape.length);
      const size = shape[this.axis];
      this.groups = this.settings.groups === -1 ? size : (this.settings.groups ?? 32);
      if (this.settings.scale ?? true) this.gamma = this.weight('gamma', [size]);
      if (this.settings.center ?? true) this.beta = this.weight('beta', [size]);
      super.build(inputShape);
    }

    /** @param {any[]} inputs */
    forward([x]) {
      const shape = [...x.shape.slice(0, this.axis), this.groups, x.shape[this.axis] / this.groups, ...x.shape.slice(this.axis + 1)];
      const grouped = tf.reshape(x, shape);
      const axes = range(shape.length).filter((axis) => axis !== 0 && axis !== this.axis);
      const { mean, variance } = tf.moments(grouped, axes, true);
      const normal = tf.mul(tf.sub(grouped, mean), tf.rsqrt(tf.add(variance, this.settings.epsilon ?? 1e-3)));
      const weightShape = x.shape.map((/** @type {number} */ size, /** @type {number} */ axis) => (axis === this.axis ? size : 1));
      return affine(tf.reshape(normal, x.shape), this.gamma, this.beta, weightShape);
    }
  }

  class PybridgeLayerNormalization extends PybridgeLayer {
    static className = 'PybridgeLayerNormalization';

    /** @param {any} inputShape */
    build(inputShape) {
      const shape = single(inputShape);
      /** @type {any} */
      this.axes = [this.settings.axis ?? -1].flat().map((axis) => positive(axis, shape.length));
      const sizes = this.axes.map((/** @type {number} */ axis) => shape[axis]);
      const { scale = true, center = true, rmsScaling = false } = this.settings;
      if (scale || rmsScaling) this.gamma = this.weight('gamma', sizes);
      if (center && !rmsScaling) this.beta = this.weight('beta', sizes);
      super.build(inputShape);
    }

    /** @param {any[]} inputs */
    forward([x]) {
      const { epsilon = 1e-3, rmsScaling = false } = this.settings;
      const { mean, variance } = tf.moments(x, this.axes, true);
      const inverse = tf.rsqrt(tf.add(variance, epsilon));
      const weightShape = x.shape.map((/** @type {number} */ size, /** @type {number} */ axis) => (this.axes.includes(axis) ? size : 1));
      return affine(tf.mul(rmsScaling ? x : tf.sub(x, mean), inverse), this.gamma, this.beta, weightShape);
    }
  }

  class PybridgeRMSNormalization extends PybridgeLayer {
    static className = 'PybridgeRMSNormalization';

    /** @param {any} inputShape */
    build(inputShape) {
      const shape = single(inputShape);
      /** @type {any} */
      this.axes = [this.settings.axis ?? -1].flat().map((axis) => positive(axis, shape.length));
      this.scale = this.weight('scale', this.axes.map((/** @type {number} */ axis) => shape[axis]));
      super.build(inputShape);
    }

    /** @param {any[]} inputs */
    forward([x]) {
      const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(x), this.axes, true), this.settings.epsilon ?? 1e-6));
      const weightShape = x.shape.map((/** @type {number} */ size, /** @type {number} */ axis) => (this.axes.includes(axis) ? size : 1));
      return affine(tf.mul(x, inverse), this.scale, null, weightShape);
    }
  }

  class PybridgeBatchNormalization extends PybridgeLayer {
    static className = 'PybridgeBatchNormalization';

    /** @param {any} inputShape */
    build(inputShape) {
      const shape = single(inputShape);
      /** @type {any} */
      this.axis = positive(this.settings.axis ?? -1, shape.length);
      const size = [shape[this.axis]];
      if (this.settings.scale ?? true) this.gamma = this.weight('gamma', size);
      if (this.settings.center ?? true) this.beta = this.weight('beta', size);
      this.movingMean = this.weight('moving_mean', size, { trainable: false });
      this.movingVariance = this.weight('moving_variance', size, { trainable: false });
      super.build(inputShape);
    }

    /**
     * @param {any[]} inputs
     * @param {any} kwargs
     */
    forward([x], { training, mask }) {
      const moves = training && this.trainable;
      if (!moves && this.axis === x.rank - 1 && x.rank <= 4) {
        const { epsilon = 1e-3 } = this.settings;
        return tf.batchNorm(x, this.movingMean.read(), this.movingVariance.read(), this.beta?.read(), this.gamma?.read(), epsilon);
      }
      const weightShape = x.shape.map((/** @type {number} */ size, /** @type {number} */ axis) => (axis === this.axis ? size : 1));
      let mean = tf.reshape(this.movingMean.read(), weightShape);
      let variance = tf.reshape(this.movingVariance.read(), weightShape);
      if (moves) {
        const axes = range(x.rank).filter((axis) => axis !== this.axis);
        ({ mean, variance } = this.statistics(x, axes, mask));
        this.follow(this.movingMean, mean);
        this.follow(this.movingVariance, variance);
      }
      const inverse = tf.rsqrt(tf.add(variance, this.settings.epsilon ?? 1e-3));
      return affine(tf.mul(tf.sub(x, mean), inverse), this.gamma, this.beta, weightShape);
    }

    /**
     * @param {any} x
     * @param {number[]} axes
     * @param {any} mask of the first axes of `x`, or none
     */
    statistics(x, axes, mask) {
      if (!mask) return tf.moments(x, axes, true);
      const shape = [...mask.shape, ...Array(x.rank - mask.rank).fill(1)];
      const weights = tf.mul(tf.reshape(tf.cast(mask, 'float32'), shape), tf.onesLike(x));
      const count = tf.add(tf.sum(weights, axes, true), this.settings.epsilon ?? 1e-3);
      const mean = tf.div(tf.sum(tf.mul(x, weights), axes, true), count);
      return { mean, variance: tf.div(tf.sum(tf.mul(weights, tf.square(tf.sub(x, mean))), axes, true), count) };
    }

    /**
     * @param {any} statistic
     * @param {any} value
     */
    follow(statistic, value) {
      const { momentum = 0.99 } = this.settings;
      const flat = tf.reshape(value, statistic.shape);
      statistic.write(tf.add(tf.mul(statistic.read(), momentum), tf.mul(flat, 1 - momentum)));
    }
  }

  /** The kernel of the layer inside, divided by its largest singular value in each training step. */
  class PybridgeSpectralNormalization extends wrapped(tf) {
    static className = 'PybridgeSpectralNormalization';

    /** @param {any} inputShape */
    build(inputShape) {
      super.build(inputShape);
      this.kernel = this.layer.kernel ?? this.layer.embeddings;
      const shape = this.kernel.shape;
      this.vectorU = this.weight('vector_u', [1, shape[shape.length - 1]], { trainable: false });
    }

    /**
     * @param {any[]} inputs
     * @param {any} kwargs
     */
    forward(inputs, kwargs) {
      if (kwargs.training) this.normalize();
      return this.layer.call(inputs[0], kwargs);
    }

    normalize() {
      const kernel = this.kernel.read();
      if (tf.max(tf.abs(kernel)).dataSync()[0] === 0) return;
      const matrix = tf.reshape(kernel, [-1, kernel.shape[kernel.rank - 1]]);
      let u = this.vectorU.read();
      let v = u;
      for (let i = 0; i < (this.settings.powerIterations ?? 1); i++) {
        v = unit(tf.matMul(u, matrix, false, true));
        u = unit(tf.matMul(v, matrix));
      }
      const sigma = tf.matMul(tf.matMul(v, matrix), u, false, true);
      this.vectorU.write(u);
      this.kernel.write(tf.reshape(tf.div(kernel, sigma), kernel.shape));
    }
  }

  /**
   * @param {any} x
   * @param {any} scale
   * @param {any} shift
   * @param {number[]} shape
   */
  function affine(x, scale, shift, shape) {
    const scaled = scale ? tf.mul(x, tf.reshape(scale.read(), shape)) : x;
    return shift ? tf.add(scaled, tf.reshape(shift.read(), shape)) : scaled;
  }

  /** @param {any} vector */
  function unit(vector) {
    return tf.div(vector, tf.sqrt(tf.sum(tf.square(vector))));
  }

  return [
    PybridgeGroupNormalization,
    PybridgeLayerNormalization,
    PybridgeRMSNormalization,
    PybridgeBatchNormalization,
    PybridgeSpectralNormalization,
  ];
}

module.exports = create;
