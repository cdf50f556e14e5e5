"""How the numbers of Keras weights are arranged in the weights of TF.js.

A :class:`Weight` is an expression over Keras variables: reshape, transpose, slice, concatenate. It only moves numbers, so that
its inverse needs no code of its own: evaluated on the *positions* of the numbers instead of on the numbers, it says where each
one went (:func:`scatter`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import ModelFormatError

Expression = list[Any]
"""As JSON: ``["variable", i]``, ``["constant", shape]``, ``["reshape", e, shape]``, ``["transpose", e, axes]``,
``["slice", e, axis, start, stop]`` or ``["concat", [e, ...], axis]``."""

_DEPTH_LIMIT = 16
_OPERAND_LIMIT = 4096


@dataclass(frozen=True, eq=False)
class Weight:
    """A weight of TF.js made of Keras variables.

    Attributes:
        value: Its numbers.
        expression: How they come from Keras variables.

    Example:
        >>> kernel = Weight.of(0, np.zeros((3, 3, 4)))
        >>> kernel.reshape((3, 3, 4, 1)).value.shape
        (3, 3, 4, 1)
    """

    value: NDArray[Any]
    expression: Expression

    @classmethod
    def of(cls, index: int, value: NDArray[Any]) -> Weight:
        """The Keras variable at ``index`` of ``model.weights``, unchanged."""
        return cls(value, ["variable", index])

    @classmethod
    def constant(cls, value: NDArray[Any]) -> Weight:
        """Numbers that belong to no Keras variable."""
        return cls(value, ["constant", [int(size) for size in value.shape]])

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        return tuple(self.value.shape)

    def reshape(self, shape: Sequence[int]) -> Weight:
        """The same numbers in the same order under another shape."""
        value = self.value.reshape(tuple(shape))
        return Weight(value, ["reshape", self.expression, [int(size) for size in value.shape]])

    def transpose(self, axes: Sequence[int]) -> Weight:
        """The axes in another order, as ``numpy.transpose``."""
        return Weight(self.value.transpose(tuple(axes)), ["transpose", self.expression, [int(axis) for axis in axes]])

    def slice(self, axis: int, start: int, stop: int) -> Weight:
        """Positions ``start`` to ``stop`` of one axis (not negative)."""
        index = (slice(None),) * axis + (slice(start, stop),)
        return Weight(self.value[index], ["slice", self.expression, axis, start, stop])

    def split(self, parts: int, axis: int) -> list[Weight]:
        """Equal parts along one axis."""
        size = self.shape[axis] // parts
        return [self.slice(axis, part * size, (part + 1) * size) for part in range(parts)]

    @staticmethod
    def concat(weights: Sequence[Weight], axis: int) -> Weight:
        """Several weights one after the other along ``axis``."""
        value = np.concatenate([weight.value for weight in weights], axis)
        return Weight(value, ["concat", [weight.expression for weight in weights], axis])


def scatter(
    expressions: Mapping[str, Expression], weights: Mapping[str, NDArray[Any]], shapes: Sequence[Sequence[int]]
) -> list[NDArray[Any] | None]:
    """Put the numbers of TF.js weights back into Keras variables: the inverse of every expression.

    Args:
        expressions: How each TF.js weight was made, by its name.
        weights: The TF.js weights as they are now.
        shapes: The shapes of the Keras variables, in order.

    Returns:
        An array for each variable, or None where the weights do not hold all its numbers.

    Raises:
        ModelFormatError: If an expression is malformed, or does not fit the weights.
    """
    sizes = [math.prod(shape) for shape in shapes]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    numbers: list[NDArray[Any] | None] = [None] * len(sizes)
    filled: list[NDArray[np.bool_] | None] = [None] * len(sizes)

    def positions(index: int) -> NDArray[np.int64]:
        return np.arange(offsets[index], offsets[index + 1]).reshape(tuple(shapes[index]))

    for name, expression in expressions.items():
        value = weights[name]
        if _is_whole(expression) and list(value.shape) == list(shapes[_index(expression, len(sizes))]):
            index = expression[1]
            numbers[index], filled[index] = value.reshape(-1), np.ones(sizes[index], np.bool_)
            continue
        places = _evaluate(expression, positions, len(sizes), 0)
        if places.shape != value.shape:
            raise ModelFormatError(
                f"the weight {name!r} has the shape {list(value.shape)}, but its record {list(places.shape)}", hint=_STALE
            )
        flat, found = places.reshape(-1), value.reshape(-1)
        owners = np.searchsorted(offsets, flat, side="right") - 1
        for index in np.unique(owners[flat >= 0]):
            chosen = (owners == index) & (flat >= 0)
            target, known = numbers[index], filled[index]
            if target is None or known is None:
                target, known = np.zeros(sizes[index], value.dtype), np.zeros(sizes[index], np.bool_)
                numbers[index], filled[index] = target, known
            inside = flat[chosen] - offsets[index]
            target[inside], known[inside] = found[chosen], True
    return [
        value.reshape(tuple(shape)) if value is not None and known is not None and known.all() else None
        for value, known, shape in zip(numbers, filled, shapes, strict=True)
    ]


_STALE = "The model was changed since it was converted: convert it again, or remove userDefinedMetadata from model.json."


def _evaluate(expression: object, positions: Callable[[int], NDArray[np.int64]], variables: int, depth: int) -> NDArray[np.int64]:
    if not isinstance(expression, list) or not expression or depth > _DEPTH_LIMIT:
        raise _malformed(expression)
    kind, *rest = expression
    try:
        if kind == "variable":
            return positions(_index(expression, variables))
        if kind == "constant":
            shape = _whole(rest[0])
            if math.prod(shape) > 2**28:
                raise _malformed(expression)
            return np.full(shape, -1, np.int64)
        if kind == "concat":
            if len(rest[0]) > _OPERAND_LIMIT:
                raise _malformed(expression)
            parts = [_evaluate(part, positions, variables, depth + 1) for part in rest[0]]
            return np.concatenate(parts, axis=int(rest[1]))
        inner = _evaluate(rest[0], positions, variables, depth + 1)
        if kind == "reshape":
            return inner.reshape(_whole(rest[1]))
        if kind == "transpose":
            return inner.transpose(_whole(rest[1]))
        if kind == "slice":
            axis, start, stop = _whole(rest[1:])
            return inner[(slice(None),) * axis + (slice(start, stop),)]
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise _malformed(expression) from error
    raise _malformed(expression)


def _is_whole(expression: object) -> bool:
    return isinstance(expression, list) and expression[:1] == ["variable"]


def _index(expression: Expression, variables: int) -> int:
    index = expression[1] if len(expression) == 2 else None
    if type(index) is not int or not 0 <= index < variables:
        raise _malformed(expression)
    return index


def _whole(values: object) -> tuple[int, ...]:
    if not isinstance(values, list) or len(values) > 32 or not all(type(value) is int and value >= 0 for value in values):
        raise ValueError("not a list of whole numbers")
    return tuple(values)


def _malformed(expression: object) -> ModelFormatError:
    return ModelFormatError(f"the record of a weight is malformed: {str(expression)[:80]}", hint=_STALE)
