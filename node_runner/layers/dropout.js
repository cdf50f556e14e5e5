'use strict';

const { layerBase, range } = require('./support');

/** @param {any} tf */
function create(tf) {
  /** Dropout with noise that several values share, for which the layers of TensorFlow.js 4.22 throw while they train. */
  class PybridgeDropout extends layerBase(tf) {
    static className = 'PybridgeDropout';

    /**
     * @param {any[]} inputs
     * @param {any} kwargs
     */
    forward([x], { training }) {
      const { rate } = this.settings;
      if (!training || !rate) return x.clone();
      const noise = tf.dropout(tf.ones(this.noiseShape(x)), rate);
      return tf.mul(x, noise);
    }

    /** @param {any} x */
    noiseShape(x) {
      return this.settings.noiseShape.map((/** @type {number | null} */ size, /** @type {number} */ axis) => size ?? x.shape[axis]);
    }
  }

  class SpatialDropout extends PybridgeDropout {
    /** @param {any} x */
    noiseShape(x) {
      const channels = this.settings.dataFormat === 'channelsFirst' ? 1 : x.rank - 1;
      return range(x.rank).map((axis) => (axis === 0 || axis === channels ? x.shape[axis] : 1));
    }
  }

  class PybridgeSpatialDropout1D extends SpatialDropout {
    static className = 'PybridgeSpatialDropout1D';
  }

  class PybridgeSpatialDropout2D extends SpatialDropout {
    static className = 'PybridgeSpatialDropout2D';
  }

  class PybridgeSpatialDropout3D extends SpatialDropout {
    static className = 'PybridgeSpatialDropout3D';
  }

  return [PybridgeDropout, PybridgeSpatialDropout1D, PybridgeSpatialDropout2D, PybridgeSpatialDropout3D];
}

module.exports = create;
