'use strict';

/**
 * Einstein sums out of transpositions and matrix products, which have gradients; the einsum of TensorFlow.js has none.
 *
 * @param {any} tf
 * @param {string} equation such as `abc,cd->abd`; an ellipsis stands for the axes that are not named
 * @param {any[]} operands
 */
function einsum(tf, equation, operands) {
  const { inputs, output } = labelsOf(equation, operands);
  let [labels] = inputs;
  let value = operands[0];
  for (let i = 1; i < operands.length; i++) {
    const later = new Set([...inputs.slice(i + 1).flat(), ...output]);
    [value, labels] = product(tf, value, labels, operands[i], inputs[i], later);
  }
  value = summed(tf, value, labels, new Set(output));
  labels = labels.filter((label) => output.includes(label));
  return arranged(tf, value, labels, output);
}

/**
 * @param {string} equation
 * @param {any[]} operands
 */
function labelsOf(equation, operands) {
  const [left, right] = equation.replace(/\s/g, '').split('->');
  const named = left.split(',');
  if (named.length !== operands.length) throw new RangeError(`einsum ${equation} takes ${named.length} tensors, ${operands.length} were given`);
  const inputs = named.map((part, i) => expand(part, operands[i].rank));
  if (right === undefined) {
    const all = inputs.flat();
    return { inputs, output: [...new Set(all)].filter((label) => all.filter((other) => other === label).length === 1).sort() };
  }
  const unnamed = inputs.map((labels) => labels.filter((label) => label.startsWith('.'))).sort((a, b) => b.length - a.length)[0];
  const output = right.includes('...') ? [...right.slice(0, right.indexOf('...')), ...unnamed, ...right.slice(right.indexOf('...') + 3)] : [...right];
  return { inputs, output };
}

/**
 * @param {string} part
 * @param {number} rank
 * @returns {string[]} a label for each axis
 */
function expand(part, rank) {
  const at = part.indexOf('...');
  if (at < 0) return [...part];
  const count = rank - (part.length - 3);
  // Counted from the right, as axes that are broadcast line up.
  const unnamed = Array.from({ length: count }, (_, i) => `.${count - i}`);
  return [...part.slice(0, at), ...unnamed, ...part.slice(at + 3)];
}

/**
 * @param {any} tf
 * @param {any} a
 * @param {string[]} aLabels
 * @param {any} b
 * @param {string[]} bLabels
 * @param {Set<string>} wanted
 * @returns {[any, string[]]}
 */
function product(tf, a, aLabels, b, bLabels, wanted) {
  const left = summed(tf, a, aLabels, new Set([...wanted, ...bLabels]));
  const right = summed(tf, b, bLabels, new Set([...wanted, ...aLabels]));
  const inLeft = aLabels.filter((label) => wanted.has(label) || bLabels.includes(label));
  const inRight = bLabels.filter((label) => wanted.has(label) || aLabels.includes(label));
  const both = inLeft.filter((label) => inRight.includes(label));
  const batch = both.filter((label) => wanted.has(label));
  const contracted = both.filter((label) => !wanted.has(label));
  const leftOnly = inLeft.filter((label) => !both.includes(label));
  const rightOnly = inRight.filter((label) => !both.includes(label));
  /** @type {Record<string, number>} */
  const size = {};
  inLeft.forEach((label, axis) => (size[label] = left.shape[axis]));
  inRight.forEach((label, axis) => (size[label] = right.shape[axis]));
  const count = (/** @type {string[]} */ labels) => labels.reduce((total, label) => total * size[label], 1);
  const x = tf.reshape(arranged(tf, left, inLeft, [...batch, ...leftOnly, ...contracted]), [count(batch), count(leftOnly), count(contracted)]);
  const y = tf.reshape(arranged(tf, right, inRight, [...batch, ...contracted, ...rightOnly]), [count(batch), count(contracted), count(rightOnly)]);
  const labels = [...batch, ...leftOnly, ...rightOnly];
  return [tf.reshape(tf.matMul(x, y), labels.map((label) => size[label])), labels];
}

/**
 * @param {any} tf
 * @param {any} x
 * @param {string[]} labels
 * @param {Set<string>} kept
 */
function summed(tf, x, labels, kept) {
  const axes = labels.flatMap((label, axis) => (kept.has(label) ? [] : [axis]));
  return axes.length ? tf.sum(x, axes) : x;
}

/**
 * @param {any} tf
 * @param {any} x
 * @param {string[]} labels
 * @param {string[]} wanted
 */
function arranged(tf, x, labels, wanted) {
  const order = wanted.map((label) => labels.indexOf(label));
  return order.every((axis, i) => axis === i) ? x : tf.transpose(x, order);
}

module.exports = { einsum, expand };
