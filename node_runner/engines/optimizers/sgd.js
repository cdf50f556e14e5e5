'use strict';

const { loadTensorflow } = require('../../tensorflow');

/** @type {import('./index').OptimizerFile} */
module.exports = {
  create({ learningRate, momentum, nesterov }) {
    const { train } = loadTensorflow();
    return momentum ? train.momentum(learningRate, momentum, nesterov) : train.sgd(learningRate);
  },

  // The rate is a tensor of the optimizer's own.
  setLearningRate(optimizer, learningRate) {
    /** @type {import('@tensorflow/tfjs-node').SGDOptimizer} */ (optimizer).setLearningRate(learningRate);
  },
};
