"""What TF.js computes and Keras 3 has no name for, as registered Keras functions.

Models that use them are saved and loaded by Keras as usual once this module is imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import keras


def _registered(name: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    return cast(
        "Callable[[Callable[[Any], Any]], Callable[[Any], Any]]",
        keras.saving.register_keras_serializable(package="pybridge", name=name),
    )


@_registered("hard_sigmoid_tfjs")
def hard_sigmoid_tfjs(x: Any) -> Any:
    """``clip(0.2 x + 0.5, 0, 1)``: the slope of TF.js and Keras 2; that of Keras 3 is 1/6."""
    return keras.ops.clip(x * 0.2 + 0.5, 0.0, 1.0)


@_registered("gelu_new")
def gelu_new(x: Any) -> Any:
    """GELU with the tanh of Hendrycks and Gimpel 2016, section 2, as TF.js computes it."""
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * keras.ops.power(x, 3))
    return 0.5 * x * (1.0 + keras.ops.tanh(inner))
