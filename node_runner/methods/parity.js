'use strict';

const { activations, runLayer } = require('../engines/activations');
const { useBackend } = require('../engines/backend');
const { loadTensorflow } = require('../tensorflow');
const { loadedLayersModel } = require('./model');

/** @typedef {import('../rpc/ndarray').NDArray} NDArray */

/** @param {{name: string}} params a backend of TensorFlow.js */
function backend({ name }) {
  return useBackend(name);
}

/**
 * @param {{model: number, inputs: NDArray[]}} params
 * @returns {import('../engines/activations').Step[]}
 */
function walk({ model, inputs }) {
  const layersModel = loadedLayersModel(model);
  const tf = loadTensorflow();
  const tensors = inputs.map((input, i) => tf.tidy(() => input.toTensor(tf).cast(layersModel.inputs[i].dtype)));
  try {
    return activations(layersModel, tensors);
  } finally {
    tf.dispose(tensors);
  }
}

/**
 * @param {{model: number, path: string, node: number, inputs: NDArray[]}} params
 */
function layer({ model, path, node, inputs }) {
  return runLayer(loadedLayersModel(model), path, node, inputs);
}

module.exports = { backend, walk, layer };
