'use strict';

const { loadTensorflow } = require('../../tensorflow');

/** @type {import('./index').OptimizerFile} */
module.exports = {
  create: ({ learningRate }) => loadTensorflow().train.adam(learningRate),

  // Products of the betas, step by step; setWeights recomputes them by pow(), which rounds otherwise.
  powers(optimizer) {
    const { accBeta1, accBeta2 } = /** @type {any} */ (optimizer);
    return [accBeta1, accBeta2];
  },
};
