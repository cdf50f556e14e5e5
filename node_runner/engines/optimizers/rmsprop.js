'use strict';

const { loadTensorflow } = require('../../tensorflow');

/** @type {import('./index').OptimizerFile} */
module.exports = {
  create: ({ learningRate }) => loadTensorflow().train.rmsprop(learningRate),
};
