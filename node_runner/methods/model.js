'use strict';

const { buildLayersModel, flatLayers, readWeights } = require('../engines/layers_model');
const { Handles } = require('../handles');
const { NDArray } = require('../ndarray');
const { loadTensorflow } = require('../tensorflow');

/**
 * @typedef {import('@tensorflow/tfjs-node').LayersModel} LayersModel
 * @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor
 * @typedef {{name: string, shape: (number | null)[], dtype: string}} Port
 * @typedef {{
 *   inputs: Port[],
 *   outputs: Port[],
 *   layers: {name: string, className: string, shape: unknown, parameters: number, trainable: boolean}[],
 *   names: string[],
 *   layersModel: LayersModel | null,
 *   run: (inputs: Tensor[]) => Promise<Tensor[]>,
 *   dispose: () => void,
 * }} LoadedModel
 */

/** @type {Handles<LoadedModel>} */
const models = new Handles('model');

/**
 * @param {import('../engines/layers_model').LayersModelSource} source
 */
async function loadLayers(source) {
  const model = await buildLayersModel(source);
  return describe({
    inputs: model.inputs.map(port),
    outputs: model.outputs.map(port),
    layers: flatLayers(model).map((layer) => ({
      name: layer.name,
      className: layer.getClassName(),
      shape: layer.outputShape,
      parameters: layer.countParams(),
      trainable: layer.trainable,
    })),
    names: source.names,
    layersModel: model,
    run: async (inputs) => asList(model.predictOnBatch(inputs.length === 1 ? inputs[0] : inputs)),
    dispose: () => model.dispose(),
  });
}

/**
 * @param {{path: string}} params the path of a graph model's model.json
 */
async function loadGraph({ path }) {
  const tf = loadTensorflow();
  const model = await tf.loadGraphModel(tf.io.fileSystem(path));
  const outputNames = model.outputs.map((output) => output.name);
  return describe({
    inputs: model.inputs.map(graphPort),
    outputs: model.outputs.map(graphPort),
    layers: [],
    names: [],
    layersModel: null,
    // By name on both ends: models with several inputs or outputs come back in another order.
    run: async (inputs) => asList(await model.executeAsync(Object.fromEntries(inputs.map((input, i) => [model.inputs[i].name, input])), outputNames)),
    dispose: () => model.dispose(),
  });
}

/**
 * @param {{model: number, inputs: NDArray[], batchSize: number}} params
 * @param {{signal: AbortSignal, progress: (value: object) => void}} context
 * @returns {Promise<NDArray[]>} one array for each of the model's outputs
 */
async function predict({ model, inputs, batchSize }, { signal, progress }) {
  const tf = loadTensorflow();
  const loaded = models.get(model);
  if (inputs.length !== loaded.inputs.length) throw new RangeError(`The model has ${loaded.inputs.length} inputs, ${inputs.length} were given`);
  const examples = inputs[0].shape[0];
  /** @type {NDArray[][]} */
  const parts = loaded.outputs.map(() => []);
  for (let start = 0; start < Math.max(examples, 1); start += batchSize) {
    signal.throwIfAborted();
    const batch = inputs.map((input, i) => rowsAsTensor(tf, input, start, Math.min(start + batchSize, examples), loaded.inputs[i].dtype));
    const outputs = await loaded.run(batch);
    outputs.forEach((output, i) => parts[i].push(NDArray.fromTensor(output)));
    tf.dispose([...batch, ...outputs]);
    progress({ examples: Math.min(start + batchSize, examples) });
    await new Promise(setImmediate);
  }
  return parts.map(concatenate);
}

/**
 * @param {{model: number}} params
 * @returns {NDArray[]} in the order in which they were loaded
 */
function weights({ model }) {
  const { layersModel, names } = models.get(model);
  if (!layersModel) throw new TypeError('A graph model has no weights that could be changed or read by layer');
  return readWeights(layersModel, names);
}

/** @param {{model: number}} params */
function dispose({ model }) {
  models.remove(model)?.dispose();
}

/** @param {LoadedModel} loaded */
function describe(loaded) {
  const { inputs, outputs, layers } = loaded;
  return { model: models.add(loaded), inputs, outputs, layers };
}

/**
 * @param {import('@tensorflow/tfjs-node').SymbolicTensor} tensor
 * @returns {Port}
 */
function port({ name, shape, dtype }) {
  return { name, shape, dtype };
}

/**
 * @param {{name: string, shape?: number[], dtype: string}} tensor
 * @returns {Port}
 */
function graphPort({ name, shape, dtype }) {
  return { name, shape: (shape || []).map((size) => (size < 0 ? null : size)), dtype };
}

/**
 * @param {Tensor | Tensor[]} value
 * @returns {Tensor[]}
 */
function asList(value) {
  return Array.isArray(value) ? value : [value];
}

/**
 * @param {typeof import('@tensorflow/tfjs-node')} tf
 * @param {NDArray} array
 * @param {number} start
 * @param {number} stop
 * @param {string} dtype that the model takes
 * @returns {Tensor}
 */
function rowsAsTensor(tf, array, start, stop, dtype) {
  const size = array.shape.slice(1).reduce((product, dimension) => product * dimension, 1);
  const data = /** @type {any} */ (array.data).slice(start * size, stop * size);
  return tf.tidy(() => new NDArray(array.dtype, [stop - start, ...array.shape.slice(1)], data).toTensor(tf).cast(/** @type {'float32'} */ (dtype)));
}

/**
 * @param {NDArray[]} arrays
 * @returns {NDArray} them one after the other
 */
function concatenate(arrays) {
  if (arrays.length === 1) return arrays[0];
  const rows = arrays.reduce((sum, array) => sum + array.shape[0], 0);
  const size = arrays.reduce((sum, array) => sum + /** @type {any} */ (array.data).length, 0);
  const data = new /** @type {any} */ (arrays[0].data).constructor(size);
  let offset = 0;
  for (const array of arrays) {
    data.set(array.data, offset);
    offset += /** @type {any} */ (array.data).length;
  }
  return new NDArray(arrays[0].dtype, [rows, ...arrays[0].shape.slice(1)], data);
}

module.exports = { loadLayers, loadGraph, predict, weights, dispose };
