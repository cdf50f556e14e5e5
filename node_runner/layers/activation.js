'use strict';

const { activation } = require('./activation_functions');
const { detached, layerBase, positive, range } = require('./support');

/** @param {any} tf */
function create(tf) {
  const PybridgeLayer = layerBase(tf);

  class PybridgeActivation extends PybridgeLayer {
    static className = 'PybridgeActivation';

    /** @param {any[]} inputs */
    forward([x]) {
      const chosen = this.settings.activation;
      const { className, config } = typeof chosen === 'object' && chosen !== null ? chosen : { className: chosen, config: {} };
      return activation(className)(tf, x, config);
    }

    /** @param {any} inputShape */
    computeOutputShape(inputShape) {
      const shape = super.computeOutputShape(inputShape).slice();
      if (this.settings.activation === 'glu') shape[shape.length - 1] /= 2;
      return shape;
    }
  }

  class PybridgeReLU extends PybridgeLayer {
    static className = 'PybridgeReLU';

    /** @param {any[]} inputs */
    forward([x]) {
      const { maxValue = null, negativeSlope = 0, threshold = 0 } = this.settings;
      const above = threshold === 0 ? tf.relu(x) : tf.where(detached(tf, (y) => tf.greater(y, threshold), x), x, tf.zerosLike(x));
      const limited = maxValue === null ? above : tf.minimum(above, maxValue);
      if (!negativeSlope) return limited;
      return tf.sub(limited, tf.mul(negativeSlope, tf.relu(tf.sub(threshold, x))));
    }
  }

  class PybridgeELU extends PybridgeLayer {
    static className = 'PybridgeELU';

    /** @param {any[]} inputs */
    forward([x]) {
      return activation('elu')(tf, x, { alpha: this.settings.alpha });
    }
  }

  class PybridgeSoftmax extends PybridgeLayer {
    static className = 'PybridgeSoftmax';

    /**
     * @param {any[]} inputs the values, and perhaps a mask
     * @param {any} kwargs
     */
    forward([values, given], { mask }) {
      const chosen = given ?? mask;
      if (!chosen) return this.softmax(values);
      const shown = tf.cast(chosen, 'bool');
      // The number that Keras puts where a mask is false.
      const result = this.softmax(tf.where(shown, values, tf.fill(values.shape, -1e9)));
      return tf.where(shown, result, tf.zerosLike(result));
    }

    /** @param {any} x */
    softmax(x) {
      const { axis = -1 } = this.settings;
      if (!Array.isArray(axis)) return activation('softmax')(tf, x, { axis });
      if (axis.length === 1) return activation('softmax')(tf, x, { axis: axis[0] });
      const axes = axis.map((one) => positive(one, x.rank));
      return tf.exp(tf.sub(x, tf.logSumExp(x, axes, true)));
    }
  }

  class PybridgePReLU extends PybridgeLayer {
    static className = 'PybridgePReLU';

    /** @param {any} inputShape */
    build(inputShape) {
      const shape = super.computeOutputShape(inputShape).slice(1);
      for (const axis of [this.settings.sharedAxes ?? []].flat()) shape[axis - 1] = 1;
      this.alpha = this.weight('alpha', shape);
      super.build(inputShape);
    }

    /** @param {any[]} inputs */
    forward([x]) {
      return tf.sub(tf.relu(x), tf.mul(this.alpha.read(), tf.relu(tf.neg(x))));
    }
  }

  class PybridgeActivityRegularization extends PybridgeLayer {
    static className = 'PybridgeActivityRegularization';

    /** @param {any} args */
    constructor(args) {
      super(args);
      this.addLoss(() => this.loss ?? tf.scalar(0));
    }

    /**
     * @param {any} inputs
     * @param {any} kwargs
     */
    call(inputs, kwargs) {
      const x = Array.isArray(inputs) ? inputs[0] : inputs;
      const { l1 = 0, l2 = 0 } = this.settings;
      // Kept: the losses of a training step are added up after all layers were called.
      this.loss?.dispose();
      this.loss = kwargs?.training ? tf.keep(tf.div(tf.add(tf.mul(l1, tf.sum(tf.abs(x))), tf.mul(l2, tf.sum(tf.square(x)))), x.shape[0])) : null;
      return tf.clone(x);
    }
  }

  class PybridgeUnitNormalization extends PybridgeLayer {
    static className = 'PybridgeUnitNormalization';

    /** @param {any[]} inputs */
    forward([x]) {
      const axes = [this.settings.axis ?? -1].flat().map((axis) => positive(axis, x.rank));
      // The 1e-12 is what ops.normalize of Keras guards its division with.
      const length = tf.sqrt(tf.maximum(tf.sum(tf.square(x), axes.length ? axes : range(x.rank), true), 1e-12));
      return tf.div(x, length);
    }
  }

  return [
    PybridgeActivation,
    PybridgeReLU,
    PybridgeELU,
    PybridgeSoftmax,
    PybridgePReLU,
    PybridgeActivityRegularization,
    PybridgeUnitNormalization,
  ];
}

module.exports = create;
