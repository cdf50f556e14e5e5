'use strict';

const { CompiledTrainer } = require('../engines/compiled_trainer');
const { buildLayersModel } = require('../engines/layers_model');
const { LayersTrainer } = require('../engines/layers_trainer');
const { Handles } = require('./handles');
const { stores } = require('./features');

/**
 * @typedef {import('../rpc/ndarray').NDArray} NDArray
 * @typedef {{signal: AbortSignal, progress: (value: object) => void}} Context
 * @typedef {{
 *   trainer: number,
 *   store: number,
 *   targets: NDArray,
 *   rows: NDArray,
 *   targetRows: NDArray,
 *   batchSize: number,
 * }} ExamplesParams
 */

/** @type {Handles<LayersTrainer | CompiledTrainer>} */
const trainers = new Handles('trainer');

/**
 * @param {{model: import('../engines/layers_model').LayersModelSource, settings: import('../engines/layers_trainer').TrainerSettings}} params
 * @returns {Promise<number>}
 */
async function create({ model, settings }) {
  return trainers.add(new LayersTrainer(await buildLayersModel(model), model.names, settings));
}

/**
 * @param {{program: import('../engines/compiled_trainer').TrainingProgram, weights: NDArray[], seed: number, numbers: NDArray}} params
 * @returns {number}
 */
function createCompiled({ program, weights: values, seed, numbers }) {
  return trainers.add(new CompiledTrainer(program, values, seed, numbers));
}

/**
 * @param {ExamplesParams & {sampleWeights: NDArray | null, rates: NDArray, mixing: NDArray}} params
 * @param {Context} context
 */
function epoch(params, context) {
  const sampleWeights = params.sampleWeights && /** @type {Float32Array} */ (params.sampleWeights.data);
  const rates = /** @type {Float32Array} */ (params.rates.data);
  const mixing = /** @type {Float32Array} */ (params.mixing.data);
  return trainers.get(params.trainer).trainEpoch({ ...examples(params), sampleWeights, rates, mixing }, context);
}

/**
 * @param {ExamplesParams} params
 * @param {Context} context
 */
function evaluate(params, context) {
  return trainers.get(params.trainer).evaluate(examples(params), context);
}

/** @param {{trainer: number}} params */
function state({ trainer }) {
  return trainers.get(trainer).savedState();
}

/** @param {{trainer: number, state: any}} params as `state` of the same engine gave it */
function restore({ trainer, state: saved }) {
  return trainers.get(trainer).restore(saved);
}

/** @param {{trainer: number}} params */
function weights({ trainer }) {
  return trainers.get(trainer).weights();
}

/** @param {{trainer: number, weights: NDArray[]}} params */
function setWeights({ trainer, weights: values }) {
  trainers.get(trainer).setWeights(values);
}

/** @param {{trainer: number}} params */
function dispose({ trainer }) {
  trainers.remove(trainer)?.dispose();
}

/**
 * @param {ExamplesParams} params
 * @returns {import('../engines/layers_trainer').Examples}
 */
function examples({ store, targets, rows, targetRows, batchSize }) {
  return {
    inputs: stores.get(store),
    targets,
    rows: /** @type {Int32Array} */ (rows.data),
    targetRows: /** @type {Int32Array} */ (targetRows.data),
    batchSize,
  };
}

module.exports = { create, createCompiled, epoch, evaluate, state, restore, weights, setWeights, dispose };
