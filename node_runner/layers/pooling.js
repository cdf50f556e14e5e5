'use strict';

const { layerBase, narrow, padOrCrop, range, repeated, shapeWithChannelsLast, single, withChannelsLast } = require('./support');

/** @param {any} tf */
function create(tf) {
  const PybridgeLayer = layerBase(tf);

  class Pooling extends PybridgeLayer {
    /** @param {any} args */
    constructor(args) {
      super(args);
      const { rank } = /** @type {any} */ (this.constructor);
      this.supportsMasking = false;
      this.rank = rank;
      this.dataFormat = args.dataFormat ?? 'channelsLast';
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      return shapeWithChannelsLast(single(inputShape), this.dataFormat, (shape) => this.shape(shape));
    }

    /** @param {any[]} inputs */
    forward([x]) {
      return withChannelsLast(tf, x, this.dataFormat, (y) => this.pool(y));
    }
  }

  class Windows extends Pooling {
    /** @param {any} args */
    constructor(args) {
      super(args);
      this.window = repeated(args.poolSize ?? 2, this.rank);
      this.strides = repeated(args.strides ?? this.window, this.rank);
      this.padding = args.padding ?? 'valid';
    }

    /** @param {any} shape */
    shape(shape) {
      const sizes = range(this.rank).map((i) => {
        const size = shape[i + 1];
        return size === null ? null : Math.ceil((this.padding === 'valid' ? size - this.window[i] + 1 : size) / this.strides[i]);
      });
      return [shape[0], ...sizes, shape[shape.length - 1]];
    }

    /** @param {any} x */
    pool(x) {
      const mode = /** @type {any} */ (this.constructor).mode;
      if (this.rank === 1) {
        const y = this.flat(tf.expandDims(x, 1), mode, [1, this.window[0]], [1, this.strides[0]]);
        return tf.squeeze(y, [1]);
      }
      if (this.rank === 2) return this.flat(x, mode, this.window, this.strides);
      return mode === 'average'
        ? tf.avgPool3d(x, this.window, this.strides, this.padding)
        : tf.maxPool3d(x, this.window, this.strides, this.padding);
    }

    /**
     * @param {any} x
     * @param {string} mode
     * @param {number[]} window
     * @param {number[]} strides
     */
    flat(x, mode, window, strides) {
      return mode === 'average' ? tf.avgPool(x, window, strides, this.padding) : tf.maxPool(x, window, strides, this.padding);
    }
  }

  class Global extends Pooling {
    /** @param {any} args */
    constructor(args) {
      super(args);
      // Of these, only the average over a sequence leaves out what is masked.
      this.masked = /** @type {any} */ (this.constructor).className === 'PybridgeGlobalAveragePooling1D';
      this.supportsMasking = this.masked;
    }

    computeMask() {
      return null;
    }

    /** @param {any} shape */
    shape(shape) {
      const ones = this.settings.keepdims ? range(this.rank).map(() => 1) : [];
      return [shape[0], ...ones, shape[shape.length - 1]];
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      const shape = single(inputShape);
      const channels = this.dataFormat === 'channelsFirst' ? shape[1] : shape[shape.length - 1];
      const ones = this.settings.keepdims ? range(this.rank).map(() => 1) : [];
      return this.dataFormat === 'channelsFirst' ? [shape[0], channels, ...ones] : [shape[0], ...ones, channels];
    }

    /**
     * @param {any[]} inputs
     * @param {any} [kwargs]
     */
    forward([x], { mask } = {}) {
      const axes = range(this.rank).map((i) => (this.dataFormat === 'channelsFirst' ? i + 2 : i + 1));
      const keep = Boolean(this.settings.keepdims);
      if (/** @type {any} */ (this.constructor).mode === 'max') return tf.max(x, axes, keep);
      if (!this.masked || !mask) return tf.mean(x, axes, keep);
      const weights = tf.expandDims(tf.cast(mask, 'float32'), this.dataFormat === 'channelsFirst' ? 1 : 2);
      return tf.div(tf.sum(tf.mul(x, weights), axes, keep), tf.sum(weights, axes, keep));
    }
  }

  class Adaptive extends Pooling {
    /** @param {any} shape */
    shape(shape) {
      return [shape[0], ...repeated(this.settings.outputSize, this.rank), shape[shape.length - 1]];
    }

    /** @param {any} x */
    pool(x) {
      const reduce = /** @type {any} */ (this.constructor).mode === 'average' ? tf.mean : tf.max;
      const sizes = repeated(this.settings.outputSize, this.rank);
      return sizes.reduce((/** @type {any} */ y, size, i) => {
        const length = y.shape[i + 1];
        const windows = range(size).map((k) => {
          const start = Math.floor((k * length) / size);
          return reduce(narrow(tf, y, i + 1, start, Math.ceil(((k + 1) * length) / size) - start), i + 1, true);
        });
        return tf.concat(windows, i + 1);
      }, x);
    }
  }

  class Padding extends Pooling {
    /** @returns {[number, number][]} what each spatial axis gets, negative where it loses */
    widths() {
      const { padding, cropping } = this.settings;
      const pairs = this.rank === 1 ? [padding ?? cropping] : (padding ?? cropping);
      const sign = cropping === undefined ? 1 : -1;
      return repeated(pairs, this.rank).map((/** @type {any} */ pair) => {
        const [before, after] = repeated(pair, 2);
        return [sign * before, sign * after];
      });
    }

    /** @param {any} shape */
    shape(shape) {
      const sizes = this.widths().map(([before, after], i) => (shape[i + 1] === null ? null : shape[i + 1] + before + after));
      return [shape[0], ...sizes, shape[shape.length - 1]];
    }

    /** @param {any} x */
    pool(x) {
      return padOrCrop(tf, x, [[0, 0], ...this.widths(), [0, 0]]);
    }
  }

  return [
    concrete(Windows, 'PybridgeAveragePooling1D', 1, 'average'),
    concrete(Windows, 'PybridgeAveragePooling2D', 2, 'average'),
    concrete(Windows, 'PybridgeAveragePooling3D', 3, 'average'),
    concrete(Windows, 'PybridgeMaxPooling1D', 1, 'max'),
    concrete(Windows, 'PybridgeMaxPooling2D', 2, 'max'),
    concrete(Windows, 'PybridgeMaxPooling3D', 3, 'max'),
    concrete(Global, 'PybridgeGlobalAveragePooling1D', 1, 'average'),
    concrete(Global, 'PybridgeGlobalAveragePooling2D', 2, 'average'),
    concrete(Global, 'PybridgeGlobalAveragePooling3D', 3, 'average'),
    concrete(Global, 'PybridgeGlobalMaxPooling1D', 1, 'max'),
    concrete(Global, 'PybridgeGlobalMaxPooling2D', 2, 'max'),
    concrete(Global, 'PybridgeGlobalMaxPooling3D', 3, 'max'),
    concrete(Adaptive, 'PybridgeAdaptiveAveragePooling1D', 1, 'average'),
    concrete(Adaptive, 'PybridgeAdaptiveAveragePooling2D', 2, 'average'),
    concrete(Adaptive, 'PybridgeAdaptiveAveragePooling3D', 3, 'average'),
    concrete(Adaptive, 'PybridgeAdaptiveMaxPooling1D', 1, 'max'),
    concrete(Adaptive, 'PybridgeAdaptiveMaxPooling2D', 2, 'max'),
    concrete(Adaptive, 'PybridgeAdaptiveMaxPooling3D', 3, 'max'),
    concrete(Padding, 'PybridgeZeroPadding1D', 1, ''),
    concrete(Padding, 'PybridgeZeroPadding2D', 2, ''),
    concrete(Padding, 'PybridgeZeroPadding3D', 3, ''),
    concrete(Padding, 'PybridgeCropping1D', 1, ''),
    concrete(Padding, 'PybridgeCropping2D', 2, ''),
    concrete(Padding, 'PybridgeCropping3D', 3, ''),
  ];
}

/**
 * @param {any} base
 * @param {string} className
 * @param {number} rank
 * @param {string} mode
 */
function concrete(base, className, rank, mode) {
  return class extends base {
    static className = className;
    static rank = rank;
    static mode = mode;
  };
}

module.exports = create;
