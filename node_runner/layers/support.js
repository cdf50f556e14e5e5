'use strict';

/**
 * What the layer classes of this folder share. Each class is the Keras 3 layer of the same name without `Pybridge`, and its config
 * is that layer's `get_config()`; TensorFlow.js turns the keys and the strings of a config into camel case when it loads a model
 * and back into snake case when it saves one.
 */

/**
 * @typedef {any} TensorFlow  `@tensorflow/tfjs-node`, `@tensorflow/tfjs`, or the global `tf` of a page
 * @typedef {any} Tensor
 * @typedef {(number | null)[]} Shape
 */

/** @type {WeakMap<object, any>} */
const bases = new WeakMap();

/**
 * @param {TensorFlow} tf
 * @returns {any} the class that all layers of this folder extend
 */
function layerBase(tf) {
  const known = bases.get(tf);
  if (known) return known;

  /** A layer whose subclasses define `forward(inputs, kwargs)` on a list of tensors. */
  class PybridgeLayer extends tf.layers.Layer {
    /** @param {any} args */
    constructor(args = {}) {
      super(args);
      const base = ['name', 'trainable', 'dtype', 'batchInputShape', 'inputShape', 'batchSize', 'inputDType', 'weights', 'customObjects'];
      this.settings = Object.fromEntries(Object.entries(args).filter(([key]) => !base.includes(key)));
      this.supportsMasking = true;
    }

    getConfig() {
      return { ...this.settings, ...super.getConfig() };
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      return single(inputShape);
    }

    /**
     * @param {any} inputs
     * @param {any} kwargs
     */
    call(inputs, kwargs) {
      return tf.tidy(() => this.forward(Array.isArray(inputs) ? inputs : [inputs], kwargs || {}));
    }

    /**
     * @param {any} _inputs
     * @param {any} mask
     */
    computeMask(_inputs, mask) {
      if (!this.supportsMasking) return null;
      return Array.isArray(mask) ? mask[0] : mask;
    }

    /**
     * @param {string} name
     * @param {number[]} shape
     * @param {{trainable?: boolean, kind?: string}} [options] `kind` names the settings that hold its regularizer and constraint
     */
    weight(name, shape, { trainable = true, kind = name } = {}) {
      const key = kind.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
      const regularizer = makeRegularizer(tf, this.settings[`${key}Regularizer`]);
      const constraint = makeConstraint(tf, this.settings[`${key}Constraint`]);
      return this.addWeight(name, shape, 'float32', tf.initializers.zeros(), regularizer, trainable, constraint);
    }
  }
  bases.set(tf, PybridgeLayer);
  return PybridgeLayer;
}

/**
 * @param {TensorFlow} tf
 * @param {any} config
 */
function makeRegularizer(tf, config) {
  if (!config) return null;
  const { l1 = 0, l2 = 0 } = config.config;
  return tf.regularizers.l1l2({ l1, l2 });
}

/**
 * @param {TensorFlow} tf
 * @param {any} config
 */
function makeConstraint(tf, config) {
  if (!config) return null;
  const name = config.className;
  const make = tf.constraints[name[0].toLowerCase() + name.slice(1)];
  if (!make) throw new Error(`TensorFlow.js has no constraint ${name}`);
  return make(config.config);
}

/**
 * @param {any} shape a shape or a list with one shape
 * @returns {any}
 */
function single(shape) {
  return Array.isArray(shape[0]) ? shape[0] : shape;
}

/**
 * @param {number} axis
 * @param {number} rank
 */
function positive(axis, rank) {
  return axis < 0 ? axis + rank : axis;
}

/**
 * @param {number} stop
 * @returns {number[]} 0, 1, ..., stop - 1
 */
function range(stop) {
  return Array.from({ length: stop }, (_, i) => i);
}

/**
 * @param {number | number[]} value
 * @param {number} length
 * @returns {number[]}
 */
function repeated(value, length) {
  return Array.isArray(value) ? value : Array(length).fill(value);
}

/**
 * Keras counts with the channels last in everything it computes on a CPU; a layer with them first is transposed around the work.
 *
 * @param {TensorFlow} tf
 * @param {Tensor} x
 * @param {string} dataFormat as TensorFlow.js changes it: `channelsLast` or `channelsFirst`
 * @param {(x: Tensor) => Tensor} work
 */
function withChannelsLast(tf, x, dataFormat, work) {
  if (dataFormat !== 'channelsFirst') return work(x);
  const y = work(tf.transpose(x, [0, ...range(x.rank - 2).map((i) => i + 2), 1]));
  return y.rank < 3 ? y : tf.transpose(y, [0, y.rank - 1, ...range(y.rank - 2).map((i) => i + 1)]);
}

/**
 * @param {any} shape with the channels where `dataFormat` says
 * @param {string} dataFormat
 * @param {(shape: any) => any} work
 */
function shapeWithChannelsLast(shape, dataFormat, work) {
  if (dataFormat !== 'channelsFirst') return work(shape);
  const result = work([shape[0], ...shape.slice(2), shape[1]]);
  return [result[0], result[result.length - 1], ...result.slice(1, -1)];
}

/**
 * A slice along one axis.
 *
 * @param {TensorFlow} tf
 * @param {Tensor} x
 * @param {number} axis
 * @param {number} start
 * @param {number} size
 */
function narrow(tf, x, axis, start, size) {
  const begin = x.shape.map(() => 0);
  const sizes = x.shape.slice();
  begin[axis] = start;
  sizes[axis] = size;
  return tf.slice(x, begin, sizes);
}

/**
 * Zeros around a tensor, or what lies at its edges taken away where a number is negative.
 *
 * @param {TensorFlow} tf
 * @param {Tensor} x
 * @param {[number, number][]} widths for each axis
 */
function padOrCrop(tf, x, widths) {
  const begin = widths.map(([before]) => Math.max(0, -before));
  const size = widths.map(([before, after], axis) => x.shape[axis] - Math.max(0, -before) - Math.max(0, -after));
  const cropped = begin.some(Boolean) || size.some((value, axis) => value !== x.shape[axis]) ? tf.slice(x, begin, size) : x;
  const padding = widths.map(([before, after]) => [Math.max(0, before), Math.max(0, after)]);
  return padding.flat().some(Boolean) ? tf.pad(cropped, padding) : cropped;
}

/**
 * What has no gradient (comparisons, sorting) as a constant: TensorFlow.js throws where one lies between a weight and the loss.
 *
 * @param {TensorFlow} tf
 * @param {(...inputs: Tensor[]) => Tensor} work
 * @param {...Tensor} inputs
 * @returns {Tensor}
 */
function detached(tf, work, ...inputs) {
  const shapes = inputs.map((input) => input.shape);
  const run = tf.customGrad((/** @type {any[]} */ ...given) => ({
    value: work(...given.slice(0, inputs.length)),
    gradFunc: () => shapes.map((shape) => tf.zeros(shape)),
  }));
  return run(...inputs);
}

module.exports = { detached, layerBase, single, positive, range, repeated, withChannelsLast, shapeWithChannelsLast, narrow, padOrCrop };
