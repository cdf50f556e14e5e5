'use strict';

const { cropAndResize, padAndResize, resize } = require('./resample');
const { layerBase, narrow, positive, range, repeated, shapeWithChannelsLast, single, withChannelsLast } = require('./support');

// Layers that change pictures only while Keras trains.
const ONLY_IN_TRAINING = [
  'AugMix', 'CutMix', 'MixUp', 'RandAugment', 'RandomBrightness', 'RandomColorDegeneration', 'RandomColorJitter', 'RandomContrast',
  'RandomElasticTransform', 'RandomErasing', 'RandomFlip', 'RandomGaussianBlur', 'RandomGrayscale', 'RandomHue', 'RandomInvert',
  'RandomPerspective', 'RandomPosterization', 'RandomRotation', 'RandomSaturation', 'RandomSharpness',
  'RandomTranslation', 'RandomZoom',
];

/** @param {any} tf */
function create(tf) {
  const PybridgeLayer = layerBase(tf);

  class Picture extends PybridgeLayer {
    /** @param {any} args */
    constructor(args) {
      super(args);
      this.supportsMasking = false;
      this.dataFormat = args.dataFormat ?? 'channelsLast';
      this.size = /** @type {[number, number]} */ ([args.height, args.width]);
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      return shapeWithChannelsLast(single(inputShape), this.dataFormat, (shape) => [shape[0], ...this.sizes(shape), shape[shape.length - 1]]);
    }

    /**
     * @param {any} _shape
     * @returns {any}
     */
    sizes(_shape) {
      return this.size;
    }

    /** @param {any[]} inputs */
    forward([x]) {
      return withChannelsLast(tf, tf.cast(x, 'float32'), this.dataFormat, (y) => this.picture(y));
    }
  }

  class PybridgeResizing extends Picture {
    static className = 'PybridgeResizing';

    /** @param {any} x */
    picture(x) {
      const { interpolation = 'bilinear', antialias = false, cropToAspectRatio, padToAspectRatio, fillValue = 0 } = this.settings;
      if (cropToAspectRatio) return cropAndResize(tf, x, this.size, interpolation, antialias);
      if (padToAspectRatio) return padAndResize(tf, x, this.size, interpolation, antialias, fillValue);
      return resize(tf, x, this.size, interpolation, antialias);
    }
  }

  class PybridgeCenterCrop extends Picture {
    static className = 'PybridgeCenterCrop';

    /** @param {any} x */
    picture(x) {
      const [rows, columns] = x.shape.slice(1, 3);
      const [height, width] = this.size;
      if (rows < height || columns < width) return cropAndResize(tf, x, this.size, 'bilinear');
      return narrow(tf, narrow(tf, x, 1, Math.trunc((rows - height) / 2), height), 2, Math.trunc((columns - width) / 2), width);
    }
  }

  class UpSampling extends Picture {
    /** @param {any} args */
    constructor(args) {
      super(args);
      const { rank } = /** @type {any} */ (this.constructor);
      this.factors = repeated(args.size ?? 2, rank);
    }

    /**
     * @param {any} shape
     * @returns {any}
     */
    sizes(shape) {
      return this.factors.map((factor, i) => (shape[i + 1] === null ? null : shape[i + 1] * factor));
    }

    /** @param {any} x */
    picture(x) {
      const { interpolation = 'nearest' } = this.settings;
      if (interpolation !== 'nearest') return resize(tf, x, /** @type {[number, number]} */ (this.sizes(x.shape)), interpolation);
      return this.factors.reduce((y, factor, i) => repeatAxis(y, i + 1, factor), x);
    }
  }

  class PybridgeUpSampling1D extends UpSampling {
    static className = 'PybridgeUpSampling1D';
    static rank = 1;
  }

  class PybridgeUpSampling2D extends UpSampling {
    static className = 'PybridgeUpSampling2D';
    static rank = 2;
  }

  class PybridgeUpSampling3D extends UpSampling {
    static className = 'PybridgeUpSampling3D';
    static rank = 3;
  }

  class PybridgeNormalization extends PybridgeLayer {
    static className = 'PybridgeNormalization';

    /** @param {any} inputShape */
    build(inputShape) {
      const shape = single(inputShape);
      const axes = (this.settings.axis ?? []).length === undefined ? [this.settings.axis] : (this.settings.axis ?? []);
      this.kept = axes.map((/** @type {number} */ axis) => positive(axis, shape.length)).sort((/** @type {number} */ a, /** @type {number} */ b) => a - b);
      if (!this.isGiven) {
        const size = this.kept.map((/** @type {number} */ axis) => shape[axis]);
        this.mean = this.weight('mean', size, { trainable: false });
        this.variance = this.weight('variance', size, { trainable: false });
      }
      super.build(inputShape);
    }

    get isGiven() {
      return this.settings.mean !== null && this.settings.mean !== undefined;
    }

    /** @param {any[]} inputs */
    forward([x]) {
      const [mean, variance] = this.isGiven
        ? [this.settings.mean, this.settings.variance].map((value) => this.aligned(tf.tensor(value), x))
        : [this.mean.read(), this.variance.read()].map((value) => tf.reshape(value, this.shapeOf(x, value.shape)));
      // keras.backend.epsilon()
      const deviation = tf.maximum(tf.sqrt(variance), 1e-7);
      const values = tf.cast(x, 'float32');
      return this.settings.invert ? tf.add(mean, tf.mul(values, deviation)) : tf.div(tf.sub(values, mean), deviation);
    }

    /**
     * @param {any} x
     * @param {number[]} sizes
     */
    shapeOf(x, sizes) {
      return x.shape.map((/** @type {number} */ _, /** @type {number} */ axis) => sizes[this.kept.indexOf(axis)] ?? 1);
    }

    /**
     * @param {any} value
     * @param {any} x
     */
    aligned(value, x) {
      const shape = x.shape.map(() => 1);
      range(value.rank).forEach((i) => (shape[this.kept[this.kept.length - 1 - i]] = value.shape[value.rank - 1 - i]));
      return tf.reshape(value, shape);
    }
  }

  class Encoding extends PybridgeLayer {
    /** @param {any} args */
    constructor(args) {
      super(args);
      this.supportsMasking = false;
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      const shape = single(inputShape);
      const { outputMode = this.defaultMode } = this.settings;
      if (outputMode === 'int') return shape;
      if (outputMode === 'oneHot') return shape[shape.length - 1] === 1 && shape.length > 1 ? [...shape.slice(0, -1), this.depth] : [...shape, this.depth];
      return shape.length > 1 ? [...shape.slice(0, -1), this.depth] : [this.depth];
    }

    get defaultMode() {
      return 'int';
    }

    /**
     * @param {any} indices
     * @param {any} weights
     */
    encode(indices, weights = null) {
      const { outputMode = this.defaultMode } = this.settings;
      if (outputMode === 'int') return tf.cast(indices, 'int32');
      const last = indices.shape[indices.rank - 1];
      if (outputMode === 'oneHot') {
        const flat = last === 1 && indices.rank > 1 ? tf.squeeze(indices, [indices.rank - 1]) : indices;
        return tf.cast(tf.oneHot(tf.cast(flat, 'int32'), this.depth), 'float32');
      }
      const codes = tf.cast(tf.oneHot(tf.cast(indices, 'int32'), this.depth), 'float32');
      if (indices.rank === 0) return codes;
      if (outputMode === 'multiHot') return tf.max(codes, codes.rank - 2);
      return tf.sum(weights ? tf.mul(codes, tf.expandDims(weights, weights.rank)) : codes, codes.rank - 2);
    }
  }

  class PybridgeCategoryEncoding extends Encoding {
    static className = 'PybridgeCategoryEncoding';

    get defaultMode() {
      return 'multiHot';
    }

    get depth() {
      return this.settings.numTokens;
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      return super.computeOutputShape(single(inputShape));
    }

    /** @param {any[]} inputs */
    forward([x, weights]) {
      return this.encode(x, weights);
    }
  }

  class PybridgeDiscretization extends Encoding {
    static className = 'PybridgeDiscretization';

    get depth() {
      return this.settings.binBoundaries.length + 1;
    }

    /** @param {any[]} inputs */
    forward([x]) {
      const edges = tf.tensor1d(this.settings.binBoundaries, 'float32');
      const above = tf.greaterEqual(tf.expandDims(tf.cast(x, 'float32'), x.rank), edges);
      return this.encode(tf.sum(tf.cast(above, 'int32'), x.rank));
    }
  }

  /**
   * @param {any} x
   * @param {number} axis
   * @param {number} times
   */
  function repeatAxis(x, axis, times) {
    const shape = x.shape.slice();
    shape[axis] *= times;
    const after = x.shape.slice(axis + 1).reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    // Of rank 3: the gradient of tile ends at rank 4.
    return tf.reshape(tf.tile(tf.reshape(x, [-1, 1, after]), [1, times, 1]), shape);
  }

  const unchanged = ONLY_IN_TRAINING.map(
    (name) =>
      class extends PybridgeLayer {
        static className = `Pybridge${name}`;

        /** @param {any[]} inputs */
        forward([x]) {
          return tf.cast(x, 'float32');
        }
      },
  );

  return [
    PybridgeResizing,
    PybridgeCenterCrop,
    PybridgeUpSampling1D,
    PybridgeUpSampling2D,
    PybridgeUpSampling3D,
    PybridgeNormalization,
    PybridgeCategoryEncoding,
    PybridgeDiscretization,
    ...unchanged,
  ];
}

module.exports = create;
