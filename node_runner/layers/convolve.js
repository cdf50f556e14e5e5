'use strict';

const { narrow, padOrCrop, range } = require('./support');

/**
 * Convolutions that TensorFlow.js has no gradient for, or none at all, out of those that it has: dilation by zeros between the
 * kernel's values, groups by slices, one dimension as two of which one has size 1.
 *
 * @typedef {{strides: number[], dilation: number[], padding: string, groups?: number}} Geometry
 */

/**
 * @param {any} tf
 * @param {any} x of shape (batch, ...spatial, channels)
 * @param {any} kernel of shape (...window, channels / groups, filters)
 * @param {Geometry} geometry with as many strides as there are spatial axes
 * @returns {any} of shape (batch, ...spatial, filters)
 */
function convolve(tf, x, kernel, { strides, dilation, padding, groups = 1 }) {
  const spread = spreadKernel(tf, kernel, dilation);
  const padded = padding === 'causal' ? padOrCrop(tf, x, [[0, 0], [spread.shape[0] - 1, 0], [0, 0]]) : x;
  const mode = padding === 'same' ? 'same' : 'valid';
  if (groups === 1) return plain(tf, padded, spread, strides, mode);
  const inputs = tf.split(padded, groups, x.rank - 1);
  const kernels = tf.split(spread, groups, kernel.rank - 1);
  return tf.concat(inputs.map((/** @type {any} */ input, /** @type {number} */ i) => plain(tf, input, kernels[i], strides, mode)), x.rank - 1);
}

/**
 * @param {any} tf
 * @param {any} x of shape (batch, ...spatial, channels), with one or two spatial axes
 * @param {any} kernel of shape (...window, channels, multiplier)
 * @param {Geometry} geometry
 * @returns {any}
 */
function convolveDepthwise(tf, x, kernel, { strides, dilation, padding }) {
  const spread = spreadKernel(tf, kernel, dilation);
  if (x.rank === 3) {
    const shifted = padding === 'causal' ? padOrCrop(tf, x, [[0, 0], [spread.shape[0] - 1, 0], [0, 0]]) : x;
    const mode = padding === 'same' ? 'same' : 'valid';
    const y = convolveDepthwise(tf, tf.expandDims(shifted, 1), tf.expandDims(spread, 0), { strides: [1, strides[0]], dilation: [1, 1], padding: mode });
    return tf.squeeze(y, [1]);
  }
  // The kernels of TensorFlow take equal strides only: computing every step and dropping some is the same.
  if (strides[0] === strides[1]) return tf.depthwiseConv2d(x, spread, strides, padding);
  const widths = window(x, spread, strides, padding);
  const dense = tf.depthwiseConv2d(padOrCrop(tf, x, widths), spread, 1, 'valid');
  return everyNth(tf, everyNth(tf, dense, 1, strides[0]), 2, strides[1]);
}

/**
 * The transposed convolution, written as the convolution of the input with zeros between its values.
 *
 * @param {any} tf
 * @param {any} x of shape (batch, ...spatial, channels)
 * @param {any} kernel of shape (...window, filters, channels)
 * @param {Geometry & {outputSizes: number[]}} geometry with the sizes of the result
 */
function convolveTransposed(tf, x, kernel, { strides, dilation, padding, outputSizes }) {
  const rank = x.rank - 2;
  const spread = spreadKernel(tf, kernel, dilation);
  const order = [...range(rank), rank + 1, rank];
  const flipped = tf.reverse(tf.transpose(spread, order), range(rank));
  let y = x;
  for (const axis of range(rank)) y = spreadAxis(tf, y, axis + 1, strides[axis]);
  const sizes = range(rank).map((axis) => spread.shape[axis]);
  y = padOrCrop(tf, y, [[0, 0], ...sizes.map((size) => /** @type {[number, number]} */ ([size - 1, size - 1])), [0, 0]]);
  y = plain(tf, y, flipped, Array(rank).fill(1), 'valid');
  const widths = range(rank).map((axis) => {
    const full = (x.shape[axis + 1] - 1) * strides[axis] + sizes[axis];
    const before = padding === 'same' ? Math.floor(Math.max(full - outputSizes[axis], 0) / 2) : 0;
    return /** @type {[number, number]} */ ([-before, outputSizes[axis] + before - full]);
  });
  return padOrCrop(tf, y, [[0, 0], ...widths, [0, 0]]);
}

/**
 * @param {any} tf
 * @param {any} x
 * @param {any} kernel
 * @param {number[]} strides
 * @param {'same' | 'valid'} padding
 */
function plain(tf, x, kernel, strides, padding) {
  if (x.rank === 3) return tf.conv1d(x, kernel, strides[0], padding);
  if (x.rank === 4) return tf.conv2d(x, kernel, strides, padding);
  return tf.conv3d(x, kernel, strides, padding);
}

/**
 * @param {any} tf
 * @param {any} kernel
 * @param {number[]} dilation of its first axes
 */
function spreadKernel(tf, kernel, dilation) {
  return dilation.reduce((spread, rate, axis) => spreadAxis(tf, spread, axis, rate), kernel);
}

/**
 * @param {any} tf
 * @param {any} x
 * @param {number} axis
 * @param {number} rate
 * @returns {any} with `rate - 1` zeros between neighbours along the axis
 */
function spreadAxis(tf, x, axis, rate) {
  if (rate === 1 || x.shape[axis] === 1) return x;
  const size = x.shape[axis];
  const before = x.shape.slice(0, axis).reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
  const after = x.shape.slice(axis + 1).reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
  const padded = tf.pad(tf.reshape(x, [before, size, 1, after]), [[0, 0], [0, 0], [0, rate - 1], [0, 0]]);
  const flat = tf.reshape(padded, [...x.shape.slice(0, axis), size * rate, ...x.shape.slice(axis + 1)]);
  return narrow(tf, flat, axis, 0, (size - 1) * rate + 1);
}

/**
 * @param {any} tf
 * @param {any} x
 * @param {number} axis
 * @param {number} step
 * @returns {any} the values at 0, step, 2 * step, ...
 */
function everyNth(tf, x, axis, step) {
  if (step === 1) return x;
  const count = Math.ceil(x.shape[axis] / step);
  const widths = x.shape.map(() => [0, 0]);
  widths[axis] = [0, count * step - x.shape[axis]];
  const padded = tf.pad(x, widths);
  const split = tf.reshape(padded, [...x.shape.slice(0, axis), count, step, ...x.shape.slice(axis + 1)]);
  return tf.squeeze(narrow(tf, split, axis + 1, 0, 1), [axis + 1]);
}

/**
 * @param {any} x
 * @param {any} kernel
 * @param {number[]} strides
 * @param {string} padding
 * @returns {[number, number][]} what TensorFlow's "same" adds around `x`
 */
function window(x, kernel, strides, padding) {
  const widths = strides.map((stride, axis) => {
    if (padding !== 'same') return /** @type {[number, number]} */ ([0, 0]);
    const size = x.shape[axis + 1];
    const total = Math.max((Math.ceil(size / stride) - 1) * stride + kernel.shape[axis] - size, 0);
    return /** @type {[number, number]} */ ([Math.floor(total / 2), total - Math.floor(total / 2)]);
  });
  return [[0, 0], ...widths, [0, 0]];
}

/**
 * @param {number | null} size
 * @param {number} kernel
 * @param {number} stride
 * @param {number} dilation
 * @param {string} padding
 * @returns {number | null}
 */
function convolvedSize(size, kernel, stride, dilation, padding) {
  if (size === null) return null;
  const reach = (kernel - 1) * dilation + 1;
  return Math.ceil((padding === 'valid' ? size - reach + 1 : size) / stride);
}

/**
 * `compute_conv_transpose_output_shape` of Keras.
 *
 * @param {number | null} size
 * @param {number} kernel
 * @param {number} stride
 * @param {number} dilation
 * @param {string} padding
 * @param {number | null | undefined} outputPadding
 * @returns {number | null}
 */
function transposedSize(size, kernel, stride, dilation, padding, outputPadding) {
  if (size === null) return null;
  const reach = (kernel - 1) * dilation + 1;
  if (outputPadding === null || outputPadding === undefined) {
    return padding === 'same' ? size * stride : size * stride + Math.max(reach - stride, 0);
  }
  return (size - 1) * stride + reach - (padding === 'same' ? 2 * Math.floor(reach / 2) : 0) + outputPadding;
}

module.exports = { convolve, convolveDepthwise, convolveTransposed, convolvedSize, transposedSize, everyNth };
