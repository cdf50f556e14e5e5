'use strict';

const path = require('path');

const { orientationOf } = require('../image/exif');

/**
 * @typedef {import('../classifier').SavedModelForm} SavedModelForm
 */

/**
 * Runs the SavedModel form of the model on the very TensorFlow that it was traced with: the same kernels as in training, so that
 * every bit is the same. Where the package has training's preprocessing too, TensorFlow decodes a whole batch at a time.
 *
 * @param {any} tf
 * @param {SavedModelForm | null} form
 * @param {string} folder of the package
 * @returns {Pick<import('../classifier').Engine, 'predict' | 'predictFiles' | 'dispose'> | null} null where this TensorFlow is
 *   another one
 */
function openSavedModel(tf, form, folder) {
  const backend = typeof tf.backend === 'function' ? tf.backend() : undefined;
  const binding = backend?.binding;
  if (!form || !binding || binding.TF_Version !== form.tensorflow) return null;
  const open = (/** @type {string} */ name) => binding.loadSavedModel(path.join(folder, name), 'serve');
  const stages = form.stages.map((stage) => ({ ...stage, session: open(stage.folder) }));
  const images = form.images && { ...form.images, session: open(form.images.folder) };

  /**
   * @param {any} batch
   * @returns {any}
   */
  function predict(batch) {
    let tensor = batch;
    for (const { session, input, output } of stages) {
      const [made] = binding.runSavedModel(session, backend.getInputTensorIds([tensor]), input, output);
      if (tensor !== batch) tensor.dispose();
      tensor = backend.createOutputTensor(made);
    }
    return tensor;
  }

  /**
   * @param {Uint8Array[]} files
   * @returns {any}
   */
  function predictFiles(files) {
    const { session, inputs, output } = /** @type {NonNullable<typeof images>} */ (images);
    const count = files.length;
    // The whole picture, not mirrored, as bright as it is: training's program makes other views too.
    const boxes = Float32Array.from({ length: 4 * count }, (_, i) => (i % 4 < 2 ? 0 : 1));
    /** @type {[number[], number, unknown][]} */
    const given = [
      [[count], binding.TF_STRING, files],
      [[count], binding.TF_INT32, Int32Array.from(files, orientationOf)],
      [[count, 4], binding.TF_FLOAT, boxes],
      [[count], binding.TF_BOOL, new Uint8Array(count)],
      [[count], binding.TF_FLOAT, new Float32Array(count).fill(1)],
    ];
    /** @type {number[]} */
    const ids = [];
    let batch;
    try {
      for (const [shape, type, data] of given) ids.push(binding.createTensor(shape, type, data));
      const [made] = binding.runSavedModel(session, ids, inputs.join(','), output);
      batch = backend.createOutputTensor(made);
      return predict(batch);
    } finally {
      batch?.dispose();
      for (const id of ids) binding.deleteTensor(id);
    }
  }

  return {
    predict,
    predictFiles: images && predictFiles,
    dispose() {
      for (const { session } of images ? [images, ...stages] : stages) binding.deleteSavedModel(session);
    },
  };
}

module.exports = { openSavedModel };
