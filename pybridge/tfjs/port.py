"""What goes into a model or comes out of it: a tensor with a name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Port:
    """An input or output of a model, or of one signature of a TensorFlow graph.

    Attributes:
        name: Its name for callers.
        shape: With the batch; None where a size is free.
        dtype: As numpy and TensorFlow.js name it, or ``"string"``.
        tensor: The graph tensor's name, such as ``"serving_default_images:0"``; empty where a model of layers has no graph.
        any_rank: Whether nothing is known of the shape, not even how many sizes it has; ``shape`` is then ``(None,)``.

    Example:
        >>> node.load_model("efficientnet_lite0").inputs[0].shape
        (None, 224, 224, 3)
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    tensor: str = field(default="", repr=False)
    any_rank: bool = field(default=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As manifests of traced graphs hold it, and as Node and the TensorFlow process take it."""
        known = {"name": self.name, "tensor": self.tensor, "dtype": self.dtype, "shape": self.shape}
        return {**known, "any_rank": True} if self.any_rank else known

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> Port:
        """The inverse of ``to_dict``.

        Raises:
            KeyError: A part is missing.
        """
        return cls(
            description["name"],
            tuple(description["shape"]),
            description["dtype"],
            description["tensor"],
            bool(description.get("any_rank")),
        )
