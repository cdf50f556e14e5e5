'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { loadTensorflow } = require('../tensorflow');
const { NDArray } = require('../rpc/ndarray');

/**
 * @typedef {import('@tensorflow/tfjs-node').LayersModel} LayersModel
 * @typedef {{topology: object, names: string[], weights: NDArray[]}} LayersModelSource
 */

/** @type {AsyncLocalStorage<{left: number}>} */
const allowance = new AsyncLocalStorage();
let bounded = false;

/**
 * @param {LayersModelSource} source
 * @returns {Promise<LayersModel>}
 */
async function buildLayersModel({ topology, names, weights }) {
  const tf = loadTensorflow();
  const weightSpecs = weights.map((weight, i) => ({
    name: names[i],
    shape: weight.shape,
    dtype: /** @type {'float32'} */ (weight.dtype),
  }));
  const parts = weights.map((weight) => {
    const { buffer, byteOffset, byteLength } = /** @type {Float32Array} */ (weight.data);
    return Buffer.from(buffer, byteOffset, byteLength);
  });
  const joined = new Uint8Array(Buffer.concat(parts));
  boundWeights(tf);
  const left = weights.reduce((sum, weight) => sum + weight.data.length, 0);
  return allowance.run({ left }, () => tf.loadLayersModel(tf.io.fromMemory({ modelTopology: topology, weightSpecs, weightData: joined.buffer })));
}

/**
 * TensorFlow.js makes room for every size that a config names before it compares the weights with it. While a model is loaded,
 * its layers may ask for as many numbers as the file holds.
 *
 * @param {import('../tensorflow').TensorFlow} tf
 */
function boundWeights(tf) {
  if (bounded) return;
  bounded = true;
  const layer = /** @type {any} */ (tf.layers.Layer.prototype);
  const { addWeight } = layer;
  layer.addWeight = /** @this {any} */ function (/** @type {string} */ name, /** @type {number[]} */ shape, /** @type {any[]} */ ...rest) {
    const allowed = allowance.getStore();
    if (allowed) {
      const size = shape.reduce((product, dimension) => product * dimension, 1);
      if (!(size >= 0 && size <= allowed.left)) {
        throw new RangeError(`The layer ${this.name} needs ${name} of shape [${shape}], but the model has no such weight`);
      }
      allowed.left -= size;
    }
    return addWeight.call(this, name, shape, ...rest);
  };
}

/**
 * @param {LayersModel} model
 * @param {string[]} names as Python knows the weights, in the order of `buildLayersModel`'s model
 * @returns {NDArray[]}
 */
function readWeights(model, names) {
  const byName = new Map(model.weights.map((weight) => [weight.originalName, weight]));
  return names.map((name) => {
    const weight = byName.get(name);
    if (!weight) throw new RangeError(`The model has no weight ${name}`);
    return new NDArray('float32', /** @type {number[]} */ (weight.shape), /** @type {Float32Array} */ (weight.read().dataSync()));
  });
}

/**
 * @param {LayersModel} model
 * @param {NDArray[]} values in the order of `names`
 * @param {string[]} names
 */
function writeWeights(model, names, values) {
  const tf = loadTensorflow();
  const byName = new Map(model.weights.map((weight) => [weight.originalName, weight]));
  tf.tidy(() => {
    names.forEach((name, i) => {
      const weight = byName.get(name);
      if (!weight) throw new RangeError(`The model has no weight ${name}`);
      weight.write(values[i].toTensor(tf));
    });
  });
}

/**
 * Keeps the moving statistics of batch normalization where they are, and uses them, while the rest of the model trains.
 *
 * TensorFlow.js moves them in every training step, of frozen layers too. The Keras guide to transfer learning runs the base
 * model with `training=False` for the same end.
 *
 * @param {LayersModel} model
 * @param {boolean} all whether trainable layers are held too, not only frozen ones
 * @returns {string[]} the layers held
 */
function holdBatchNormalization(model, all) {
  /** @type {string[]} */
  const held = [];
  for (const layer of flatLayers(model)) {
    if (!/^(Pybridge)?BatchNormalization$/.test(layer.getClassName()) || (layer.trainable && !all)) continue;
    const { call } = Object.getPrototypeOf(layer);
    layer.call = (/** @type {any} */ inputs, /** @type {any} */ kwargs) => call.call(layer, inputs, { ...kwargs, training: false });
    held.push(layer.name);
  }
  return held;
}

/**
 * The graph of a model: a Sequential model keeps it in a model of its own, which it makes when it is first needed.
 *
 * @param {any} model a tf.LayersModel
 * @returns {any} a tf.LayersModel with `nodesByDepth`, `inputNames` and so on
 */
function containerOf(model) {
  if (model.getClassName() !== 'Sequential') return model;
  if (!model.model) model.build();
  return model.model;
}

/**
 * @param {any} model
 * @returns {any[]} its layers, those of nested models included
 */
function flatLayers(model) {
  return model.layers.flatMap((/** @type {any} */ layer) => (layer.layers ? flatLayers(layer) : [layer]));
}

module.exports = { buildLayersModel, containerOf, readWeights, writeWeights, holdBatchNormalization, flatLayers };
