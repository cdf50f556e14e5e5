'use strict';

/**
 * Mends what TensorFlow.js 4.22 throws at in training although its own format allows it.
 *
 * A BatchNormalization without scale or without center predicts, but its training step reads the missing weight ("Cannot read
 * properties of undefined"). InceptionV3 and its family are made of such layers. Constants in place of the missing weights are
 * not weights of the model: they are neither trained nor saved.
 *
 * @param {typeof import('@tensorflow/tfjs-node')} tf
 */
function repairTensorflow(tf) {
  const [BatchNormalization] = /** @type {any} */ (tf.serialization.SerializationMap.getMap().classNameMap.BatchNormalization);
  const { build } = BatchNormalization.prototype;
  if (build.repaired) return;
  /** @this {any} @param {any} inputShape */
  const repaired = function (inputShape) {
    build.call(this, inputShape);
    const shape = this.movingMean.shape;
    if (!this.scale) this.gamma = { read: () => tf.ones(shape) };
    if (!this.center) this.beta = { read: () => tf.zeros(shape) };
  };
  repaired.repaired = true;
  BatchNormalization.prototype.build = repaired;
}

module.exports = { repairTensorflow };
