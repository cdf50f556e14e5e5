"""Adagrad, which models may be compiled with; trainings in Node do not use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pybridge.optimizers.optimizer import Optimizer


class Adagrad(Optimizer):
    """As Keras and TF.js write it."""

    keras = "Adagrad"
    tfjs: ClassVar = {"Adagrad": {"initial_accumulator_value": "initial_accumulator_value", "epsilon": "epsilon"}}

    def in_tfjs(self, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """As ``Adagrad``, whose epsilon is fixed in TF.js."""
        start = options.get("initial_accumulator_value")
        if options.get("epsilon") != 1e-7 or not start:
            raise ValueError("TF.js has Adagrad with an epsilon of 1e-7 and a positive start alone")
        return "Adagrad", {"initial_accumulator_value": start}


OPTIMIZER = Adagrad()
