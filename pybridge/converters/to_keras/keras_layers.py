"""Keras twins of our TF.js classes that Keras itself has no class for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
