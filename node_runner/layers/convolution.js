'use strict';

const { activation } = require('./activation_functions');
const { convolve, convolveDepthwise, convolveTransposed, convolvedSize, transposedSize } = require('./convolve');
const { layerBase, range, repeated, shapeWithChannelsLast, single, withChannelsLast } = require('./support');

/** @param {any} tf */
function create(tf) {
  /** What the convolutions have in common; subclasses say how many axes they run along. */
  class Convolution extends layerBase(tf) {
    /** @param {any} args */
    constructor(args) {
      super(args);
      this.supportsMasking = false;
      const { rank } = /** @type {any} */ (this.constructor);
      this.windowSize = repeated(args.kernelSize, rank);
      this.geometry = {
        strides: repeated(args.strides ?? 1, rank),
        dilation: repeated(args.dilationRate ?? 1, rank),
        padding: args.padding ?? 'valid',
        groups: args.groups ?? 1,
      };
      this.multiplier = args.depthMultiplier ?? 1;
      this.useBias = args.useBias ?? true;
      this.dataFormat = args.dataFormat ?? 'channelsLast';
    }

    /** @param {any} inputShape */
    channels(inputShape) {
      const shape = single(inputShape);
      return this.dataFormat === 'channelsFirst' ? shape[1] : shape[shape.length - 1];
    }

    /** @param {any} inputShape */
    build(inputShape) {
      this.addKernels(this.channels(inputShape));
      if (this.useBias) this.bias = this.weight('bias', [this.filters(this.channels(inputShape))]);
      super.build(inputShape);
    }

    /** @param {number} channels */
    addKernels(channels) {
      this.kernel = this.weight('kernel', [...this.windowSize, channels / this.geometry.groups, this.settings.filters]);
    }

    /** @param {number} _channels */
    filters(_channels) {
      return this.settings.filters;
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      return shapeWithChannelsLast(single(inputShape), this.dataFormat, (shape) => [
        shape[0],
        ...this.sizes(shape),
        this.filters(shape[shape.length - 1]),
      ]);
    }

    /** @param {any} shape with the channels last */
    sizes(shape) {
      const { strides, dilation, padding } = this.geometry;
      return this.windowSize.map((size, i) => convolvedSize(shape[i + 1], size, strides[i], dilation[i], padding));
    }

    /** @param {any} x */
    convolve(x) {
      return convolve(tf, x, this.kernel.read(), this.geometry);
    }

    /** @param {any[]} inputs */
    forward([input]) {
      const output = withChannelsLast(tf, input, this.dataFormat, (x) => {
        const y = this.convolve(x);
        return this.bias ? tf.add(y, this.bias.read()) : y;
      });
      // Behind the transposition: a softmax of Keras runs along the last axis, wherever the channels are.
      return activation(this.settings.activation)(tf, output);
    }
  }

  class Transposed extends Convolution {
    /** @param {number} channels */
    addKernels(channels) {
      this.kernel = this.weight('kernel', [...this.windowSize, this.settings.filters, channels]);
    }

    /** @param {any} shape with the channels last */
    sizes(shape) {
      const { strides, dilation, padding } = this.geometry;
      const { outputPadding } = this.settings;
      const extra = repeated(outputPadding ?? null, this.windowSize.length);
      return this.windowSize.map((size, i) => transposedSize(shape[i + 1], size, strides[i], dilation[i], padding, extra[i]));
    }

    /** @param {any} x */
    convolve(x) {
      return convolveTransposed(tf, x, this.kernel.read(), { ...this.geometry, outputSizes: /** @type {number[]} */ (this.sizes(x.shape)) });
    }
  }

  class Depthwise extends Convolution {
    /** @param {number} channels */
    addKernels(channels) {
      this.kernel = this.weight('kernel', [...this.windowSize, channels, this.multiplier], { kind: 'depthwise' });
    }

    /** @param {number} channels */
    filters(channels) {
      return channels * this.multiplier;
    }

    /** @param {any} x */
    convolve(x) {
      return convolveDepthwise(tf, x, this.kernel.read(), this.geometry);
    }
  }

  class Separable extends Convolution {
    /** @param {number} channels */
    addKernels(channels) {
      this.depthwise = this.weight('depthwise_kernel', [...this.windowSize, channels, this.multiplier], { kind: 'depthwise' });
      const ones = range(this.windowSize.length).map(() => 1);
      this.pointwise = this.weight('pointwise_kernel', [...ones, channels * this.multiplier, this.settings.filters], { kind: 'pointwise' });
    }

    /** @param {any} x */
    convolve(x) {
      const ones = range(this.windowSize.length).map(() => 1);
      const y = convolveDepthwise(tf, x, this.depthwise.read(), this.geometry);
      return convolve(tf, y, this.pointwise.read(), { strides: ones, dilation: ones, padding: 'valid' });
    }
  }

  return [
    concrete(Convolution, 'PybridgeConv1D', 1),
    concrete(Convolution, 'PybridgeConv2D', 2),
    concrete(Convolution, 'PybridgeConv3D', 3),
    concrete(Transposed, 'PybridgeConv1DTranspose', 1),
    concrete(Transposed, 'PybridgeConv2DTranspose', 2),
    concrete(Transposed, 'PybridgeConv3DTranspose', 3),
    concrete(Depthwise, 'PybridgeDepthwiseConv1D', 1),
    concrete(Depthwise, 'PybridgeDepthwiseConv2D', 2),
    concrete(Separable, 'PybridgeSeparableConv1D', 1),
    concrete(Separable, 'PybridgeSeparableConv2D', 2),
  ];
}

/**
 * @param {any} base
 * @param {string} className
 * @param {number} rank
 */
function concrete(base, className, rank) {
  return class extends base {
    static className = className;
    static rank = rank;
  };
}

module.exports = create;
