'use strict';

const path = require('path');

/**
 * @typedef {import('../classifier').SavedModelForm} SavedModelForm
 */

/**
 * Runs the SavedModel form of the model on the very TensorFlow that it was traced with: the same kernels as in training, so that
 * every bit is the same.
 *
 * @param {any} tf
 * @param {SavedModelForm | null} form
 * @param {string} folder of the package
 * @returns {{predict: (batch: any) => any, dispose: () => void} | null} null where this TensorFlow is another one
 */
function openSavedModel(tf, form, folder) {
  const backend = typeof tf.backend === 'function' ? tf.backend() : undefined;
  const binding = backend?.binding;
  if (!form || !binding || binding.TF_Version !== form.tensorflow) return null;
  const stages = form.stages.map((stage) => ({ ...stage, session: binding.loadSavedModel(path.join(folder, stage.folder), 'serve') }));
  return {
    predict(batch) {
      let tensor = batch;
      for (const { session, input, output } of stages) {
        const [made] = binding.runSavedModel(session, backend.getInputTensorIds([tensor]), input, output);
        if (tensor !== batch) tensor.dispose();
        tensor = backend.createOutputTensor(made);
      }
      return tensor;
    },
    dispose() {
      for (const { session } of stages) binding.deleteSavedModel(session);
    },
  };
}

module.exports = { openSavedModel };
