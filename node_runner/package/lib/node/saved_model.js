'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');

const { orientationOf } = require('../image/exif');

/**
 * @typedef {import('../classifier').SavedModelForm} SavedModelForm
 *
 * @typedef {(file: Uint8Array, name: string) => void} CheckGraph throws for a graph that is not to be opened
 * @typedef {{read: (name: string) => Uint8Array, check: CheckGraph}} Checked
 */

/**
 * Runs the SavedModel form of the model on the very TensorFlow that it was traced with: the same kernels as in training, so that
 * every bit is the same. Where the package has training's preprocessing too, TensorFlow decodes a whole batch at a time.
 *
 * @param {any} tf
 * @param {SavedModelForm | null} form
 * @param {string} folder of the package
 * @param {Checked} [checked] what looks at each graph first, and the bytes that it looks at
 * @returns {Pick<import('../classifier').Engine, 'predict' | 'predictFiles' | 'dispose'> | null} null where this TensorFlow is
 *   another one
 */
function openSavedModel(tf, form, folder, checked) {
  const native = form && nativeOf(tf, form.tensorflow);
  if (!form || !native) return null;
  const { backend, binding } = native;
  const open = (/** @type {string} */ name) => openSession(binding, name, folder, checked);
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

/**
 * @param {any} tf
 * @param {string} version of TensorFlow
 * @returns {{backend: any, binding: any} | null} null where it computes on another one
 */
function nativeOf(tf, version) {
  const backend = typeof tf.backend === 'function' ? tf.backend() : undefined;
  const binding = backend?.binding;
  return binding && binding.TF_Version === version ? { backend, binding } : null;
}

/**
 * What was checked is what TensorFlow opens: a copy in a folder that only this user may read, without whatever else lies beside it.
 *
 * @param {any} binding
 * @param {string} name of the graph's folder
 * @param {string} folder of the package
 * @param {Checked} [checked]
 * @returns {number} the session
 */
function openSession(binding, name, folder, checked) {
  const load = (/** @type {string} */ place) => binding.loadSavedModel(place, 'serve');
  if (!checked) return load(path.join(folder, name));
  const { read, check } = checked;
  const file = `${name}/saved_model.pb`;
  const bytes = read(file);
  check(bytes, file);
  const place = fs.mkdtempSync(path.join(os.tmpdir(), 'pybridge-graph-'));
  try {
    fs.writeFileSync(path.join(place, 'saved_model.pb'), bytes, { mode: 0o600 });
    return load(place);
  } finally {
    fs.rmSync(place, { recursive: true, force: true });
  }
}

module.exports = { nativeOf, openSavedModel, openSession };
