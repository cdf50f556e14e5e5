"""What flows between the operations of an imported graph: tensors whose axes may lie in another order than the source's."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.refusals import Refused

BATCH = 1_000_003
"""Stands for the number of examples in every shape of an imported graph.

A prime above any size that occurs, so that it survives the arithmetic that graphs do on shapes: whatever it divides holds
the batch.
"""


@dataclass(frozen=True)
class Value:
    """A tensor that depends on the model's input.

    The source counts *logical* axes, the TF.js tensor has *physical* ones, the batch first. Each logical axis is made of
    physical axes, the slowest first: ``(1, 2)`` is a merged height and width, ``()`` an axis of size 1. So transposing,
    squeezing and merging cost nothing until an operation needs another arrangement.

    Attributes:
        tensor: The layer, node and index in the style of ``inbound_nodes``.
        physical: The sizes of the TF.js tensor; the first is `BATCH`.
        axes: For each logical axis the physical ones; physical axes in none of them have size 1.
        nonnegative: Whether no element can be below zero, so that padding with zeros cannot change a maximum.
    """

    tensor: tuple[str, int, int]
    physical: tuple[int, ...]
    axes: tuple[tuple[int, ...], ...]
    nonnegative: bool = False

    def __post_init__(self) -> None:
        kept = tuple(tuple(axis for axis in group if self.physical[axis] != 1) for group in self.axes)
        object.__setattr__(self, "axes", kept)

    @property
    def shape(self) -> tuple[int, ...]:
        """The logical sizes, with `BATCH` for the number of examples."""
        return tuple(math.prod(self.physical[axis] for axis in group) for group in self.axes)

    @property
    def rank(self) -> int:
        """How many logical axes there are."""
        return len(self.axes)

    @property
    def layer(self) -> str:
        """The layer that makes this tensor."""
        return self.tensor[0]

    @property
    def batch_axis(self) -> int | None:
        """The logical axis that holds the batch, alone or merged with others; None where all sizes are fixed."""
        return next((position for position, group in enumerate(self.axes) if 0 in group), None)

    def axis(self, axis: int) -> int:
        """Count a logical axis from the front.

        Raises:
            Refused: If there is no such axis.
        """
        return normalized_axis(axis, self.rank)

    def sizes(self, axis: int) -> list[int]:
        """The sizes of the physical axes that make up a logical one."""
        return [self.physical[part] for part in self.axes[axis]]


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the model's input.

    Attributes:
        array: Its numbers in logical order.
        name: Where it comes from, such as ``layer1.0.conv1.weight``; empty for what was computed on the way.
        trainable: Whether it is a parameter that training moves.
        shape: The logical shape: that of ``array``, or what it is broadcast to.
    """

    array: NDArray[Any]
    name: str = ""
    trainable: bool = False
    expanded: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The logical shape, with `BATCH` where it is repeated for each example."""
        return self.expanded if self.expanded is not None else tuple(self.array.shape)

    @property
    def rank(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    def with_array(self, array: NDArray[Any]) -> Constant:
        """The same weight in another arrangement."""
        return replace(self, array=array, expanded=None)

    def transpose(self, *axes: int) -> Constant:
        """The same weight with its axes in another order."""
        return self.with_array(self.array.transpose(axes))

    def reshape(self, *shape: int) -> Constant:
        """The same weight with another shape."""
        return self.with_array(self.array.reshape(shape))

    def scalar(self) -> float | None:
        """Its only number, or None if it has several or is trainable.

        Raises:
            Refused: It is beyond what float32 holds.
        """
        if self.array.size != 1 or self.trainable:
            return None
        return float(as_float32(self.array).reshape(-1)[0]) if self.array.dtype.itemsize > 4 else float(self.array.reshape(-1)[0])

    def spread(self) -> NDArray[Any]:
        """Its numbers in their full shape, but with one row for the batch."""
        kept = tuple(1 if size and size % BATCH == 0 else size for size in self.shape)
        return np.broadcast_to(self.array.reshape((1,) * (self.rank - self.array.ndim) + self.array.shape), kept)


Operand = Value | Constant


def as_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    """Round numbers to float32, in which everything is computed.

    Raises:
        Refused: A number is beyond what float32 holds.
    """
    with np.errstate(over="ignore"):
        rounded = np.ascontiguousarray(array, np.float32).reshape(array.shape)
    if array.dtype.kind in "fiu" and not np.array_equal(np.isinf(rounded), np.isinf(array)):
        raise Refused("it holds numbers beyond float32")
    return rounded


def normalized_axis(axis: int, rank: int) -> int:
    """Count an axis from the front.

    Raises:
        Refused: If there is no such axis.
    """
    if not -rank <= axis < rank:
        raise Refused(f"the axis {axis} does not exist in a tensor of rank {rank}")
    return axis % rank


def constant(value: object, *, dtype: Any = None) -> Constant:
    """Wrap a number or an array that has no name."""
    return Constant(np.asarray(value, dtype))


def as_value(operand: object) -> Value:
    """Expect a tensor that depends on the input.

    Raises:
        Refused: If it is a constant.
    """
    if not isinstance(operand, Value):
        raise Refused("its input is a constant where a tensor is expected")
    return operand


def as_constant(operand: object) -> Constant:
    """Expect a constant.

    Raises:
        Refused: If it depends on the input.
    """
    if not isinstance(operand, Constant):
        raise Refused("one of its weights is computed from the input")
    return operand


def broadcast_shape(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """The shape of an operation on two tensors, by the rules of numpy.

    Raises:
        Refused: If they do not fit.
    """
    rank = max(len(first), len(second))
    left, right = (1,) * (rank - len(first)) + tuple(first), (1,) * (rank - len(second)) + tuple(second)
    for have, other in zip(left, right, strict=True):
        if have != other and 1 not in (have, other):
            raise Refused(f"shapes {list(first)} and {list(second)} do not fit together")
    return tuple(max(have, other) if 0 not in (have, other) else 0 for have, other in zip(left, right, strict=True))


def shown(shape: Sequence[int]) -> str:
    """Write a shape with N for the batch."""
    return (
        "("
        + ", ".join("N" if size == BATCH else f"{size // BATCH}N" if size and size % BATCH == 0 else str(size) for size in shape)
        + ")"
    )


def without_batch(text: str) -> str:
    """Write N where a text has the number that stands for the batch."""

    def named(found: re.Match[str]) -> str:
        count, rest = divmod(int(found[0]), BATCH)
        return found[0] if rest or not count else "N" if count == 1 else f"{count}N"

    return re.sub(r"\d{7,18}", named, text)
