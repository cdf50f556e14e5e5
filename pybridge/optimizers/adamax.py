"""Adamax, which models may be compiled with; trainings in Node do not use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pybridge.optimizers.optimizer import Optimizer


class Adamax(Optimizer):
    """As Keras and TF.js write it."""

    keras = "Adamax"
    tfjs: ClassVar = {
        "Adamax": {"beta1": "beta_1", "beta2": "beta_2", "beta_1": "beta_1", "beta_2": "beta_2", "epsilon": "epsilon"}
    }

    def in_tfjs(self, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """As ``Adamax``."""
        return "Adamax", {**{name: options.get(name) for name in ("beta_1", "beta_2", "epsilon")}, "decay": 0}


OPTIMIZER = Adamax()
