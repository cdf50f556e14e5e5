"""RMSProp."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optimizer_promises import OptimizerPromises

from pybridge.optimizers import written_for_tfjs


class TestRMSprop(OptimizerPromises):
    options = {"optimizer": "rmsprop"}  # noqa: RUF012
    tfjs = ("RMSProp", {"decay": 0.9, "momentum": 0.0, "centered": False, "epsilon": 1e-7})

    def step(self, gradient: Any, memory: dict[str, Any], number: int) -> Any:
        memory["square"] = 0.9 * memory["square"] + 0.1 * gradient**2
        return gradient / np.sqrt(memory["square"] + 1e-7)

    def in_keras(self, **options: Any) -> Any:
        import keras

        return keras.optimizers.RMSprop(**options)


def test_a_centered_one_is_refused() -> None:
    with pytest.raises(ValueError, match="centered"):
        written_for_tfjs("RMSprop", {"learning_rate": 0.1, "rho": 0.9, "momentum": 0, "epsilon": 1e-7, "centered": True})
