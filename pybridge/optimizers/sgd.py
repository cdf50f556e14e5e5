"""Stochastic gradient descent, with or without momentum (Sutskever et al. 2013, proceedings.mlr.press/v28/sutskever13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pybridge.optimizers.optimizer import Rule, StepInputs, TrainingOptimizer


class SGD(TrainingOptimizer):
    """Steps along the gradient, or along a decaying sum of the gradients."""

    name = "sgd"
    algorithm = "sgd"
    takes_momentum = True
    classifier_momentum = 0.9
    keras = "SGD"
    tfjs: ClassVar = {
        "Momentum": {"momentum": "momentum", "use_nesterov": "nesterov"},
        "SGD": {"momentum": "momentum", "nesterov": "nesterov"},
    }

    def slots(self, *, momentum: bool) -> int:
        """The sum of the gradients, where there is a momentum."""
        return int(momentum)

    def rule(self, step: StepInputs) -> Rule:
        """The velocity is a sum of gradients, as in TF.js; the rate is applied when it is used."""

        def plain(gradient: Any, slots: Sequence[Any]) -> tuple[Any, list[Any]]:
            del slots
            return step.rate * gradient, []

        def with_momentum(gradient: Any, slots: Sequence[Any]) -> tuple[Any, list[Any]]:
            new = [step.momentum * slots[0] + gradient]
            return step.rate * (gradient + step.momentum * new[0] if step.nesterov else new[0]), new

        return plain if step.momentum is None else with_momentum

    def in_tfjs(self, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """As ``SGD``, or ``Momentum``."""
        if not options.get("momentum"):
            return "SGD", {}
        return "Momentum", {"momentum": options["momentum"], "use_nesterov": bool(options.get("nesterov"))}


OPTIMIZER = SGD()
