'use strict';

const { activation, alongLast } = require('./activation_functions');
const { everyNth } = require('./convolve');
const { einsum } = require('./einsum');
const { detached, narrow, padOrCrop, positive, range } = require('./support');

/**
 * Operations of `keras.ops` by their name there; each gets its arguments under the names of Keras.
 *
 * @type {Record<string, (tf: any, args: any) => any>}
 */
const operations = {};

const ACTIVATIONS = [
  'celu', 'elu', 'gelu', 'glu', 'hard_shrink', 'hard_sigmoid', 'hard_silu', 'hard_tanh', 'leaky_relu', 'log_sigmoid', 'log_softmax',
  'relu', 'relu6', 'selu', 'sigmoid', 'silu', 'soft_shrink', 'softmax', 'softplus', 'softsign', 'sparse_plus', 'sparse_sigmoid',
  'sparsemax', 'squareplus', 'tanh', 'tanh_shrink', 'threshold',
];
for (const name of ACTIVATIONS) operations[name] = (tf, { x, ...options }) => activation(name)(tf, float(tf, x), defined(options));

const UNARY = {
  abs: 'abs', absolute: 'abs', negative: 'neg', exp: 'exp', expm1: 'expm1', log: 'log', log1p: 'log1p', sqrt: 'sqrt', rsqrt: 'rsqrt',
  square: 'square', sin: 'sin', cos: 'cos', tan: 'tan', sinh: 'sinh', cosh: 'cosh', arcsin: 'asin', arccos: 'acos', arctan: 'atan',
  arcsinh: 'asinh', arccosh: 'acosh', arctanh: 'atanh', sign: 'sign', floor: 'floor', ceil: 'ceil', reciprocal: 'reciprocal',
  erf: 'erf', isnan: 'isNaN', isinf: 'isInf', isfinite: 'isFinite', zeros_like: 'zerosLike', ones_like: 'onesLike', round: 'round',
};
for (const [name, own] of Object.entries(UNARY)) operations[name] = (tf, { x }) => tf[own](x);

const BINARY = {
  add: 'add', subtract: 'sub', multiply: 'mul', maximum: 'maximum', minimum: 'minimum', arctan2: 'atan2', mod: 'mod', power: 'pow',
};
for (const [name, own] of Object.entries(BINARY)) operations[name] = (tf, { x1, x2 }) => tf[own](...alike(tf, x1, x2));

const COMPARISONS = {
  equal: 'equal', not_equal: 'notEqual', greater: 'greater', greater_equal: 'greaterEqual', less: 'less', less_equal: 'lessEqual',
};
for (const [name, own] of Object.entries(COMPARISONS)) operations[name] = (tf, { x1, x2 }) => detached(tf, tf[own], ...alike(tf, x1, x2));

const LOGICAL = { logical_and: 'logicalAnd', logical_or: 'logicalOr', logical_xor: 'logicalXor' };
for (const [name, own] of Object.entries(LOGICAL)) operations[name] = (tf, { x1, x2 }) => tf[own](tf.cast(x1, 'bool'), tf.cast(x2, 'bool'));

const REDUCTIONS = { sum: 'sum', max: 'max', min: 'min', prod: 'prod', amax: 'max', amin: 'min' };
for (const [name, own] of Object.entries(REDUCTIONS)) operations[name] = (tf, { x, axis, keepdims }) => tf[own](x, axis ?? null, Boolean(keepdims));

Object.assign(operations, {
  divide: (/** @type {any} */ tf, /** @type {any} */ { x1, x2 }) => tf.div(float(tf, x1), float(tf, x2)),
  true_divide: (/** @type {any} */ tf, /** @type {any} */ { x1, x2 }) => tf.div(float(tf, x1), float(tf, x2)),
  floor_divide: (/** @type {any} */ tf, /** @type {any} */ { x1, x2 }) => (x1.dtype === 'int32' && x2.dtype === 'int32' ? tf.floorDiv(x1, x2) : tf.floor(tf.div(float(tf, x1), float(tf, x2)))),
  log2: (/** @type {any} */ tf, /** @type {any} */ { x }) => tf.div(tf.log(x), Math.LN2),
  log10: (/** @type {any} */ tf, /** @type {any} */ { x }) => tf.div(tf.log(x), Math.LN10),
  exp2: (/** @type {any} */ tf, /** @type {any} */ { x }) => tf.exp(tf.mul(x, Math.LN2)),
  logaddexp: (/** @type {any} */ tf, /** @type {any} */ { x1, x2 }) => tf.add(tf.maximum(x1, x2), tf.log1p(tf.exp(tf.neg(tf.abs(tf.sub(x1, x2)))))),
  logical_not: (/** @type {any} */ tf, /** @type {any} */ { x }) => tf.logicalNot(tf.cast(x, 'bool')),
  identity: (/** @type {any} */ _tf, /** @type {any} */ { x }) => x.clone(),
  stop_gradient: (/** @type {any} */ tf, /** @type {any} */ { variable }) => detached(tf, (x) => x.clone(), variable),
  clip: (/** @type {any} */ tf, /** @type {any} */ { x, x_min: low, x_max: high }) => tf.minimum(tf.maximum(x, low), high),
  cast: (/** @type {any} */ _tf, /** @type {any} */ { x }) => x.clone(),
  where: (/** @type {any} */ tf, /** @type {any} */ { condition, x1, x2 }) => tf.where(tf.cast(condition, 'bool'), ...alike(tf, x1, x2)),
  mean: (/** @type {any} */ tf, /** @type {any} */ { x, axis, keepdims }) => tf.mean(float(tf, x), axis ?? null, Boolean(keepdims)),
  var: (/** @type {any} */ tf, /** @type {any} */ { x, axis, keepdims }) => tf.moments(float(tf, x), axis ?? null, Boolean(keepdims)).variance,
  std: (/** @type {any} */ tf, /** @type {any} */ { x, axis, keepdims }) => tf.sqrt(tf.moments(float(tf, x), axis ?? null, Boolean(keepdims)).variance),
  logsumexp: (/** @type {any} */ tf, /** @type {any} */ { x, axis, keepdims }) => tf.logSumExp(x, axis ?? null, Boolean(keepdims)),
  any: (/** @type {any} */ tf, /** @type {any} */ { x, axis, keepdims }) => tf.any(tf.cast(x, 'bool'), axis ?? null, Boolean(keepdims)),
  all: (/** @type {any} */ tf, /** @type {any} */ { x, axis, keepdims }) => tf.all(tf.cast(x, 'bool'), axis ?? null, Boolean(keepdims)),
  count_nonzero: (/** @type {any} */ tf, /** @type {any} */ { x, axis }) => detached(tf, (y) => tf.sum(tf.cast(tf.notEqual(y, 0), 'int32'), axis ?? null), x),
  argmax: (/** @type {any} */ tf, /** @type {any} */ args) => extremum(tf, 'argMax', args),
  argmin: (/** @type {any} */ tf, /** @type {any} */ args) => extremum(tf, 'argMin', args),
  cumsum: (/** @type {any} */ tf, /** @type {any} */ { x, axis }) => (axis === null || axis === undefined ? tf.cumsum(tf.reshape(x, [-1]), 0) : alongLast(tf, x, axis, (y) => tf.cumsum(y, y.rank - 1))),
  matmul,
  einsum: (/** @type {any} */ tf, /** @type {any} */ { subscripts, operands }) => einsum(tf, subscripts, operands),
  reshape: (/** @type {any} */ tf, /** @type {any} */ { x, newshape }) => tf.reshape(x, [newshape].flat().map((size) => size ?? -1)),
  ravel: (/** @type {any} */ tf, /** @type {any} */ { x }) => tf.reshape(x, [-1]),
  transpose: (/** @type {any} */ tf, /** @type {any} */ { x, axes }) => tf.transpose(x, axes?.map((/** @type {number} */ axis) => positive(axis, x.rank))),
  swapaxes: (/** @type {any} */ tf, /** @type {any} */ { x, axis1, axis2 }) => {
    const order = range(x.rank);
    const [a, b] = [positive(axis1, x.rank), positive(axis2, x.rank)];
    [order[a], order[b]] = [order[b], order[a]];
    return tf.transpose(x, order);
  },
  moveaxis: (/** @type {any} */ tf, /** @type {any} */ { x, source, destination }) => {
    const from = [source].flat().map((axis) => positive(axis, x.rank));
    const to = [destination].flat().map((axis) => positive(axis, x.rank));
    const order = range(x.rank).filter((axis) => !from.includes(axis));
    for (const [place, axis] of to.map((one, i) => [one, from[i]]).sort((a, b) => a[0] - b[0])) order.splice(place, 0, axis);
    return tf.transpose(x, order);
  },
  expand_dims: (/** @type {any} */ tf, /** @type {any} */ { x, axis }) => [axis].flat().map((one) => positive(one, x.rank + [axis].flat().length)).sort((a, b) => a - b).reduce((y, one) => tf.expandDims(y, one), x),
  squeeze: (/** @type {any} */ tf, /** @type {any} */ { x, axis }) => tf.squeeze(x, axis === null || axis === undefined ? undefined : [axis].flat().map((one) => positive(one, x.rank))),
  concatenate: (/** @type {any} */ tf, /** @type {any} */ { xs, axis }) => tf.concat(xs, positive(axis ?? 0, xs[0].rank)),
  stack: (/** @type {any} */ tf, /** @type {any} */ { x, axis }) => tf.stack(x, positive(axis ?? 0, x[0].rank + 1)),
  unstack: (/** @type {any} */ tf, /** @type {any} */ { x, axis }) => tf.unstack(x, positive(axis ?? 0, x.rank)),
  split,
  tile: (/** @type {any} */ tf, /** @type {any} */ { x, repeats }) => {
    const times = [repeats].flat();
    const rank = Math.max(times.length, x.rank);
    return tf.tile(tf.reshape(x, [...Array(rank - x.rank).fill(1), ...x.shape]), [...Array(rank - times.length).fill(1), ...times]);
  },
  repeat: (/** @type {any} */ tf, /** @type {any} */ { x, repeats, axis }) => {
    const flat = axis === null || axis === undefined ? tf.reshape(x, [-1]) : x;
    const at = positive(axis ?? 0, flat.rank);
    const shape = flat.shape.slice();
    shape[at] *= repeats;
    return tf.reshape(tf.tile(tf.expandDims(flat, at + 1), range(flat.rank + 1).map((i) => (i === at + 1 ? repeats : 1))), shape);
  },
  flip: (/** @type {any} */ tf, /** @type {any} */ { x, axis }) => tf.reverse(x, axis === null || axis === undefined ? undefined : [axis].flat().map((one) => positive(one, x.rank))),
  roll: (/** @type {any} */ tf, /** @type {any} */ { x, shift, axis }) => {
    const at = positive(axis, x.rank);
    const size = x.shape[at];
    const start = (((-shift % size) + size) % size);
    return tf.concat([narrow(tf, x, at, start, size - start), narrow(tf, x, at, 0, start)], at);
  },
  pad: (/** @type {any} */ tf, /** @type {any} */ { x, pad_width: widths, mode, constant_values: value }) => {
    if (mode === 'constant') return tf.pad(x, widths, value ?? 0);
    return tf.mirrorPad(x, widths, mode);
  },
  broadcast_to: (/** @type {any} */ tf, /** @type {any} */ { x, shape }) => tf.broadcastTo(x, shape.map((/** @type {any} */ size, /** @type {number} */ i) => size ?? x.shape[i - shape.length + x.rank])),
  take: (/** @type {any} */ tf, /** @type {any} */ { x, indices, axis }) => {
    const flat = axis === null || axis === undefined ? tf.reshape(x, [-1]) : x;
    const at = positive(axis ?? 0, flat.rank);
    const found = tf.cast(indices, 'int32');
    return tf.gather(flat, tf.where(tf.less(found, 0), tf.add(found, tf.scalar(flat.shape[at], 'int32')), found), at);
  },
  get_item: getItem,
  one_hot: (/** @type {any} */ tf, /** @type {any} */ { x, num_classes: depth }) => tf.cast(tf.oneHot(tf.cast(x, 'int32'), depth), 'float32'),
  normalize: (/** @type {any} */ tf, /** @type {any} */ { x, axis, epsilon }) => tf.div(x, tf.sqrt(tf.maximum(tf.sum(tf.square(x), axis ?? -1, true), epsilon ?? 1e-12))),
  layer_normalization: (/** @type {any} */ tf, /** @type {any} */ { x, axis, epsilon }) => {
    const { mean, variance } = tf.moments(x, [axis ?? -1].flat().map((one) => positive(one, x.rank)), true);
    return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, epsilon ?? 1e-3)));
  },
  outer: (/** @type {any} */ tf, /** @type {any} */ { x1, x2 }) => tf.matMul(tf.reshape(x1, [-1, 1]), tf.reshape(x2, [1, -1])),
  tensordot: (/** @type {any} */ tf, /** @type {any} */ { x1, x2, axes }) => tensordot(tf, x1, x2, axes ?? 2),
});

/**
 * @param {any} tf
 * @param {any} x
 */
function float(tf, x) {
  return typeof x === 'number' || x.dtype === 'float32' ? x : tf.cast(x, 'float32');
}

/** @param {any} options */
function defined(options) {
  /** @type {[string, any][]} */
  const entries = Object.entries(options).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(entries.map(([key, value]) => [key.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()), value]));
}

/**
 * Two values of one type: TensorFlow.js makes a number the type of neither.
 *
 * @param {any} tf
 * @param {any} a
 * @param {any} b
 */
function alike(tf, a, b) {
  const tensors = [a, b].map((value) => (typeof value === 'number' || typeof value === 'boolean' ? tf.scalar(Number(value)) : value));
  const types = tensors.map((tensor) => tensor.dtype);
  const dtype = types.includes('float32') ? 'float32' : types.includes('int32') ? 'int32' : types[0];
  return tensors.map((tensor) => (tensor.dtype === dtype ? tensor : tf.cast(tensor, dtype)));
}

/**
 * @param {any} tf
 * @param {'argMax' | 'argMin'} own
 * @param {any} args
 */
function extremum(tf, own, { x, axis, keepdims }) {
  if (axis === null || axis === undefined) return tf[own](tf.reshape(x, [-1]), 0);
  const at = positive(axis, x.rank);
  const found = tf[own](x, at);
  return keepdims ? tf.expandDims(found, at) : found;
}

/**
 * @param {any} tf
 * @param {any} args
 */
function matmul(tf, { x1, x2 }) {
  const [a, b] = alike(tf, x1, x2);
  const left = a.rank === 1 ? tf.expandDims(a, 0) : a;
  const right = b.rank === 1 ? tf.expandDims(b, 1) : b;
  const rank = Math.max(left.rank, right.rank);
  const [p, q] = [left, right].map((x) => tf.reshape(x, [...Array(rank - x.rank).fill(1), ...x.shape]));
  const batch = range(rank - 2).map((i) => Math.max(p.shape[i], q.shape[i]));
  const [full, other] = [p, q].map((x) => {
    const shape = [...batch, ...x.shape.slice(-2)];
    return shape.every((size, i) => size === x.shape[i]) ? x : tf.broadcastTo(x, shape);
  });
  let y = tf.matMul(full, other);
  if (b.rank === 1) y = tf.squeeze(y, [y.rank - 1]);
  return a.rank === 1 ? tf.squeeze(y, [y.rank - (b.rank === 1 ? 1 : 2)]) : y;
}

/**
 * @param {any} tf
 * @param {any} a
 * @param {any} b
 * @param {any} axes
 */
function tensordot(tf, a, b, axes) {
  const [left, right] = typeof axes === 'number' ? [range(axes).map((i) => a.rank - axes + i), range(axes)] : axes.map((/** @type {any} */ side) => [side].flat());
  const inLeft = left.map((/** @type {number} */ axis) => positive(axis, a.rank));
  const inRight = right.map((/** @type {number} */ axis) => positive(axis, b.rank));
  const freeLeft = range(a.rank).filter((axis) => !inLeft.includes(axis));
  const freeRight = range(b.rank).filter((axis) => !inRight.includes(axis));
  const size = inLeft.reduce((/** @type {number} */ total, /** @type {number} */ axis) => total * a.shape[axis], 1);
  const x = tf.reshape(tf.transpose(a, [...freeLeft, ...inLeft]), [-1, size]);
  const y = tf.reshape(tf.transpose(b, [...inRight, ...freeRight]), [size, -1]);
  return tf.reshape(tf.matMul(x, y), [...freeLeft.map((axis) => a.shape[axis]), ...freeRight.map((axis) => b.shape[axis])]);
}

/**
 * @param {any} tf
 * @param {any} args
 */
function split(tf, { x, indices_or_sections: sections, axis }) {
  const at = positive(axis ?? 0, x.rank);
  if (!Array.isArray(sections)) return tf.split(x, sections, at);
  const edges = [0, ...sections, x.shape[at]];
  return sections.concat(null).map((/** @type {any} */ _, /** @type {number} */ i) => narrow(tf, x, at, edges[i], edges[i + 1] - edges[i]));
}

/**
 * `x[key]` of numpy with whole numbers, slices, ellipses and new axes.
 *
 * @param {any} tf
 * @param {any} args
 */
function getItem(tf, { x, key }) {
  const keys = Array.isArray(key) ? key : [key];
  const used = keys.filter((/** @type {any} */ one) => one !== null && !one?.ellipsis).length;
  const all = { slice: [null, null, null] };
  const at = keys.findIndex((/** @type {any} */ one) => one?.ellipsis);
  const missing = Array(Math.max(0, x.rank - used)).fill(all);
  const full = at < 0 ? [...keys, ...missing] : [...keys.slice(0, at), ...missing, ...keys.slice(at + 1)];
  let y = x;
  let axis = 0;
  /** @type {number[]} */
  const dropped = [];
  for (const one of full) {
    if (one === null) {
      y = tf.expandDims(y, axis);
    } else if (typeof one === 'number') {
      y = narrow(tf, y, axis, one < 0 ? one + y.shape[axis] : one, 1);
      dropped.push(axis);
    } else {
      y = sliced(tf, y, axis, one.slice);
    }
    axis++;
  }
  return dropped.length ? tf.squeeze(y, dropped) : y;
}

/**
 * @param {any} tf
 * @param {any} x
 * @param {number} axis
 * @param {(number | null)[]} slice start, stop, step
 */
function sliced(tf, x, axis, [start, stop, step]) {
  const size = x.shape[axis];
  if ((step ?? 1) < 0) {
    const turn = (/** @type {number | null} */ place) => (place === null ? null : size - 1 - (place < 0 ? place + size : place));
    return sliced(tf, tf.reverse(x, [axis]), axis, [turn(start), turn(stop), -(/** @type {number} */ (step))]);
  }
  const place = (/** @type {number | null} */ value, /** @type {number} */ otherwise) => {
    if (value === null || value === undefined) return otherwise;
    return Math.min(Math.max(value < 0 ? value + size : value, 0), size);
  };
  const from = place(start, 0);
  const count = Math.max(place(stop, size) - from, 0);
  const cut = from === 0 && count === size ? x : padOrCrop(tf, x, x.shape.map((/** @type {number} */ _, /** @type {number} */ i) => (i === axis ? [-from, from + count - size] : [0, 0])));
  return everyNth(tf, cut, axis, step ?? 1);
}

module.exports = { operations };
