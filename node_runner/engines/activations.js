'use strict';

const { containerOf } = require('./layers_model');
const { loadTensorflow } = require('../tensorflow');
const { NDArray } = require('../rpc/ndarray');

/**
 * @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor
 * @typedef {{path: string, node: number, className: string, outputs: NDArray[]}} Step
 */

/**
 * Runs a layers model and keeps what each of its layers gave, those of nested models included, in the order of computation.
 *
 * @param {any} model a tf.LayersModel
 * @param {Tensor[]} inputs
 * @returns {Step[]}
 */
function activations(model, inputs) {
  const tf = loadTensorflow();
  /** @type {Step[]} */
  const steps = [];
  tf.tidy(() => collect(tf, model, inputs, '', steps));
  return steps;
}

/**
 * Runs one layer of a model on inputs of the caller's choice.
 *
 * @param {any} model a tf.LayersModel
 * @param {string} path of the layer: the names of the models around it and its own, separated by slashes
 * @param {number} node which of the layer's calls
 * @param {NDArray[]} inputs
 * @returns {{outputs: NDArray[], names: string[], weights: NDArray[]}} with the layer's weights and their names
 */
function runLayer(model, path, node, inputs) {
  const tf = loadTensorflow();
  const layer = findLayer(model, path);
  if (!layer) throw new RangeError(`The model has no layer ${path}`);
  /** @type {NDArray[]} */
  const outputs = [];
  tf.tidy(() => {
    const tensors = inputs.map((input) => input.toTensor(tf));
    const settings = { ...layer.inboundNodes[node]?.callArgs, training: false };
    const values = asList(layer.apply(tensors.length === 1 ? tensors[0] : tensors, settings));
    outputs.push(...values.map((tensor) => NDArray.fromTensor(tensor)));
  });
  return {
    outputs,
    names: layer.weights.map((/** @type {any} */ weight) => weight.originalName),
    weights: layer.weights.map((/** @type {any} */ weight) => NDArray.fromTensor(weight.read())),
  };
}

/**
 * @param {typeof import('@tensorflow/tfjs-node')} tf
 * @param {any} model
 * @param {Tensor[]} inputs
 * @param {string} prefix
 * @param {Step[]} steps
 */
function collect(tf, model, inputs, prefix, steps) {
  const container = containerOf(model);
  const nodes = orderedNodes(container);
  const symbols = nodes.flatMap((node) => node.outputTensors);
  if (!symbols.length) return;
  const whole = tf.model({ inputs: container.inputs, outputs: symbols });
  const values = asList(whole.predictOnBatch(inputs.length === 1 ? inputs[0] : inputs));
  const known = new Map(container.inputs.map((/** @type {any} */ symbol, /** @type {number} */ i) => [symbol.id, inputs[i]]));
  symbols.forEach((symbol, i) => known.set(symbol.id, values[i]));
  for (const node of nodes) {
    const layer = node.outboundLayer;
    const path = prefix + layer.name;
    if (layer.layers) {
      collect(tf, layer, node.inputTensors.map((/** @type {any} */ symbol) => known.get(symbol.id)), `${path}/`, steps);
    }
    steps.push({
      path,
      node: callsWithin(container, layer).indexOf(node),
      className: layer.getClassName(),
      outputs: node.outputTensors.map((/** @type {any} */ symbol) => NDArray.fromTensor(known.get(symbol.id))),
    });
  }
}

/**
 * @param {any} container
 * @returns {any[]} its calls of layers, in the order of computation, without inputs
 */
function orderedNodes(container) {
  return Object.keys(container.nodesByDepth)
    .map(Number)
    .sort((one, other) => other - one)
    .flatMap((depth) => container.nodesByDepth[depth])
    .filter((node) => node.outboundLayer.getClassName() !== 'InputLayer');
}

/**
 * @param {any} container
 * @param {any} layer
 * @returns {any[]} the calls of the layer that belong to this model; a layer may also be used elsewhere
 */
function callsWithin(container, layer) {
  return layer.inboundNodes.filter((/** @type {any} */ _, /** @type {number} */ i) => container.containerNodes.has(`${layer.name}_ib-${i}`));
}

/**
 * @param {any} model
 * @param {string} path
 * @returns {any} the layer, if there is one; names may contain slashes themselves
 */
function findLayer(model, path) {
  for (const layer of containerOf(model).layers) {
    if (layer.name === path) return layer;
    const found = layer.layers && path.startsWith(`${layer.name}/`) && findLayer(layer, path.slice(layer.name.length + 1));
    if (found) return found;
  }
  return undefined;
}

/**
 * @template T
 * @param {T | T[]} value
 * @returns {T[]}
 */
function asList(value) {
  return Array.isArray(value) ? value : [value];
}

module.exports = { activations, runLayer };
