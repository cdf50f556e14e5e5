'use strict';

/** The loss is no longer a number. */
class DivergenceError extends Error {
  /** @override */
  name = 'DivergenceError';

  /**
   * @param {number} loss
   * @param {number} step counted from 1
   */
  constructor(loss, step) {
    super(`The loss became ${loss} in step ${step}`);
  }
}

module.exports = { DivergenceError };
