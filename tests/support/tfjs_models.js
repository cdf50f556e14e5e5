'use strict';

/** Small models of every layer class of TensorFlow.js, built, run and saved by TensorFlow.js itself. */

const path = require('node:path');
const tf = require('@tensorflow/tfjs-node');

/** @param {number} seed */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const L = tf.layers;
const image = (channels = 3) => tf.input({ shape: [6, 5, channels], name: 'image' });
const series = (steps = 4, features = 3) => tf.input({ shape: [steps, features], name: 'series' });
const volume = () => tf.input({ shape: [4, 4, 4, 2], name: 'volume' });
const vector = (size = 4, name = 'vector') => tf.input({ shape: [size], name });
const film = () => tf.input({ shape: [3, 5, 5, 2], name: 'film' });
/** @param {any} input @param {...any} layers */
const chain = (input, ...layers) => tf.model({ inputs: input, outputs: layers.reduce((x, layer) => layer.apply(x), input) });
const conv = { filters: 2, kernelSize: 3 };
const unit = { units: 3, kernelInitializer: 'glorotUniform', recurrentInitializer: 'glorotUniform' };
const gates = ['sigmoid', 'hardSigmoid'];

/** @returns {any} a model with a branch that is added back */
function residual() {
  const input = image();
  const a = L.conv2d({ ...conv, filters: 3, padding: 'same', name: 'a' }).apply(input);
  return tf.model({ inputs: input, outputs: L.add({ name: 'sum' }).apply([input, a]), name: 'residual' });
}

/** @returns {any} one Dense layer used three times, twice on its own output */
function shared() {
  const [one, two] = [vector(4, 'one'), vector(4, 'two')];
  const dense = L.dense({ units: 4, name: 'shared', activation: 'tanh' });
  const first = dense.apply(one);
  const outputs = [L.add({ name: 'sum' }).apply([first, dense.apply(two)]), dense.apply(first)];
  return tf.model({ inputs: [one, two], outputs });
}

/** @returns {any} models inside models, one of them used twice */
function nested() {
  const deep = chain(vector(3, 'deep_in'), L.dense({ units: 3, name: 'deep' }));
  deep.name = 'deep_model';
  const inner = tf.sequential({ name: 'inner', layers: [L.dense({ units: 3, inputShape: [4], name: 'first' }), deep] });
  const [one, two] = [vector(4, 'one'), vector(4, 'two')];
  const joined = L.concatenate({ name: 'join' }).apply([inner.apply(one), inner.apply(two)]);
  return tf.model({ inputs: [one, two], outputs: L.dense({ units: 2, name: 'last' }).apply(joined), name: 'outer' });
}

/** @returns {any} a model of two inputs and two outputs inside another, its outputs crossed */
function crossed() {
  const [a, b] = [vector(3, 'a'), vector(3, 'b')];
  const inner = tf.model({
    inputs: [a, b],
    outputs: [L.dense({ units: 2, name: 'da' }).apply(a), L.dense({ units: 3, name: 'db' }).apply(b)],
    name: 'two',
  });
  const [one, two] = [vector(3, 'one'), vector(3, 'two_in')];
  const [x, y] = inner.apply([two, one]);
  return tf.model({ inputs: [one, two], outputs: [y, x] });
}

/** @param {(state: any[]) => any} layer @param {number} states */
function withState(layer, states) {
  const inputs = [series(), ...Array.from({ length: states }, (_, i) => vector(3, `state${i}`))];
  return tf.model({ inputs, outputs: layer(inputs) });
}

/** @type {Record<string, () => any>} */
const CASES = {
  residual,
  shared,
  nested,
  crossed,
  sequential: () => tf.sequential({ layers: [L.dense({ units: 3, inputShape: [4], activation: 'relu' }), L.dropout({ rate: 0.5 }), L.dense({ units: 2 })] }),
  sequential_nested: () => {
    const base = chain(image(), L.conv2d({ ...conv, name: 'c' }));
    return tf.sequential({ layers: [base, L.flatten(), L.dense({ units: 2, activation: 'softmax' })] });
  },
  frozen: () => chain(vector(), L.dense({ units: 3, trainable: false }), L.batchNormalization({ trainable: false })),
  options: () => {
    const dense = L.dense({
      units: 3,
      kernelInitializer: tf.initializers.varianceScaling({ scale: 2, mode: 'fanOut', distribution: 'normal', seed: 3 }),
      biasInitializer: tf.initializers.constant({ value: 0.5 }),
      kernelRegularizer: tf.regularizers.l1l2({ l1: 0.1, l2: 0.2 }),
      biasRegularizer: 'l1l2',
    });
    const orthogonal = L.dense({ units: 3, kernelInitializer: 'orthogonal', biasInitializer: 'randomNormal', kernelRegularizer: tf.regularizers.l2({ l2: 0.1 }) });
    const uniform = L.dense({ units: 3, kernelInitializer: 'leCunNormal', biasInitializer: 'truncatedNormal', useBias: true });
    return chain(vector(), dense, orthogonal, uniform, L.dense({ units: 2, kernelInitializer: 'heUniform', biasInitializer: 'randomUniform' }));
  },
  constraints: () => {
    const first = L.dense({ units: 3, kernelConstraint: tf.constraints.maxNorm({ maxValue: 20, axis: 1 }), biasConstraint: tf.constraints.minMaxNorm({ minValue: 0, maxValue: 20 }) });
    return chain(vector(), first, L.dense({ units: 3, kernelConstraint: 'nonNeg' }), L.dense({ units: 3, kernelConstraint: 'unitNorm' }));
  },
  ...Object.fromEntries(
    ['elu', 'gelu', 'hardSigmoid', 'linear', 'logSoftmax', 'mish', 'relu', 'relu6', 'selu', 'sigmoid', 'softmax', 'softplus', 'softsign', 'swish', 'tanh'].map(
      (name) => [`activation_${name}`, () => chain(vector(), L.activation({ activation: /** @type {any} */ (name) }), L.dense({ units: 3, activation: /** @type {any} */ (name) }))],
    ),
  ),
  relu: () => chain(vector(), L.reLU(), L.reLU({ maxValue: 0.5 })),
  leaky: () => chain(vector(), L.leakyReLU(), L.leakyReLU({ alpha: 0.1 })),
  prelu: () => chain(image(), L.prelu({ alphaInitializer: 'ones' }), L.prelu({ sharedAxes: [1, 2] })),
  elu: () => chain(vector(), L.elu()),
  thresholded: () => chain(vector(), L.thresholdedReLU({ theta: 0.3 }), L.thresholdedReLU()),
  softmax: () => chain(series(), L.softmax({ axis: -1 }), L.softmax({ axis: 2 })),
  softmax_default: () => chain(vector(), L.softmax()),
  conv1d: () => chain(series(9), L.conv1d({ ...conv, strides: 2, padding: 'same' }), L.conv1d({ filters: 2, kernelSize: 2, dilationRate: 2, useBias: false })),
  conv2d: () => chain(image(), L.conv2d({ ...conv, strides: [2, 1], padding: 'same', activation: 'elu' }), L.conv2d({ filters: 2, kernelSize: [1, 2], dilationRate: 2 })),
  conv2d_first: () => chain(tf.input({ shape: [3, 6, 5] }), L.conv2d({ ...conv, dataFormat: 'channelsFirst', activation: 'softmax' })),
  conv3d: () => chain(volume(), L.conv3d({ ...conv, padding: 'same', strides: 2 })),
  conv2d_transpose: () => chain(image(), L.conv2dTranspose({ ...conv, strides: 2, padding: 'same' }), L.conv2dTranspose({ filters: 1, kernelSize: [3, 2], strides: [1, 2] })),
  conv3d_transpose: () => chain(volume(), L.conv3dTranspose({ ...conv, strides: 2 }), L.conv3dTranspose({ ...conv, strides: 1, padding: 'same', useBias: false })),
  separable: () => chain(image(), L.separableConv2d({ ...conv, depthMultiplier: 2, padding: 'same', activation: 'relu' }), L.separableConv2d({ ...conv, useBias: false, strides: 2 })),
  depthwise: () => chain(image(), L.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same', depthwiseRegularizer: 'l1l2' }), L.depthwiseConv2d({ kernelSize: 2, strides: 2, useBias: false })),
  cropping: () => chain(image(), L.cropping2D({ cropping: [[1, 2], [0, 1]] })),
  upsampling: () => chain(image(), L.upSampling2d({ size: [2, 3] })),
  padding: () => chain(image(), L.zeroPadding2d({ padding: [[1, 0], [2, 3]] }), L.zeroPadding2d()),
  pooling1d: () => chain(series(9), L.maxPooling1d({ poolSize: 2 }), L.averagePooling1d({ poolSize: 2, strides: 1, padding: 'same' })),
  pooling2d: () => chain(image(), L.maxPooling2d({ poolSize: 2, strides: 1 }), L.averagePooling2d({ poolSize: [3, 2], strides: [1, 2], padding: 'same' })),
  pooling2d_default: () => chain(image(), L.maxPooling2d({ poolSize: 2, padding: 'same' }), L.averagePooling2d({ poolSize: 2 })),
  pooling3d: () => chain(volume(), L.maxPooling3d({ poolSize: 2, strides: 1, padding: 'same' }), L.averagePooling3d({ poolSize: 2, strides: 2 })),
  global1d: () => tf.model(((x) => ({ inputs: x, outputs: [L.globalAveragePooling1d().apply(x), L.globalMaxPooling1d().apply(x)] }))(series())),
  global2d: () =>
    tf.model(
      ((x) => ({ inputs: x, outputs: [L.globalAveragePooling2d({}).apply(x), L.globalMaxPooling2d({ dataFormat: 'channelsFirst' }).apply(x)] }))(image()),
    ),
  batch_normalization: () => chain(image(), L.batchNormalization(), L.batchNormalization({ axis: 1, epsilon: 0.1, momentum: 0.5, scale: false }), L.batchNormalization({ center: false })),
  layer_normalization: () => chain(image(), L.layerNormalization(), L.layerNormalization({ axis: [1, 2], epsilon: 0.1 }), L.layerNormalization({ scale: false, center: false })),
  shapes: () => chain(image(), L.reshape({ targetShape: [3, 30] }), L.reshape({ targetShape: [9, 10] }), L.permute({ dims: [2, 1] }), L.flatten(), L.repeatVector({ n: 2 })),
  flatten_first: () => chain(image(), L.flatten({ dataFormat: 'channelsFirst' })),
  noise: () => chain(image(), L.gaussianNoise({ stddev: 1 }), L.gaussianDropout({ rate: 0.3 }), L.alphaDropout({ rate: 0.3 }), L.dropout({ rate: 0.5, noiseShape: [2, 1, 1, 3], seed: 3 })),
  spatial_dropout: () => chain(series(), L.spatialDropout1d({ rate: 0.3 })),
  rescaling: () => chain(image(), L.rescaling({ scale: 1 / 127.5, offset: -1 })),
  embedding: () => chain(tf.input({ shape: [4], dtype: 'int32', name: 'words' }), L.embedding({ inputDim: 7, outputDim: 3, embeddingsRegularizer: 'l1l2' })),
  embedding_sequential: () => tf.sequential({ layers: [L.embedding({ inputDim: 7, outputDim: 3, inputLength: 4 }), L.flatten(), L.dense({ units: 2 })] }),
  embedding_masked: () => chain(tf.input({ shape: [4], dtype: 'int32', name: 'words' }), L.embedding({ inputDim: 7, outputDim: 3, maskZero: true }), L.lstm(unit)),
  masking: () => chain(series(), L.masking({ maskValue: 0 }), L.gru({ ...unit, returnSequences: true }), L.simpleRNN(unit)),
  masked_bidirectional: () => chain(series(), L.masking(), L.bidirectional({ layer: /** @type {any} */ (L.lstm(unit)) }), L.dense({ units: 2 })),
  ...Object.fromEntries(
    ['add', 'multiply', 'average', 'maximum', 'minimum'].map((name) => [
      `merge_${name}`,
      () => {
        const inputs = [image(), tf.input({ shape: [6, 5, 3], name: 'other' }), tf.input({ shape: [1, 3], name: 'small' })];
        return tf.model({ inputs, outputs: /** @type {any} */ (L)[name]().apply(inputs) });
      },
    ]),
  ),
  concatenate: () => tf.model((([a, b]) => ({ inputs: [a, b], outputs: L.concatenate({ axis: 1 }).apply([a, b]) }))([series(), tf.input({ shape: [2, 3], name: 'more' })])),
  dot_vectors: () => tf.model((([a, b]) => ({ inputs: [a, b], outputs: L.dot({ axes: -1, normalize: true }).apply([a, b]) }))([vector(), vector(4, 'other')])),
  dot_matrices: () => tf.model((([a, b]) => ({ inputs: [a, b], outputs: L.dot({ axes: [2, 1] }).apply([a, b]) }))([series(), tf.input({ shape: [3, 5], name: 'other' })])),
  dot_same_axis: () => tf.model((([a, b]) => ({ inputs: [a, b], outputs: L.dot({ axes: 1 }).apply([a, b]) }))([series(), tf.input({ shape: [4, 5], name: 'other' })])),
  dot_mixed: () => tf.model((([a, b]) => ({ inputs: [a, b], outputs: L.dot({ axes: [2, 1] }).apply([a, b]) }))([series(), vector(3)])),
  simple_rnn: () => chain(series(), L.simpleRNN({ ...unit, returnSequences: true, activation: 'relu' }), L.simpleRNN({ ...unit, useBias: false, goBackwards: true })),
  ...Object.fromEntries(gates.flatMap((gate) => [
    [`lstm_${gate}`, () => chain(series(), L.lstm({ ...unit, recurrentActivation: /** @type {any} */ (gate), returnSequences: true, unitForgetBias: true }), L.lstm({ ...unit, goBackwards: true, dropout: 0.2 }))],
    [`gru_${gate}`, () => chain(series(), L.gru({ ...unit, recurrentActivation: /** @type {any} */ (gate), returnSequences: true, goBackwards: true }), L.gru({ ...unit, useBias: false }))],
  ])),
  lstm_states: () => {
    const input = series();
    return tf.model({ inputs: input, outputs: /** @type {any} */ (L.lstm({ ...unit, returnState: true }).apply(input)) });
  },
  lstm_initial_state: () => withState(([x, ...state]) => L.lstm(unit).apply(x, { initialState: state }), 2),
  gru_initial_state: () => withState(([x, ...state]) => L.gru({ ...unit, returnSequences: true }).apply(x, { initialState: state }), 1),
  bidirectional_initial_state: () => withState(([x, ...state]) => L.bidirectional({ layer: /** @type {any} */ (L.gru(unit)) }).apply(x, { initialState: state }), 2),
  stateful: () => chain(tf.input({ batchShape: [2, 4, 3], name: 'series' }), L.lstm({ ...unit, stateful: true })),
  ...Object.fromEntries([null, 'concat', 'sum', 'mul', 'ave'].map((mode) => [
    `bidirectional_${mode}`,
    () => {
      const input = series();
      const layer = L.bidirectional({ layer: /** @type {any} */ (L.lstm({ ...unit, returnSequences: true })), mergeMode: /** @type {any} */ (mode) });
      return tf.model({ inputs: input, outputs: /** @type {any} */ (layer.apply(input)) });
    },
  ])),
  bidirectional_states: () => {
    const input = series();
    const layer = L.bidirectional({ layer: /** @type {any} */ (L.gru({ ...unit, returnState: true })), mergeMode: 'concat' });
    return tf.model({ inputs: input, outputs: /** @type {any} */ (layer.apply(input)) });
  },
  time_distributed: () => chain(series(), L.timeDistributed({ layer: L.dense({ units: 2, activation: 'relu' }) })),
  time_distributed_conv: () => chain(film(), L.timeDistributed({ layer: L.conv2d(conv) }), L.timeDistributed({ layer: L.flatten() })),
  time_distributed_model: () => chain(film(), L.timeDistributed({ layer: chain(tf.input({ shape: [5, 5, 2] }), L.conv2d({ ...conv, name: 'inside' }), L.flatten()) })),
  rnn_cell: () => chain(series(), L.rnn({ cell: L.gruCell(unit), returnSequences: true })),
  rnn_stacked: () => chain(series(), L.rnn({ cell: L.stackedRNNCells({ cells: [L.lstmCell(unit), L.gruCell({ units: 4 }), L.simpleRNNCell({ units: 2 })] }) })),
  conv_lstm: () => chain(film(), L.convLstm2d({ ...conv, padding: 'same', returnSequences: true, recurrentActivation: 'sigmoid' }), L.convLstm2d({ ...conv, strides: 2 })),
};

/**
 * Builds all models, gives them random weights, runs them, and saves them below a folder.
 *
 * @param {string} folder
 * @param {string[]} [only] names of cases; by default all
 * @returns {Promise<Record<string, {inputs: object[], outputs: object[]} | {error: string}>>}
 */
async function writeAll(folder, only) {
  /** @type {Record<string, any>} */
  const results = {};
  for (const name of only ?? Object.keys(CASES)) {
    try {
      results[name] = await writeOne(CASES[name](), path.join(folder, name), randomOf(name.length + 1));
    } catch (error) {
      results[name] = { error: String(error) };
    }
  }
  return results;
}

/** @param {any} model @param {string} folder @param {() => number} random */
async function writeOne(model, folder, random) {
  for (const weight of model.weights) {
    const low = /variance|gamma/.test(weight.originalName) ? 0.5 : -0.8;
    weight.write(tf.tensor(Float32Array.from({ length: weight.val.size }, () => low + 1.6 * random()), weight.shape));
  }
  const inputs = model.inputs.map((/** @type {any} */ input) => {
    const shape = input.shape.map((/** @type {number | null} */ size) => size ?? 2);
    const values = Float32Array.from({ length: shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1) }, () => 4 * random() - 2);
    if (input.dtype === 'int32' || input.name.startsWith('embedding')) return tf.tensor(values.map((value) => Math.abs(Math.round(value * 2))), shape, input.dtype);
    // The last time step of the first example is masked where there are masks.
    if (shape.length === 3) values.fill(0, shape[2] * (shape[1] - 1), shape[2] * shape[1]);
    return tf.tensor(values, shape);
  });
  await model.save(`file://${folder}`);
  const predicted = model.predict(inputs.length === 1 ? inputs[0] : inputs);
  const outputs = Array.isArray(predicted) ? predicted : [predicted];
  return { inputs, outputs };
}

/**
 * Loads the models of a folder and runs them on the same inputs.
 *
 * @param {Record<string, {folder: string, inputs: any[]}>} cases
 */
async function runAll(cases) {
  /** @type {Record<string, any>} */
  const results = {};
  for (const [name, { folder, inputs }] of Object.entries(cases)) {
    try {
      const model = await tf.loadLayersModel(`file://${path.join(folder, 'model.json')}`);
      const given = inputs.map((input, i) => tf.tensor(input.data, input.shape, model.inputs[i].dtype));
      const predicted = model.predict(given.length === 1 ? given[0] : given);
      results[name] = { outputs: Array.isArray(predicted) ? predicted : [predicted] };
    } catch (error) {
      results[name] = { error: String(error) };
    }
  }
  return results;
}

/** @returns {string[]} the names of all layer classes that TensorFlow.js knows; not those of pybridge, nor of models */
function layerClasses() {
  const known = /** @type {any} */ (tf.serialization.SerializationMap).getMap().classNameMap;
  return Object.keys(known).filter((name) => {
    const [type] = known[name];
    return type.prototype instanceof L.Layer && !(type.prototype instanceof tf.LayersModel) && type !== tf.LayersModel && !name.startsWith('Pybridge');
  });
}

module.exports = { layerClasses, writeAll, runAll };
