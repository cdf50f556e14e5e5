'use strict';

const { detached, positive } = require('./support');

/**
 * The activation functions of Keras 3.
 *
 * @type {Record<string, (tf: any, x: any, options?: any) => any>}
 */
const functions = {
  linear: (_tf, x) => x,
  relu: (tf, x) => tf.relu(x),
  relu6: (tf, x) => tf.relu6(x),
  elu: (tf, x, { alpha = 1 } = {}) => tf.add(tf.relu(x), tf.mul(alpha, tf.expm1(tf.minimum(x, 0)))),
  celu: (tf, x, { alpha = 1 } = {}) => tf.add(tf.relu(x), tf.mul(alpha, tf.expm1(tf.div(tf.minimum(x, 0), alpha)))),
  selu: (tf, x) => tf.selu(x),
  sigmoid: (tf, x) => tf.sigmoid(x),
  tanh: (tf, x) => tf.tanh(x),
  softplus: (tf, x) => tf.softplus(x),
  softsign: (tf, x) => tf.div(x, tf.add(tf.abs(x), 1)),
  exponential: (tf, x) => tf.exp(x),
  silu: (tf, x) => tf.mul(x, tf.sigmoid(x)),
  swish: (tf, x) => tf.mul(x, tf.sigmoid(x)),
  mish: (tf, x) => tf.mul(x, tf.tanh(tf.softplus(x))),
  gelu: (tf, x, { approximate = false } = {}) => tf.mul(tf.mul(x, 0.5), tf.add(1, approximate ? tf.tanh(tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, tf.pow(x, 3))))) : tf.erf(tf.div(x, Math.SQRT2)))),
  softmax: (tf, x, { axis = -1 } = {}) => alongLast(tf, x, axis, (y) => tf.softmax(y)),
  logSoftmax: (tf, x, { axis = -1 } = {}) => alongLast(tf, x, axis, (y) => tf.logSoftmax(y)),
  logSigmoid: (tf, x) => tf.neg(tf.softplus(tf.neg(x))),
  hardSigmoid: (tf, x) => tf.div(tf.relu6(tf.add(x, 3)), 6),
  hardSilu: (tf, x) => tf.mul(x, tf.div(tf.relu6(tf.add(x, 3)), 6)),
  hardSwish: (tf, x) => tf.mul(x, tf.div(tf.relu6(tf.add(x, 3)), 6)),
  hardTanh: (tf, x) => tf.clipByValue(x, -1, 1),
  hardShrink: (tf, x, { threshold = 0.5 } = {}) => tf.where(detached(tf, (y) => tf.greater(tf.abs(y), threshold), x), x, tf.zerosLike(x)),
  softShrink: (tf, x, { threshold = 0.5 } = {}) => tf.sub(tf.relu(tf.sub(x, threshold)), tf.relu(tf.sub(tf.neg(x), threshold))),
  tanhShrink: (tf, x) => tf.sub(x, tf.tanh(x)),
  leakyRelu: (tf, x, { negativeSlope = 0.2 } = {}) => tf.sub(tf.relu(x), tf.mul(negativeSlope, tf.relu(tf.neg(x)))),
  sparsePlus: (tf, x) => tf.where(detached(tf, (y) => tf.less(y, 1), x), tf.mul(0.25, tf.square(tf.relu(tf.add(tf.minimum(x, 1), 1)))), x),
  sparseSigmoid: (tf, x) => tf.clipByValue(tf.mul(0.5, tf.add(x, 1)), 0, 1),
  squareplus: (tf, x, { b = 4 } = {}) => tf.div(tf.add(x, tf.sqrt(tf.add(tf.square(x), b))), 2),
  threshold: (tf, x, { threshold, defaultValue } = {}) => tf.where(detached(tf, (y) => tf.greater(y, threshold), x), x, tf.fill(x.shape, defaultValue)),
  glu: gatedLinear,
  sparsemax,
};

/**
 * @param {any} tf
 * @param {any} x
 * @param {any} [options]
 */
function gatedLinear(tf, x, { axis = -1 } = {}) {
  const [values, gates] = tf.split(x, 2, positive(axis, x.rank));
  return tf.mul(values, tf.sigmoid(gates));
}

/**
 * What Keras 3 computes, which is not equation 2 of Martins and Astudillo, "From Softmax to Sparsemax" (2016): its threshold adds
 * up all cumulative sums of the support, not only the last. Sorting only finds the order, so that no gradient passes through it.
 *
 * @param {any} tf
 * @param {any} x
 * @param {any} [options]
 */
function sparsemax(tf, x, { axis = -1 } = {}) {
  return alongLast(tf, x, axis, (y) => {
    const count = y.shape[y.rank - 1];
    const ranks = tf.range(1, count + 1);
    const supportSize = (/** @type {any} */ values) =>
      tf.sum(tf.cast(tf.greater(tf.add(1, tf.mul(ranks, values)), tf.cumsum(values, y.rank - 1)), 'float32'), -1, true);
    const size = detached(tf, (z) => supportSize(tf.topk(z, count).values), y);
    const times = detached(
      tf,
      (z) => {
        const { values, indices } = tf.topk(z, count);
        // The value of rank r is part of the cumulative sums from r to the size of the support.
        const byRank = tf.relu(tf.sub(tf.add(supportSize(values), 1), ranks));
        const placed = tf.cast(tf.oneHot(tf.cast(indices, 'int32'), count), 'float32');
        return tf.sum(tf.mul(tf.expandDims(byRank, z.rank), placed), z.rank - 1);
      },
      y,
    );
    const threshold = tf.div(tf.sub(tf.sum(tf.mul(y, times), -1, true), 1), size);
    return tf.relu(tf.sub(y, threshold));
  });
}

/**
 * TensorFlow.js computes these along the last axis only.
 *
 * @param {any} tf
 * @param {any} x
 * @param {number} axis
 * @param {(x: any) => any} work
 */
function alongLast(tf, x, axis, work) {
  const last = x.rank - 1;
  const moved = positive(axis, x.rank);
  if (moved === last) return work(x);
  const order = x.shape.map((/** @type {number} */ _, /** @type {number} */ i) => i);
  [order[moved], order[last]] = [order[last], order[moved]];
  return tf.transpose(work(tf.transpose(x, order)), order);
}

/**
 * @param {string | null | undefined} name in snake or camel case
 * @returns {(tf: any, x: any, options?: any) => any}
 */
function activation(name) {
  const key = (name || 'linear').replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
  const found = Object.hasOwn(functions, key) ? functions[key] : undefined;
  if (!found) throw new Error(`There is no activation ${name}`);
  return found;
}

module.exports = { activation, alongLast };
