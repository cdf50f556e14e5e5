'use strict';

/**
 * What stock TensorFlow.js makes of a model's files: loads them, trains as the file says, and saves again.
 *
 * @param {string} folder
 * @param {any} input
 * @param {any} target
 * @param {string} destination
 */
async function trainAndSave(folder, input, target, destination) {
  const tf = this.tf;
  const model = await tf.loadLayersModel(`file://${folder}/model.json`);
  const x = tf.tensor(input.data, input.shape);
  const y = tf.tensor(target.data, target.shape);
  const losses = [];
  for (let step = 0; step < 3; step++) {
    const { history } = await model.fit(x, y, { epochs: 1, batchSize: input.shape[0], shuffle: false, verbose: 0 });
    losses.push(history.loss[0]);
  }
  const metrics = model.metricsNames;
  await model.save(`file://${destination}`);
  const outputs = model.predict(x);
  const result = { losses, metrics, outputs: { dtype: 'float32', shape: outputs.shape, data: outputs.dataSync() } };
  tf.dispose([x, y, outputs]);
  model.dispose();
  return result;
}

/**
 * @param {string} folder
 * @returns {Promise<any[]>} the weights as stock TensorFlow.js reads them, in the order of the manifest
 */
async function readWeights(folder) {
  const tf = this.tf;
  const { weightSpecs, weightData } = await tf.io.fileSystem(`${folder}/model.json`).load();
  const tensors = tf.io.decodeWeights(weightData, weightSpecs);
  return weightSpecs.map(({ name, shape, dtype }) => {
    const tensor = tensors[name];
    if (dtype === 'string') return tensor.dataSync();
    return { dtype, shape, data: tensor.dataSync() };
  });
}

module.exports = { trainAndSave, readWeights };
