"""How the tensors of a converted ONNX file lie in the TF.js model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# By the numbers of TensorProto.DataType.
_NUMPY = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}


@dataclass(frozen=True)
class Layout:
    """What turns arrays of the TF.js model into those of the file, and back.

    Attributes:
        names: Of the file's inputs that the model takes, in the model's order.
        types: Their types, by the numbers of ONNX.
        unused: Name, shape and type of those that it does not take.
        channels_last: Whether the file itself has the channels last.
        examples: How many examples the file takes at once; None where all of its sizes are fixed.
    """

    names: tuple[str, ...]
    types: tuple[int, ...]
    unused: tuple[tuple[str, tuple[int, ...], int], ...]
    channels_last: bool
    examples: int | None

    def inputs(self, arrays: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """What the file takes, by name."""
        given = {
            name: self._moved(array, -1, 1).astype(_NUMPY[kind])
            for name, kind, array in zip(self.names, self.types, arrays, strict=True)
        }
        count = len(arrays[0]) if arrays and arrays[0].ndim else 1
        for name, shape, kind in self.unused:
            given[name] = np.zeros((shape[0] or count, *shape[1:]) if shape else (), _NUMPY[kind])
        return given

    def output(self, array: NDArray[Any]) -> NDArray[Any]:
        """What the model gives for an output of the file."""
        return self._moved(array, 1, -1)

    def _moved(self, array: NDArray[Any], source: int, target: int) -> NDArray[Any]:
        is_moved = array.ndim in (4, 5) and not self.channels_last
        return np.ascontiguousarray(np.moveaxis(array, source, target)) if is_moved else array
