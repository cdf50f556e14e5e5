'use strict';

const { activation } = require('./activation_functions');
const { convolve, convolvedSize } = require('./convolve');
const { repeated } = require('./support');

/**
 * The cells of Keras 3: which weights they have and what they compute in one step. `host` is the layer that owns the weights.
 *
 * @typedef {{
 *   sizes: (inputShape: any) => number[][],
 *   build: (inputShape: any) => void,
 *   step: (x: any, states: any[], noise: Noise) => [any, any[]],
 * }} Cell  `inputShape` is of one step, with the batch; sizes are those of the states without it
 * @typedef {{input: any, recurrent: any}} Noise  what dropout multiplies by in every step, or null
 */

/**
 * @param {any} tf
 * @param {any} host
 * @param {any} settings
 * @returns {Cell}
 */
function simpleCell(tf, host, settings) {
  const units = settings.units;
  return {
    sizes: () => [[units]],
    build: (inputShape) => addWeights(host, settings, inputShape[inputShape.length - 1], 1),
    step: (x, [h], { input, recurrent }) => {
      const y = tf.add(withBias(tf, tf.matMul(noisy(tf, x, input), host.kernel.read()), host.bias), tf.matMul(noisy(tf, h, recurrent), host.recurrentKernel.read()));
      const next = activation(settings.activation ?? 'tanh')(tf, y);
      return [next, [next]];
    },
  };
}

/**
 * @param {any} tf
 * @param {any} host
 * @param {any} settings
 * @returns {Cell}
 */
function lstmCell(tf, host, settings) {
  return {
    sizes: () => [[settings.units], [settings.units]],
    build: (inputShape) => addWeights(host, settings, inputShape[inputShape.length - 1], 4),
    step: (x, [h, c], { input, recurrent }) => {
      const act = activation(settings.activation ?? 'tanh');
      const gate = activation(settings.recurrentActivation ?? 'sigmoid');
      const y = tf.add(tf.matMul(noisy(tf, x, input), host.kernel.read()), tf.matMul(noisy(tf, h, recurrent), host.recurrentKernel.read()));
      const [i, f, g, o] = tf.split(withBias(tf, y, host.bias), 4, 1);
      const carry = tf.add(tf.mul(gate(tf, f), c), tf.mul(gate(tf, i), act(tf, g)));
      const next = tf.mul(gate(tf, o), act(tf, carry));
      return [next, [next, carry]];
    },
  };
}

/**
 * @param {any} tf
 * @param {any} host
 * @param {any} settings
 * @returns {Cell}
 */
function gruCell(tf, host, settings) {
  const { units } = settings;
  const resetAfter = settings.resetAfter ?? true;
  return {
    sizes: () => [[units]],
    build: (inputShape) => addWeights(host, settings, inputShape[inputShape.length - 1], 3, resetAfter ? [2, 3 * units] : [3 * units]),
    step: (x, [h], { input, recurrent }) => {
      const act = activation(settings.activation ?? 'tanh');
      const gate = activation(settings.recurrentActivation ?? 'sigmoid');
      const bias = host.bias?.read();
      const [inputBias, recurrentBias] = bias && resetAfter ? tf.unstack(bias) : [bias, null];
      const fromInput = tf.matMul(noisy(tf, x, input), host.kernel.read());
      const [xz, xr, xh] = tf.split(bias ? tf.add(fromInput, inputBias) : fromInput, 3, 1);
      const seen = noisy(tf, h, recurrent);
      const kernel = host.recurrentKernel.read();
      /** @type {any} */
      let z;
      /** @type {any} */
      let candidate;
      if (resetAfter) {
        const fromState = tf.matMul(seen, kernel);
        const [hz, hr, hh] = tf.split(recurrentBias ? tf.add(fromState, recurrentBias) : fromState, 3, 1);
        z = gate(tf, tf.add(xz, hz));
        candidate = act(tf, tf.add(xh, tf.mul(gate(tf, tf.add(xr, hr)), hh)));
      } else {
        const gates = tf.matMul(seen, tf.slice(kernel, [0, 0], [units, 2 * units]));
        const [hz, hr] = tf.split(gates, 2, 1);
        z = gate(tf, tf.add(xz, hz));
        const reset = tf.mul(gate(tf, tf.add(xr, hr)), seen);
        candidate = act(tf, tf.add(xh, tf.matMul(reset, tf.slice(kernel, [0, 2 * units], [units, units]))));
      }
      const next = tf.add(tf.mul(z, h), tf.mul(tf.sub(1, z), candidate));
      return [next, [next]];
    },
  };
}

/**
 * @param {any} tf
 * @param {any} host
 * @param {any} settings
 * @param {number} rank
 * @returns {Cell} that works with the channels last
 */
function convLstmCell(tf, host, settings, rank) {
  const { filters } = settings;
  const window = repeated(settings.kernelSize, rank);
  const geometry = {
    strides: repeated(settings.strides ?? 1, rank),
    dilation: repeated(settings.dilationRate ?? 1, rank),
    padding: settings.padding ?? 'valid',
  };
  const ones = Array(rank).fill(1);
  /** @param {any} inputShape */
  const sizes = (inputShape) => {
    const { strides, dilation, padding } = geometry;
    const spatial = window.map((size, i) => /** @type {number} */ (convolvedSize(inputShape[i + 1], size, strides[i], dilation[i], padding)));
    return [[...spatial, filters], [...spatial, filters]];
  };
  return {
    sizes,
    build: (inputShape) => {
      host.kernel = host.weight('kernel', [...window, inputShape[inputShape.length - 1], 4 * filters]);
      host.recurrentKernel = host.weight('recurrent_kernel', [...window, filters, 4 * filters], { kind: 'recurrent' });
      if (settings.useBias ?? true) host.bias = host.weight('bias', [4 * filters]);
    },
    step: (x, [h, c], { input, recurrent }) => {
      const act = activation(settings.activation ?? 'tanh');
      const gate = activation(settings.recurrentActivation ?? 'sigmoid');
      const fromInput = withBias(tf, convolve(tf, noisy(tf, x, input), host.kernel.read(), geometry), host.bias);
      const fromState = convolve(tf, noisy(tf, h, recurrent), host.recurrentKernel.read(), { strides: ones, dilation: ones, padding: 'same' });
      const [i, f, g, o] = tf.split(tf.add(fromInput, fromState), 4, rank + 1);
      const carry = tf.add(tf.mul(gate(tf, f), c), tf.mul(gate(tf, i), act(tf, g)));
      const next = tf.mul(gate(tf, o), act(tf, carry));
      return [next, [next, carry]];
    },
  };
}

/**
 * @param {any} host
 * @param {any} settings
 * @param {number} channels
 * @param {number} gates
 * @param {number[]} [biasShape]
 */
function addWeights(host, settings, channels, gates, biasShape = [gates * settings.units]) {
  host.kernel = host.weight('kernel', [channels, gates * settings.units]);
  host.recurrentKernel = host.weight('recurrent_kernel', [settings.units, gates * settings.units], { kind: 'recurrent' });
  if (settings.useBias ?? true) host.bias = host.weight('bias', biasShape);
}

/**
 * @param {any} tf
 * @param {any} x
 * @param {any} bias
 */
function withBias(tf, x, bias) {
  return bias ? tf.add(x, bias.read()) : x;
}

/**
 * @param {any} tf
 * @param {any} x
 * @param {any} noise
 */
function noisy(tf, x, noise) {
  return noise ? tf.mul(x, noise) : x;
}

module.exports = { simpleCell, lstmCell, gruCell, convLstmCell };
