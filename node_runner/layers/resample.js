'use strict';

const { narrow, padOrCrop, range } = require('./support');

/**
 * Resizing as one matrix product for each axis, with the weights of TensorFlow's kernels: half-pixel centres, and the sum of the
 * weights inside the picture is 1.
 *
 * @type {Record<string, {radius: number, weight: (distance: number) => number}>}
 */
const kernels = {
  bilinear: { radius: 1, weight: (x) => Math.max(0, 1 - x) },
  bicubic: { radius: 2, weight: keysCubic },
  lanczos3: { radius: 3, weight: (x) => lanczos(x, 3) },
  lanczos5: { radius: 5, weight: (x) => lanczos(x, 5) },
};

/**
 * @param {any} tf
 * @param {any} x of shape (..., height, width, channels)
 * @param {[number, number]} size
 * @param {string} interpolation
 * @param {boolean} [antialias]
 */
function resize(tf, x, size, interpolation, antialias = false) {
  return range(2).reduce((y, i) => {
    const axis = x.rank - 3 + i;
    const length = y.shape[axis];
    if (length === size[i]) return y;
    const matrix = tf.tensor2d(resizeWeights(length, size[i], interpolation, antialias), [length, size[i]]);
    const last = y.rank - 1;
    const order = range(y.rank);
    [order[axis], order[last]] = [order[last], order[axis]];
    const moved = tf.transpose(y, order);
    const rows = tf.matMul(tf.reshape(moved, [-1, length]), matrix);
    return tf.transpose(tf.reshape(rows, [...moved.shape.slice(0, -1), size[i]]), order);
  }, x);
}

/**
 * @param {number} input
 * @param {number} output
 * @param {string} interpolation
 * @param {boolean} antialias
 * @returns {Float32Array} row by row, one row for each input position
 */
function resizeWeights(input, output, interpolation, antialias) {
  const weights = new Float32Array(input * output);
  const scale = input / output;
  for (let o = 0; o < output; o++) {
    const centre = (o + 0.5) * scale - 0.5;
    if (interpolation === 'nearest') {
      weights[Math.min(Math.floor((o + 0.5) * scale), input - 1) * output + o] = 1;
      continue;
    }
    const kernel = kernels[interpolation];
    if (!kernel) throw new Error(`There is no interpolation ${interpolation}`);
    const stretch = antialias ? Math.max(scale, 1) : 1;
    const reach = kernel.radius * stretch;
    // ResizeBicubic looks its weights up in a table of 1024 steps.
    const place = interpolation === 'bicubic' && !antialias ? Math.round(centre * 1024) / 1024 : centre;
    const found = range(input).map((i) => (Math.abs(i - place) <= reach ? kernel.weight(Math.abs(i - place) / stretch) : 0));
    const total = found.reduce((sum, value) => sum + value, 0);
    found.forEach((value, i) => (weights[i * output + o] = value / total));
  }
  return weights;
}

/**
 * The middle of a picture with the proportions of `size`, scaled to it: `smart_resize` of Keras.
 *
 * @param {any} tf
 * @param {any} x
 * @param {[number, number]} size
 * @param {string} interpolation
 * @param {boolean} [antialias]
 */
function cropAndResize(tf, x, [height, width], interpolation, antialias) {
  const [rows, columns] = x.shape.slice(-3, -1);
  const cropHeight = Math.max(Math.min(rows, Math.trunc((columns * height) / width)), 1);
  const cropWidth = Math.max(Math.min(columns, Math.trunc((rows * width) / height)), 1);
  const cut = narrow(tf, x, x.rank - 3, Math.trunc((rows - cropHeight) / 2), cropHeight);
  const middle = narrow(tf, cut, x.rank - 2, Math.trunc((columns - cropWidth) / 2), cropWidth);
  return resize(tf, middle, [height, width], interpolation, antialias);
}

/**
 * @param {any} tf
 * @param {any} x
 * @param {[number, number]} size
 * @param {string} interpolation
 * @param {boolean} antialias
 * @param {number} fill
 */
function padAndResize(tf, x, [height, width], interpolation, antialias, fill) {
  const [rows, columns] = x.shape.slice(-3, -1);
  const padHeight = Math.max(rows, Math.trunc((columns * height) / width));
  const padWidth = Math.max(columns, Math.trunc((rows * width) / height));
  const [top, left] = [Math.trunc((padHeight - rows) / 2), Math.trunc((padWidth - columns) / 2)];
  const none = range(x.rank - 3).map(() => /** @type {[number, number]} */ ([0, 0]));
  const padded = padOrCrop(tf, tf.sub(x, fill), [...none, [top, padHeight - rows - top], [left, padWidth - columns - left], [0, 0]]);
  return resize(tf, tf.add(padded, fill), [height, width], interpolation, antialias);
}

/**
 * Keys, "Cubic convolution interpolation for digital image processing" (1981), with a = -1/2.
 *
 * @param {number} x
 */
function keysCubic(x) {
  if (x >= 2) return 0;
  return x >= 1 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : (1.5 * x - 2.5) * x * x + 1;
}

/**
 * @param {number} x
 * @param {number} radius
 */
function lanczos(x, radius) {
  if (x >= radius) return 0;
  if (x <= 1e-3) return 1;
  return (radius * Math.sin(Math.PI * x) * Math.sin((Math.PI * x) / radius)) / (Math.PI * Math.PI * x * x);
}

module.exports = { resize, cropAndResize, padAndResize };
