'use strict';

const { layerBase, single } = require('./support');

/**
 * @param {any} tf
 * @param {{className: string, config: any}} entry a layer as a config holds it
 * @returns {any} the layer
 */
function buildLayer(tf, { className, config }) {
  const [cls, fromConfig] = tf.serialization.SerializationMap.getMap().classNameMap[className] ?? [];
  if (!cls) throw new Error(`Unknown layer: ${className}`);
  return fromConfig(cls, { ...config }, {}, false);
}

/**
 * @param {any} tf
 * @returns {any} the class of layers that hold another one, whose weights are theirs
 */
function wrapped(tf) {
  return class extends layerBase(tf) {
    /** @param {any} args */
    constructor(args) {
      super(args);
      this.layer = buildLayer(tf, args.layer);
      this.supportsMasking = this.layer.supportsMasking;
    }

    /** @param {any} inputShape */
    build(inputShape) {
      if (!this.layer.built) this.layer.build(single(inputShape));
      this.layer.built = true;
      super.build(inputShape);
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      return this.layer.computeOutputShape(single(inputShape));
    }

    get trainableWeights() {
      return this.trainable ? [...this.layer.trainableWeights, ...super.trainableWeights] : [];
    }

    set trainableWeights(weights) {
      super.trainableWeights = weights;
    }

    get nonTrainableWeights() {
      const inner = this.trainable ? this.layer.nonTrainableWeights : this.layer.weights;
      return [...inner, ...super.nonTrainableWeights];
    }

    set nonTrainableWeights(weights) {
      super.nonTrainableWeights = weights;
    }

    get losses() {
      return [...super.losses, ...this.layer.losses];
    }

    /** @param {boolean} value */
    setFastWeightInitDuringBuild(value) {
      super.setFastWeightInitDuringBuild(value);
      this.layer?.setFastWeightInitDuringBuild(value);
    }
  };
}

module.exports = { buildLayer, wrapped };
