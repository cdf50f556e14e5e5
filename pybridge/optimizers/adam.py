"""Adam (Kingma and Ba 2015, arXiv:1412.6980)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pybridge.optimizers.optimizer import Rule, StepInputs, TrainingOptimizer

_EPSILON = 1e-7
# TF.js adds the epsilon to another root than Keras does, which can be seen where it is not tiny.
_LARGEST_EPSILON = 1e-6


class Adam(TrainingOptimizer):
    """Steps of almost equal length for all weights: the mean gradient over the root of the mean squared gradient."""

    name = "adam"
    algorithm = "adam"
    keras = "Adam"
    tfjs: ClassVar = {
        "Adam": {
            "beta1": "beta_1",
            "beta2": "beta_2",
            "beta_1": "beta_1",
            "beta_2": "beta_2",
            "epsilon": "epsilon",
            "amsgrad": "amsgrad",
        }
    }

    def slots(self, *, momentum: bool) -> int:
        """Both moments."""
        del momentum
        return 2

    def rule(self, step: StepInputs) -> Rule:
        """Algorithm 1 in the order of the end of section 2, with the constants of Keras and TF.js.

        Epsilon stands beside the corrected root, so that it is scaled as the root is.
        """
        import tensorflow as tf

        power = tf.cast(step.number, tf.float32)
        root = tf.sqrt(1.0 - tf.pow(0.999, power))
        pace, epsilon = step.rate * root / (1.0 - tf.pow(0.9, power)), _EPSILON * root

        def update(gradient: Any, slots: Sequence[Any]) -> tuple[Any, list[Any]]:
            new = [0.9 * slots[0] + 0.1 * gradient, 0.999 * slots[1] + 0.001 * tf.square(gradient)]
            return pace * new[0] / (tf.sqrt(new[1]) + epsilon), new

        return update

    def in_tfjs(self, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """As ``Adam``, where its epsilon is tiny."""
        if options.get("amsgrad"):
            raise ValueError("TF.js has no AMSGrad")
        if options.get("epsilon", 1.0) > _LARGEST_EPSILON:
            raise ValueError("TF.js adds the epsilon of Adam elsewhere")
        return "Adam", {name: options.get(name) for name in ("beta_1", "beta_2", "epsilon")}


OPTIMIZER = Adam()
