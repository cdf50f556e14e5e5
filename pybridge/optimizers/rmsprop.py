"""RMSProp (Tieleman and Hinton 2012, lecture 6.5 of "Neural Networks for Machine Learning")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pybridge.optimizers.optimizer import Rule, StepInputs, TrainingOptimizer

_EPSILON = 1e-7
_OPTIONS = {"momentum": "momentum", "epsilon": "epsilon", "centered": "centered"}


class RMSprop(TrainingOptimizer):
    """Gradients over the root of their mean square."""

    name = "rmsprop"
    algorithm = "rmsprop"
    keras = "RMSprop"
    # TF.js writes the former; files of Keras 2 have the latter.
    tfjs: ClassVar = {
        "RMSProp": {"decay": "rho", **_OPTIONS},
        "RMSprop": {"rho": "rho", **_OPTIONS},
    }

    def slots(self, *, momentum: bool) -> int:
        """The mean squared gradient."""
        del momentum
        return 1

    def rule(self, step: StepInputs) -> Rule:
        """With the constants of Keras and TF.js."""
        import tensorflow as tf

        def update(gradient: Any, slots: Sequence[Any]) -> tuple[Any, list[Any]]:
            new = [0.9 * slots[0] + 0.1 * tf.square(gradient)]
            return step.rate * gradient / tf.sqrt(new[0] + _EPSILON), new

        return update

    def in_tfjs(self, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """As ``RMSProp``; centered, TF.js subtracts epsilon under the root, which gives NaN."""
        if options.get("centered"):
            raise ValueError("TF.js computes a centered RMSProp otherwise")
        return "RMSProp", {
            "decay": options.get("rho"),
            "momentum": options.get("momentum"),
            "centered": False,
            "epsilon": options.get("epsilon"),
        }


OPTIMIZER = RMSprop()
