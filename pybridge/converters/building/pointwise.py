"""Operations on elements that TF.js has no layer for: comparisons, conditions, and arithmetic on whole numbers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.layout import padded_rank
from pybridge.converters.building.values import BATCH, Constant, Operand, Value, as_float32, broadcast_shape
from pybridge.converters.refusals import Refused

# They are written into the model's JSON.
_LARGEST = 2**16
_LARGEST_NUMBER = 1e38


def pointwise(b: Builder, kind: str, operands: Mapping[str, Operand], *, dtype: str, name: str) -> Value:
    """Apply one of keras.ops element by element, with the broadcasting of numpy.

    Args:
        b: The builder.
        kind: Its name there.
        operands: By the names of its parameters; one of them at least depends on the input.
        dtype: Of the result: float32, int32 or bool.
        name: The name of the layer.

    Raises:
        Refused: Shapes do not fit, or a constant is too large or has rows of its own for each example.
    """
    shape = reduce(broadcast_shape, (operand.shape for operand in operands.values()))
    rank = len(shape)
    values = {part: padded_rank(one, rank) for part, one in operands.items() if isinstance(one, Value)}
    if not values:
        raise Refused("it depends on constants alone")
    is_whole = all(value.batch_axis is None for value in values.values())
    placed: dict[str, Value] = {}
    for part, value in values.items():
        if not is_whole and not value.axes[0]:
            raise Refused("it spreads the examples of a batch")
        placed[part] = b.ordered(value, range(rank), name=name)
    lent = (BATCH,) if is_whole else ()
    physical = lent + shape
    arguments = {part: _embedded(one, rank, is_whole) for part, one in operands.items() if isinstance(one, Constant)}
    axes = [(axis + len(lent),) for axis in range(rank)]
    return b.operation(kind, placed, arguments, name=name, physical=physical, axes=axes, dtype=dtype)


def cast(b: Builder, x: Value, dtype: str, *, name: str) -> Value:
    """Make the elements float32, int32 (towards zero) or bool (whether they are not zero)."""
    if b.dtype(x) == dtype:
        return x
    return b.operation("cast", {"x": x}, {"dtype": dtype}, name=name, nonnegative=x.nonnegative, dtype=dtype)


def infinite(b: Builder, x: Value, *, above: bool, name: str) -> Value:
    """Whether elements are infinitely large, or infinitely small."""
    is_infinite = b.operation("isinf", {"x": x}, name=f"{name}_infinite", dtype="bool")
    zero = Constant(np.zeros((), np.float32))
    sign = pointwise(b, "greater" if above else "less", {"x1": x, "x2": zero}, dtype="bool", name=f"{name}_sign")
    return pointwise(b, "logical_and", {"x1": is_infinite, "x2": sign}, dtype="bool", name=name)


def wrapped(b: Builder, x: Value, bits: int, *, is_signed: bool, name: str) -> Value:
    """Let whole numbers overflow as those of fewer bits do."""
    span = 2**bits
    half = span // 2 if is_signed else 0

    def apply(kind: str, value: Value, number: int) -> Value:
        return pointwise(b, kind, {"x1": value, "x2": Constant(np.asarray(number))}, dtype="int32", name=f"{name}_{kind}")

    moved = apply("add", x, half) if half else x
    rest = apply("mod", moved, span)
    return apply("subtract", rest, half) if half else rest


def _embedded(constant: Constant, rank: int, is_whole: bool) -> Any:
    array = constant.spread()
    if array.size > _LARGEST:
        raise Refused(f"a constant of {array.size} elements")
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)
    if not is_whole and rank and array.shape[0] != 1:
        if not np.array_equal(array, np.broadcast_to(array[:1], array.shape)):
            raise Refused("a constant that differs from example to example")
        array = array[:1]
    if array.dtype.kind == "f":
        return {"array": _writable(as_float32(array)), "dtype": "float32"}
    if array.dtype.kind == "b":
        return {"array": array.tolist(), "dtype": "bool"}
    if array.size and (array.min() < -(2**31) or array.max() >= 2**31):
        raise Refused("a whole number beyond int32")
    return {"array": array.tolist(), "dtype": "int32"}


def _writable(array: NDArray[np.float32]) -> Any:
    """Nested lists in which texts stand for the numbers that a model.json does not hold."""
    large = ~(np.abs(array) <= _LARGEST_NUMBER)
    if not large.any():
        return array.tolist()
    written = array.astype(object)
    names = {number: str(number).replace("inf", "Infinity").replace("nan", "NaN") for number in set(array[large].tolist())}
    written[large] = [names.get(number, "NaN") for number in array[large].tolist()]
    return written.tolist()
