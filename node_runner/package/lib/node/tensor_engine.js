'use strict';

const { DeployError } = require('../errors');
const { modelHandler } = require('../manifest');
const { nativeOf, openSession } = require('./saved_model');

/**
 * @typedef {import('../predictor').ModelManifest} ModelManifest
 * @typedef {import('../predictor').TensorEngine} TensorEngine
 */

/**
 * Opens a model that takes tensors, in the form that fits: the SavedModel with all its signatures on the TensorFlow that it was frozen with,
 * else what runs on any TensorFlow.js.
 *
 * @param {any} tf
 * @param {string} runtime
 * @param {string} form `auto`, `layers` or `saved_model`
 * @param {ModelManifest} manifest
 * @param {(name: string) => Uint8Array} read
 * @param {(tf: any, file: string) => unknown} registerLayers
 * @param {string} folder of the package
 * @param {import('./saved_model').Checked} [checked]
 * @returns {Promise<TensorEngine>}
 */
async function openTensors(tf, runtime, form, manifest, read, registerLayers, folder, checked) {
  const saved = form === 'layers' ? null : openSaved(tf, manifest, folder, checked);
  if (saved) return { tf, runtime, form: 'saved_model', ...saved };
  if (!manifest.model || form === 'saved_model') {
    throw new DeployError(`The model needs tfjs-node on TensorFlow ${manifest.saved_model?.tensorflow ?? '(it has no SavedModel form)'}`, 'ERR_RUNTIME');
  }
  const { inputs, outputs, layers } = manifest.model;
  const signatures = [manifest.default_signature];
  const handler = await modelHandler(/** @type {any} */ (manifest), read);
  if (manifest.model.form === 'graph') {
    const model = await tf.loadGraphModel(handler);
    const run = async (/** @type {string} */ _name, /** @type {any[]} */ tensors) => {
      const feeds = Object.fromEntries(tensors.map((tensor, i) => [inputs[i], tensor]));
      return asList(await execute(model, feeds, outputs));
    };
    return { tf, runtime, form: 'graph', signatures, run, dispose: () => model.dispose() };
  }
  if (layers) registerLayers(tf, layers);
  const model = await tf.loadLayersModel(handler);
  const run = async (/** @type {string} */ _name, /** @type {any[]} */ tensors) => asList(model.predictOnBatch(tensors.length === 1 ? tensors[0] : tensors));
  return { tf, runtime, form: 'layers', signatures, run, dispose: () => model.dispose() };
}

/**
 * @param {any} tf
 * @param {ModelManifest} manifest
 * @param {string} folder
 * @param {import('./saved_model').Checked} [checked]
 */
function openSaved(tf, { saved_model: form }, folder, checked) {
  const native = form && nativeOf(tf, form.tensorflow);
  if (!form || !native) return null;
  const { backend, binding } = native;
  const session = openSession(binding, form.folder, folder, checked);
  const signatures = Object.keys(form.signatures);
  return {
    signatures,
    dispose: () => binding.deleteSavedModel(session),
    /**
     * @param {string} name
     * @param {any[]} tensors
     */
    async run(name, tensors) {
      const { inputs, outputs } = form.signatures[name];
      const found = binding.runSavedModel(session, backend.getInputTensorIds(tensors), inputs.join(','), outputs.join(','));
      return found.map((/** @type {any} */ output) => backend.createOutputTensor(output));
    },
  };
}

/**
 * @param {any} model
 * @param {Record<string, any>} feeds
 * @param {string[]} outputs
 */
async function execute(model, feeds, outputs) {
  try {
    return model.execute(feeds, outputs);
  } catch (error) {
    // Loops and operations whose result has no fixed shape run asynchronously only.
    if (!(error instanceof Error) || !error.message.includes('executeAsync')) throw error;
    return model.executeAsync(feeds, outputs);
  }
}

/** @param {any} value */
function asList(value) {
  return Array.isArray(value) ? value : [value];
}

module.exports = { openTensors };
