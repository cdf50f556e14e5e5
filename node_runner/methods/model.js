'use strict';

const { buildLayersModel, containerOf, flatLayers, readWeights } = require('../engines/layers_model');
const { SavedModel } = require('../engines/saved_model');
const { Handles } = require('./handles');
const { NDArray } = require('../rpc/ndarray');
const { Reference } = require('../rpc/references');
const { loadTensorflow } = require('../tensorflow');

/**
 * @typedef {import('@tensorflow/tfjs-node').LayersModel} LayersModel
 * @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor
 * @typedef {{name: string, shape: (number | null)[], dtype: string, any_rank?: boolean}} Port
 * @typedef {{
 *   inputs: Port[],
 *   outputs: Port[],
 *   layers: {name: string, className: string, shape: unknown, parameters: number, trainable: boolean}[],
 *   names: string[],
 *   layersModel: LayersModel | null,
 *   run: (inputs: any[], isWhole: boolean) => Promise<(Tensor | NDArray)[]>,
 *   takesArrays?: boolean,
 *   dispose: () => void,
 * }} LoadedModel
 */

/** @type {Record<string, string>} the types of TensorFlow.js for those that the signature of a graph model names */
const GRAPH_TYPES = { DT_FLOAT: 'float32', DT_INT32: 'int32', DT_INT64: 'int32', DT_BOOL: 'bool', DT_STRING: 'string' };

/** @type {Handles<LoadedModel>} */
const models = new Handles('model');

/**
 * @param {import('../engines/layers_model').LayersModelSource} source
 */
async function loadLayers(source) {
  const model = await buildLayersModel(source);
  const container = containerOf(model);
  return describe({
    inputs: model.inputs.map((tensor, i) => port(tensor, container.inputNames[i])),
    outputs: model.outputs.map((tensor, i) => port(tensor, container.outputNames[i])),
    layers: flatLayers(model).map((layer) => ({
      name: layer.name,
      className: layer.getClassName(),
      shape: shapeAtFirstUse(layer),
      parameters: layer.countParams(),
      trainable: layer.trainable,
    })),
    names: source.names,
    layersModel: model,
    run: async (inputs, isWhole) => run(model, inputs, isWhole),
    dispose: () => model.dispose(),
  });
}

/**
 * @param {LayersModel} model
 * @param {Tensor[]} inputs
 * @param {boolean} isWhole
 * @returns {Tensor[]}
 */
function run(model, inputs, isWhole) {
  const given = inputs.length === 1 ? inputs[0] : inputs;
  // `predictOnBatch` cuts all inputs to the first size of the first one.
  return asList(isWhole ? loadTensorflow().tidy(() => /** @type {any} */ (model.apply(given))) : model.predictOnBatch(given));
}

/**
 * The shape of a layer's output. `layer.outputShape` throws where uses of the layer differ in it.
 *
 * @param {import('@tensorflow/tfjs-node').layers.Layer} layer
 */
function shapeAtFirstUse(layer) {
  const shapes = layer.inboundNodes[0].outputShapes;
  const isListOfOne = shapes.length === 1 && Array.isArray(shapes[0]);
  return isListOfOne ? shapes[0] : shapes;
}

/**
 * @param {{path: string}} params the path of a graph model's model.json
 */
async function loadGraph({ path }) {
  const tf = loadTensorflow();
  const model = await tf.loadGraphModel(tf.io.fileSystem(path));
  const signature = /** @type {any} */ (model).artifacts?.signature;
  const inputs = graphPorts(signature?.inputs, model.inputs);
  const outputs = graphPorts(signature?.outputs, model.outputs);
  const fetched = outputs.map(({ tensor }) => tensor);
  return describe({
    inputs: inputs.map(signaturePort),
    outputs: outputs.map(signaturePort),
    layers: [],
    names: [],
    layersModel: null,
    // By name on both ends: models with several inputs or outputs come back in another order.
    run: (tensors) => execute(model, Object.fromEntries(tensors.map((tensor, i) => [inputs[i].tensor, tensor])), fetched),
    dispose: () => model.dispose(),
  });
}

/**
 * @param {import('@tensorflow/tfjs-node').GraphModel} model
 * @param {Record<string, Tensor>} feeds
 * @param {string[]} fetched
 * @returns {Promise<Tensor[]>}
 */
async function execute(model, feeds, fetched) {
  try {
    return asList(model.execute(feeds, fetched));
  } catch (error) {
    // Loops and operations whose result has no fixed shape run asynchronously only.
    if (!(error instanceof Error) || !error.message.includes('executeAsync')) throw error;
    return asList(await model.executeAsync(feeds, fetched));
  }
}

/**
 * @param {ConstructorParameters<typeof SavedModel>[0]} description what Python read of a SavedModel
 */
function loadSavedModel(description) {
  const model = new SavedModel(description);
  return describe({
    inputs: description.inputs.map(signaturePort),
    outputs: description.outputs.map(signaturePort),
    layers: [],
    names: [],
    layersModel: null,
    run: async (inputs) => model.run(inputs),
    takesArrays: true,
    dispose: () => model.dispose(),
  });
}

/**
 * @param {{model: number, inputs: NDArray[], batchSize: number, isWhole?: boolean}} params `isWhole`: the inputs are not divided
 * @param {{signal: AbortSignal, progress: (value: object) => void}} context
 * @returns {Promise<NDArray[]>} one array for each of the model's outputs
 */
async function predict({ model, inputs, batchSize, isWhole = false }, { signal, progress }) {
  const tf = loadTensorflow();
  const loaded = models.get(model);
  if (inputs.length !== loaded.inputs.length) throw new RangeError(`The model has ${loaded.inputs.length} inputs, ${inputs.length} were given`);
  const examples = isWhole ? 1 : inputs[0].shape[0];
  /** @type {NDArray[][]} */
  const parts = loaded.outputs.map(() => []);
  for (let start = 0; start < Math.max(examples, 1); start += batchSize) {
    signal.throwIfAborted();
    const stop = Math.min(start + batchSize, examples);
    const batch = inputs.map((input, i) => {
      const rows = isWhole ? input : rowsOf(input, start, stop);
      return loaded.takesArrays && rows.dtype === 'int64' ? rows : asTensor(tf, rows, loaded.inputs[i].dtype);
    });
    const outputs = await loaded.run(batch, isWhole);
    outputs.forEach((output, i) => parts[i].push(output instanceof NDArray ? output : NDArray.fromTensor(output)));
    tf.dispose(/** @type {any[]} */ ([...batch, ...outputs].filter((one) => !(one instanceof NDArray))));
    progress({ examples: stop });
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

/**
 * The model itself, for the user's own JavaScript.
 *
 * @param {{model: number}} params
 */
function lend({ model }) {
  return new Reference(loadedLayersModel(model));
}

/**
 * What a model is made of that the user's own JavaScript has made.
 *
 * @param {{object: LayersModel}} params
 * @returns {Promise<{topology: object, names: string[], weights: NDArray[]}>}
 */
async function describeMade({ object }) {
  const tf = loadTensorflow();
  /** @type {import('@tensorflow/tfjs-core').io.ModelArtifacts | undefined} */
  let artifacts;
  const handler = tf.io.withSaveHandler(async (given) => {
    artifacts = given;
    return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
  });
  await object.save(handler);
  const { modelTopology, weightSpecs = [], weightData } = /** @type {NonNullable<typeof artifacts>} */ (artifacts);
  const tensors = tf.io.decodeWeights(/** @type {ArrayBuffer} */ (weightData), weightSpecs);
  const names = weightSpecs.map(({ name }) => name);
  const values = names.map((name) => NDArray.fromTensor(tensors[name]));
  tf.dispose(tensors);
  return { topology: /** @type {object} */ (modelTopology), names, weights: values };
}

/**
 * @param {number} model
 * @returns {LayersModel}
 * @throws {TypeError} where it is a graph model
 */
function loadedLayersModel(model) {
  const { layersModel } = models.get(model);
  if (!layersModel) throw new TypeError('A graph model has no layers');
  return layersModel;
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
 * @param {string} name its layer's: TensorFlow.js numbers the tensors of all models of a process
 * @returns {Port}
 */
function port({ shape, dtype }, name) {
  return { name, shape, dtype };
}

/**
 * The ends of a graph model as its signature names them, in the natural order of those names; or, in models without one, as the
 * graph does.
 *
 * @param {Record<string, {name: string, dtype?: string, tensorShape?: {dim?: {size: string | number}[]}}> | undefined} signature
 * @param {{name: string, shape?: number[], dtype?: string}[]} tensors
 * @returns {import('../engines/saved_model').SignaturePort[]}
 */
function graphPorts(signature, tensors) {
  const inGraph = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const named = Object.entries(signature || {}).map(([name, info]) => ({ name, tensor: info.name.replace(/:0$/, ''), info }));
  if (named.length !== tensors.length || !named.every(({ tensor }) => inGraph.has(tensor))) {
    return tensors.map(({ name, shape, dtype }) => ({ name, tensor: name, dtype: dtype || 'float32', shape: freeSizes(shape || []) }));
  }
  named.sort((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true }));
  return named.map(({ name, tensor, info }) => {
    const known = inGraph.get(tensor);
    const shape = info.tensorShape?.dim?.map(({ size }) => Number(size)) || known?.shape || [];
    return { name, tensor, dtype: GRAPH_TYPES[info.dtype || ''] || known?.dtype || 'float32', shape: freeSizes(shape) };
  });
}

/**
 * @param {number[]} shape
 * @returns {(number | null)[]}
 */
function freeSizes(shape) {
  return shape.map((size) => (size < 0 ? null : size));
}

/**
 * @param {import('../engines/saved_model').SignaturePort} port
 * @returns {Port}
 */
function signaturePort({ name, shape, dtype, any_rank: anyRank }) {
  return anyRank ? { name, shape, dtype, any_rank: true } : { name, shape, dtype };
}

/**
 * @param {Tensor | Tensor[]} value
 * @returns {Tensor[]}
 */
function asList(value) {
  return Array.isArray(value) ? value : [value];
}

/**
 * @param {NDArray} array
 * @param {number} start
 * @param {number} stop
 * @returns {NDArray} some of its rows
 */
function rowsOf(array, start, stop) {
  const size = array.shape.slice(1).reduce((product, dimension) => product * dimension, 1);
  const data = /** @type {any} */ (array.data).slice(start * size, stop * size);
  return new NDArray(array.dtype, [stop - start, ...array.shape.slice(1)], data);
}

/**
 * @param {typeof import('@tensorflow/tfjs-node')} tf
 * @param {NDArray} array
 * @param {string} dtype that the model takes
 * @returns {Tensor}
 */
function asTensor(tf, array, dtype) {
  return tf.tidy(() => array.toTensor(tf).cast(/** @type {'float32'} */ (tensorType(dtype))));
}

/**
 * @param {string} dtype that a model takes
 * @returns {string} the type of TensorFlow.js that holds its values
 */
function tensorType(dtype) {
  return dtype === 'uint8' || dtype === 'int64' ? 'int32' : dtype;
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

module.exports = { describeMade, lend, loadedLayersModel, loadLayers, loadGraph, loadSavedModel, predict, weights, dispose };
