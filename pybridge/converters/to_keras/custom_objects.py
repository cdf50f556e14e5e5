"""What TF.js computes and Keras 3 has no name for, as custom objects of Keras: registered layers and functions.

Models that use them are saved and loaded by Keras as usual once this module is imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import keras


@keras.saving.register_keras_serializable(package="pybridge", name="Parameter")
class Parameter(keras.layers.Layer):  # type: ignore[misc]
    """A free weight that is added to its input, or that its input is multiplied by.

    Args:
        mode: ``"add"`` or ``"multiply"``.
        shape: Of the weight, which broadcasts against the input, such as ``(1, 50, 768)`` for position embeddings.
        **options: As any Keras layer's.

    Raises:
        ValueError: The mode is neither.

    Example:
        >>> embedded = Parameter("add", (1, 50, 768))(tokens)
    """

    def __init__(self, mode: str, shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        if mode not in ("add", "multiply"):
            raise ValueError(f"mode must be 'add' or 'multiply', not {mode!r}")
        self.mode = mode
        self.shape = tuple(int(size) for size in shape)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:  # noqa: ARG002
        """Create the weight: zeros to be added, ones to multiply by."""
        initializer = "zeros" if self.mode == "add" else "ones"
        self.value = self.add_weight(name="value", shape=self.shape, initializer=initializer)

    def call(self, inputs: Any) -> Any:
        """Combine the input with the weight."""
        return inputs * self.value if self.mode == "multiply" else inputs + self.value

    def get_config(self) -> dict[str, Any]:
        """Name what is needed to build it again."""
        return {**super().get_config(), "mode": self.mode, "shape": list(self.shape)}


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
