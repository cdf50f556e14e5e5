"""Bounds what Keras allocates while a model is built."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
from numpy.typing import NDArray

from pybridge.errors import ModelFormatError

# So that of a small weight that is missing its name can be told.
_SLACK = 2**20
_RECORD_SLACK = 2**22
# Patching a class is for all threads.
_LOCK = threading.RLock()


@contextmanager
def bounded_everywhere(weights: Mapping[str, NDArray[Any]]) -> Iterator[None]:
    """Bound all Keras layers that are made inside: twice what the weights hold, and some more for what is recorded beside them.

    Raises:
        ModelFormatError: From inside, where a layer asks for more.
    """
    left = 2 * sum(value.size for value in weights.values()) + _RECORD_SLACK

    def add_weight(layer: Any, shape: Any = None, *rest: Any, **options: Any) -> Any:
        nonlocal left
        left -= math.prod(size for size in shape or () if isinstance(size, int))
        if left < 0:
            raise ModelFormatError(f"the layer {layer.name!r} needs a weight of shape {list(shape)}, more than the model holds")
        return original(layer, shape, *rest, **options)

    with _LOCK:
        original = keras.layers.Layer.add_weight
        keras.layers.Layer.add_weight = add_weight
        try:
            yield
        finally:
            keras.layers.Layer.add_weight = original


class Allowance:
    """As many numbers as the file holds, and a million more: a layer that asks for more does not fit to its weights.

    A damaged config may name any size; Keras would allocate it before the weights could be compared. Random values are
    not drawn either, since those of the file replace them.
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._left = sum(value.size for value in weights.values()) + _SLACK

    def watch(self, layer: Any) -> None:
        """Count what a layer and the layers inside it will allocate."""
        for part in layer._flatten_layers(include_self=True):
            if "add_weight" not in vars(part):
                object.__setattr__(part, "add_weight", self._counted(part, layer.name))

    def _counted(self, part: Any, name: str) -> Any:
        original = part.add_weight

        def add_weight(shape: Any = None, initializer: Any = None, *rest: Any, **options: Any) -> Any:
            del initializer
            size = math.prod(shape or ())
            if size < 0 or size > self._left:
                raise ModelFormatError(
                    f"the layer {name!r} needs a weight of shape {list(shape)}, which is not in the model's weights",
                    hint="The model is damaged or incomplete: export or download it again.",
                )
            self._left -= size
            return original(shape, "zeros", *rest, **options)

        return add_weight
