'use strict';

/**
 * Loads a model, predicts, and takes one step of gradient descent on the sum of the mean squares of its outputs.
 *
 * @this {{tf: any}}
 * @param {any} topology
 * @param {string[]} names
 * @param {any[]} weights
 * @param {any[]} inputs
 * @param {boolean} train
 */
async function check(topology, names, weights, inputs, train) {
  const { tf } = this;
  const weightSpecs = weights.map((weight, i) => ({ name: names[i], shape: weight.shape, dtype: weight.dtype }));
  const parts = weights.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  const weightData = new Uint8Array(Buffer.concat(parts)).buffer;
  const model = await tf.loadLayersModel(tf.io.fromMemory({ modelTopology: topology, weightSpecs, weightData }));
  const tensors = inputs.map((value) => value.toTensor(tf));
  const arrange = (values) => (values.length === 1 ? values[0] : values);
  const outputs = [model.predictOnBatch(arrange(tensors))].flat();
  const result = { outputs, weights: [], problem: '', resaved: '' };
  result.resaved = await resaved(tf, model, arrange(tensors), outputs);
  if (train) {
    if (model.stateful) model.resetStates();
    const variables = model.trainableWeights.map((weight) => weight.val);
    const loss = () => {
      const predicted = [model.apply(arrange(tensors), { training: true })].flat();
      const squares = predicted.map((value) => tf.mean(tf.square(tf.cast(value, 'float32'))));
      const penalties = model.calculateLosses().map((value) => tf.mean(value));
      return squares.concat(penalties).reduce((a, b) => tf.add(a, b));
    };
    if (variables.length) {
      try {
        const { grads } = tf.variableGrads(loss, variables);
        for (const weight of model.trainableWeights) weight.val.assign(tf.sub(weight.val, tf.mul(0.01, grads[weight.val.name])));
      } catch (error) {
        result.problem = String(error.message).slice(0, 300);
      }
    }
  }
  const byName = new Map(model.weights.map((weight) => [weight.originalName, weight]));
  result.weights = names.map((name) => byName.get(name).read().clone());
  model.dispose();
  tf.dispose(tensors);
  return result;
}

/**
 * Saves the model as TensorFlow.js does and loads it again.
 *
 * @param {any} tf
 * @param {any} model
 * @param {any} inputs
 * @param {any[]} outputs
 * @returns {Promise<string>} what went wrong; empty where the outputs are the same
 */
async function resaved(tf, model, inputs, outputs) {
  try {
    let saved;
    await model.save(tf.io.withSaveHandler(async (artifacts) => {
      saved = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
    }));
    const again = await tf.loadLayersModel(tf.io.fromMemory(saved));
    if (model.stateful) [model, again].forEach((one) => one.resetStates());
    const found = [again.predictOnBatch(inputs)].flat();
    const gaps = found.map((value, i) => {
      if (String(value.shape) !== String(outputs[i].shape)) return Infinity;
      return tf.max(tf.abs(tf.sub(tf.cast(value, 'float32'), tf.cast(outputs[i], 'float32')))).dataSync()[0];
    });
    again.dispose();
    return gaps.every((gap) => gap === 0) ? '' : `outputs differ by ${gaps} after a save by TensorFlow.js`;
  } catch (error) {
    return String(error.message).slice(0, 200);
  }
}

module.exports = { check };
