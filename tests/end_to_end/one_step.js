'use strict';

/**
 * Loads a layers model with what TensorFlow.js itself knows, predicts, trains one step, and tells what became of its weights.
 *
 * @param {object} topology
 * @param {string[]} names of the weights
 * @param {any[]} weights in the order of `names`
 * @param {any} input
 * @param {any} target
 */
async function oneStep(topology, names, weights, input, target) {
  const tf = this.tf;
  const weightSpecs = names.map((name, i) => ({ name, shape: weights[i].shape, dtype: weights[i].dtype }));
  const parts = weights.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const joined = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  const model = await tf.loadLayersModel(tf.io.fromMemory({ modelTopology: topology, weightSpecs, weightData: joined.buffer }));
  const x = tf.tensor(input.data, input.shape);
  const y = tf.tensor(target.data, target.shape);
  const outputs = model.predict(x);
  const before = { dtype: 'float32', shape: outputs.shape, data: outputs.dataSync() };
  model.compile({ optimizer: tf.train.sgd(1e-3), loss: 'meanSquaredError' });
  const loss = await model.trainOnBatch(x, y);
  const byName = new Map(model.weights.map((weight) => [weight.originalName, weight.read()]));
  const after = names.map((name) => ({ dtype: 'float32', shape: byName.get(name).shape, data: byName.get(name).dataSync() }));
  tf.dispose([x, y, outputs]);
  model.optimizer.dispose();
  model.dispose();
  return { before, loss, after };
}

module.exports = { oneStep };
