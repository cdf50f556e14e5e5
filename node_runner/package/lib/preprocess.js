'use strict';

/**
 * Pixels into a model's input, the same computation in float32 as TensorFlow's `ScaleAndTranslate` with a triangle kernel and
 * antialiasing (tensorflow/core/kernels/image/scale_and_translate_op.cc), rounding for rounding.
 *
 * @typedef {import('./image/decode').Picture} Picture
 *
 * @typedef {object} Preprocessing as `manifest.json` has it
 * @property {number} height
 * @property {number} width
 * @property {'stretch' | 'centre'} crop
 * @property {number} crop_fraction
 * @property {number[]} mean
 * @property {number[]} std
 * @property {'rgb' | 'bgr'} [channel_order]
 *
 * @typedef {object} Spans which input samples make each output sample
 * @property {Int32Array} starts
 * @property {Int32Array} sizes
 * @property {Float32Array} weights
 * @property {number} stride weights of one output sample
 */

// A division by a constant is a multiplication with its reciprocal here, and constants are multiplied first: so TensorFlow's
// graph optimizer (Grappler's constant folding) rewrites the program that training ran, and it rounds accordingly.
const f = Math.fround;
const SMALLEST = f(1000 * f(1.17549435e-38));

/**
 * @param {Picture} picture
 * @param {Preprocessing} preprocessing
 * @param {Float32Array} out
 * @param {number} [at] where the picture's `height * width * 3` numbers go
 */
function preprocess(picture, preprocessing, out, at = 0) {
  const { height, width } = preprocessing;
  const size = [picture.height, picture.width];
  const target = [height, width];
  const [down, across] = target.map((side, axis) => f(size[axis] * f(1 / side)));
  const ratio = Math.min(down, across);
  const spans = [0, 1].map((axis) => {
    const share = f(preprocessing.crop_fraction);
    const kept = preprocessing.crop === 'centre' ? f(f(target[axis] * share) * ratio) : f(size[axis] * share);
    const extent = Math.max(kept, 1);
    const middle = f(f(f(size[axis] - kept) / 2) - f(f(extent - kept) / 2));
    const origin = Math.min(Math.max(middle, 0), f(size[axis] - extent));
    const scale = f(target[axis] / extent);
    return computeSpans(target[axis], size[axis], scale, f(-origin * scale));
  });
  resize(picture, spans[0], spans[1], target, out, at);
  finish(preprocessing, out, at);
}

/**
 * @param {number} outputSize
 * @param {number} inputSize
 * @param {number} scale
 * @param {number} translation
 * @returns {Spans}
 */
function computeSpans(outputSize, inputSize, scale, translation) {
  const inverseScale = f(1 / scale);
  const inverseTranslation = f(-inverseScale * translation);
  const kernelScale = Math.max(inverseScale, 1);
  const oneOverKernelScale = f(1 / kernelScale);
  const stride = Math.min(2 * Math.ceil(kernelScale) + 1, inputSize);
  const starts = new Int32Array(outputSize);
  const sizes = new Int32Array(outputSize);
  const weights = new Float32Array(outputSize * stride);
  for (let x = 0; x < outputSize; x++) {
    const sample = f(f((x + 0.5) * inverseScale) + inverseTranslation);
    if (sample < 0 || sample > inputSize) continue;
    const start = clamp(Math.ceil(f(f(sample - kernelScale) - 0.5)), 0, inputSize - 1);
    const end = clamp(Math.floor(f(f(sample + kernelScale) - 0.5)), 0, inputSize - 1) + 1;
    let total = 0;
    for (let source = start; source < end; source++) {
      const distance = Math.abs(f(f(f(source + 0.5) - sample) * oneOverKernelScale));
      const weight = distance < 1 ? f(1 - distance) : 0;
      total = f(total + weight);
      weights[x * stride + source - start] = weight;
    }
    starts[x] = start;
    if (Math.abs(total) < SMALLEST) continue;
    sizes[x] = end - start;
    const oneOverTotal = f(1 / total);
    for (let i = x * stride; i < x * stride + end - start; i++) weights[i] = f(weights[i] * oneOverTotal);
  }
  return { starts, sizes, weights, stride };
}

/**
 * First down the columns, then along the rows, as TensorFlow does.
 *
 * @param {Picture} picture
 * @param {Spans} rows
 * @param {Spans} columns
 * @param {number[]} target height and width
 * @param {Float32Array} out
 * @param {number} at
 */
function resize({ width: inputWidth, pixels }, rows, columns, [height, width], out, at) {
  const length = inputWidth * 3;
  const line = new Float32Array(length);
  for (let y = 0; y < height; y++) {
    line.fill(0);
    for (let i = 0; i < rows.sizes[y]; i++) {
      const weight = rows.weights[y * rows.stride + i];
      const from = (rows.starts[y] + i) * length;
      for (let x = 0; x < length; x++) line[x] = f(line[x] + f(weight * pixels[from + x]));
    }
    for (let x = 0; x < width; x++, at += 3) {
      let red = f(0);
      let green = f(0);
      let blue = f(0);
      const first = x * columns.stride;
      let from = columns.starts[x] * 3;
      for (let i = first; i < first + columns.sizes[x]; i++, from += 3) {
        const weight = columns.weights[i];
        red = f(red + f(weight * line[from]));
        green = f(green + f(weight * line[from + 1]));
        blue = f(blue + f(weight * line[from + 2]));
      }
      out[at] = red;
      out[at + 1] = green;
      out[at + 2] = blue;
    }
  }
}

/**
 * @param {Preprocessing} preprocessing
 * @param {Float32Array} out
 * @param {number} start
 */
function finish({ height, width, mean, std, channel_order: order }, out, start) {
  const three = (/** @type {number[]} */ values) => Float32Array.from({ length: 3 }, (_, i) => values[values.length === 3 ? i : 0]);
  const means = three(mean);
  const factors = three(std).map((deviation) => 1 / deviation);
  const swap = order === 'bgr';
  const end = start + height * width * 3;
  for (let i = start; i < end; i += 3) {
    const red = clamp(out[i], 0, 255);
    const green = clamp(out[i + 1], 0, 255);
    const blue = clamp(out[i + 2], 0, 255);
    out[i] = f(f((swap ? blue : red) - means[0]) * factors[0]);
    out[i + 1] = f(f(green - means[1]) * factors[1]);
    out[i + 2] = f(f((swap ? red : blue) - means[2]) * factors[2]);
  }
}

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

module.exports = { preprocess };
