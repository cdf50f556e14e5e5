"""Adam (Kingma and Ba 2015, arXiv:1412.6980)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optimizer_promises import OptimizerPromises

from pybridge.optimizers import written_for_tfjs


def adam(gradient: Any, memory: dict[str, Any], number: int) -> Any:
    memory["first"] = 0.9 * memory["first"] + 0.1 * gradient
    memory["second"] = 0.999 * memory["second"] + 0.001 * gradient**2
    return memory["first"] / (1 - 0.9**number) / (np.sqrt(memory["second"] / (1 - 0.999**number)) + 1e-7)


class TestAdam(OptimizerPromises):
    options = {"optimizer": "adam"}  # noqa: RUF012
    tfjs = ("Adam", {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7})
    # It divides by the gradient's own size, so that rounding shows where a gradient is almost zero.
    keras_tolerance = 2e-3

    def step(self, gradient: Any, memory: dict[str, Any], number: int) -> Any:
        return adam(gradient, memory, number)

    def in_keras(self, **options: Any) -> Any:
        import keras

        return keras.optimizers.Adam(**options)


@pytest.mark.parametrize("option", [{"amsgrad": True}, {"epsilon": 0.1}])
def test_an_adam_that_tfjs_computes_otherwise_is_refused(option: dict[str, Any]) -> None:
    config = {"learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, **option}
    with pytest.raises(ValueError, match=r"TF\.js"):
        written_for_tfjs("Adam", config)
