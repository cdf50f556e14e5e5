"""Slice, concatenate, expand and pad: parts of tensors, and tensors out of parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pybridge.converters.building.activations import rescale
from pybridge.converters.building.builder import Builder
from pybridge.converters.building.layout import merged_axis, padded_rank, side_by_side
from pybridge.converters.building.reshaping import squeeze
from pybridge.converters.building.values import BATCH, Constant, Operand, Value, as_value, normalized_axis, shown
from pybridge.converters.refusals import Refused


def slice_axis(b: Builder, x: Value, axis: int, start: int, stop: int, step: int = 1, *, name: str) -> Value:
    """Keep a range along one axis, given as in Python; a negative step is not known."""
    axis = x.axis(axis)
    size = x.shape[axis]
    start, stop, step = slice(start, stop, step).indices(size)
    if step < 1:
        raise Refused("a slice with a negative step")
    count = len(range(start, stop, step))
    if count == size:
        return x
    if count == 0 or size % BATCH == 0:
        raise Refused(f"a slice {start}:{stop} of an axis of size {shown([size])}")
    x, place = merged_axis(b, x, axis, name=name)
    before, after = math.prod(x.physical[1:place]), math.prod(x.physical[place + 1 :])
    # Cropping2D crops the two axes after the batch; everything else is merged around them.
    is_image = len(x.physical) == 4 and place in (1, 2)
    frame = x.physical if is_image else (BATCH, before, size, after)
    at = place if is_image else 2
    tensor = b.reshaped(x.tensor, x.physical, frame, name=name)
    current = Value(tensor, frame, ((0,), (1,), (2,), (3,)), x.nonnegative)
    end = size - (start + (count - 1) * step + 1)
    if start or end:
        cropping = [[start, end], [0, 0]] if at == 1 else [[0, 0], [start, end]]
        cropped = tuple(n - start - end if part == at else n for part, n in enumerate(frame))
        current = b.layer(
            "Cropping2D",
            {"cropping": cropping, "data_format": "channels_last"},
            [current],
            name=name,
            physical=cropped,
            nonnegative=x.nonnegative,
        )
    if step > 1:
        strides = [step, 1] if at == 1 else [1, step]
        config = {"pool_size": [1, 1], "strides": strides, "padding": "valid", "data_format": "channels_last"}
        kept = tuple(count if part == at else n for part, n in enumerate(frame))
        current = b.layer("MaxPooling2D", config, [current], name=name, physical=kept, nonnegative=x.nonnegative)
    if count == 1 and not is_image:
        # One token of many: what follows mostly wants it without its axis.
        left = (*x.physical[:place], *x.physical[place + 1 :])
        axes = tuple(tuple(part - (part > place) for part in group if part != place) for group in x.axes)
        return Value(b.reshaped(current.tensor, current.physical, left, name=name), left, axes, x.nonnegative)
    physical = tuple(count if part == place else n for part, n in enumerate(x.physical))
    return Value(b.reshaped(current.tensor, current.physical, physical, name=name), physical, x.axes, x.nonnegative)


def select(b: Builder, x: Value, axis: int, index: int, *, name: str) -> Value:
    """Take one element along an axis, which is dropped."""
    axis = x.axis(axis)
    index = index % x.shape[axis]
    return squeeze(slice_axis(b, x, axis, index, index + 1, name=name), [axis])


def split(b: Builder, x: Value, sizes: Sequence[int], axis: int, *, name: str) -> list[Value]:
    """Cut a value into parts along one axis."""
    if sum(sizes) != x.shape[x.axis(axis)]:
        raise Refused(f"parts of {list(sizes)} do not fit a size of {x.shape[x.axis(axis)]}")
    ends = np.cumsum([0, *sizes]).tolist()
    return [slice_axis(b, x, axis, start, stop, name=f"{name}_part{place}") for place, (start, stop) in enumerate(pairwise(ends))]


def concatenate(b: Builder, operands: Sequence[Operand], axis: int, *, name: str) -> Operand:
    """Put tensors behind each other along one axis.

    Constants among them, such as a class token, become a layer that gives its weight for each example.
    """
    operands = [operand for operand in operands if 0 not in operand.shape]
    if len(operands) == 1:
        return operands[0]
    if all(isinstance(operand, Constant) for operand in operands):
        return joined([operand for operand in operands if isinstance(operand, Constant)], axis)
    reference = max((operand for operand in operands if isinstance(operand, Value)), key=lambda value: math.prod(value.physical))
    axis = reference.axis(axis)
    if 0 in reference.axes[axis]:
        raise Refused("it joins the examples of a batch")
    values = [
        operand if isinstance(operand, Value) else as_tensor(b, operand, reference, name=f"{name}_constant")
        for operand in operands
    ]
    if any(value.rank != reference.rank for value in values):
        raise Refused("it joins tensors of different ranks")
    arranged, place = side_by_side(b, values, axis, name=name)
    physical = list(arranged[0].physical)
    physical[place] = sum(value.physical[place] for value in arranged)
    axes = [group if at != axis else (place,) for at, group in enumerate(arranged[0].axes)]
    positive = all(value.nonnegative for value in arranged)
    return b.layer("Concatenate", {"axis": place}, arranged, name=name, physical=physical, axes=axes, nonnegative=positive)


def joined(constants: Sequence[Constant], axis: int) -> Constant:
    """Put constants behind each other; what is the same for each example stays so."""
    axis = normalized_axis(axis, constants[0].rank)
    repeated = {place for one in constants for place, size in enumerate(one.shape) if size and size % BATCH == 0}
    if axis in repeated:
        raise Refused("it joins the examples of a batch")
    arrays = [one.spread() for one in constants]
    shape = list(constants[0].shape)
    shape[axis] = sum(array.shape[axis] for array in arrays)
    if any(array.shape[place] != 1 for array in arrays for place in repeated):
        raise Refused("a constant that differs from example to example")
    return Constant(np.concatenate(arrays, axis), expanded=tuple(shape) if repeated else None)


def expand(b: Builder, x: Value, shape: Sequence[int], *, name: str) -> Value:
    """Repeat a value along axes of size 1; -1 keeps a size."""
    x = padded_rank(x, max(len(shape), x.rank))
    for axis, size in enumerate(shape):
        if size not in (-1, x.shape[axis]):
            if x.shape[axis] != 1 or size % BATCH == 0:
                raise Refused(f"a shape {shown(x.shape)} cannot be expanded to {shown(shape)}")
            x = as_value(concatenate(b, [x] * size, axis, name=name))
    return x


def pad(
    b: Builder, x: Value, amounts: Sequence[Sequence[int]], *, mode: str = "constant", value: float = 0.0, name: str
) -> Value:
    """Enlarge a value at the ends of its axes.

    Args:
        b: The builder.
        x: Any value.
        amounts: ``(before, after)`` for each logical axis; negative ones cut off.
        mode: constant, reflect or edge.
        value: The constant.
        name: The name of the layer.
    """
    for axis, (before, after) in enumerate(amounts):
        if before < 0 or after < 0:
            stop = x.shape[axis] + min(after, 0)
            x = slice_axis(b, x, axis, max(-before, 0), stop, name=f"{name}_crop")
    growing = {axis: (max(int(a), 0), max(int(c), 0)) for axis, (a, c) in enumerate(amounts) if a > 0 or c > 0}
    if not growing:
        return x
    if mode == "edge":
        for axis, (before, after) in growing.items():
            ends = [slice_axis(b, x, axis, place, place + 1, name=f"{name}_edge") for place in (0, x.shape[axis] - 1)]
            x = as_value(concatenate(b, [*[ends[0]] * before, x, *[ends[1]] * after], axis, name=name))
        return x
    if sum(not x.axes[axis] for axis in growing) > 1:
        raise Refused("it pads several axes of size 1")
    for axis in sorted(growing, key=lambda axis: not x.axes[axis]):
        if 0 in x.axes[axis]:
            raise Refused("it pads the batch axis")
        x, _ = merged_axis(b, x, axis, name=name)
    places = {_place(x, axis): both for axis, both in growing.items()}
    physical = tuple(size + sum(places.get(place, (0, 0))) for place, size in enumerate(x.physical))
    # An axis of size 1 is in no group until it has grown.
    axes = [(_place(x, axis),) if axis in growing else group for axis, group in enumerate(x.axes)]
    if mode == "constant" and value == 0 and len(x.physical) == 4 and set(places) <= {1, 2}:
        both = [list(places.get(place, (0, 0))) for place in (1, 2)]
        config = {"padding": both, "data_format": "channels_last"}
        return b.layer("ZeroPadding2D", config, [x], name=name, physical=physical, axes=axes, nonnegative=x.nonnegative)
    if mode == "constant" and value == 0 and len(places) == 1:
        place, both_ends = next(iter(places.items()))
        frame = (BATCH, math.prod(x.physical[1:place]), x.physical[place], math.prod(x.physical[place + 1 :]))
        framed = Value(b.reshaped(x.tensor, x.physical, frame, name=name), frame, ((0,), (1,), (2,), (3,)), x.nonnegative)
        config = {"padding": [[0, 0], list(both_ends)], "data_format": "channels_last"}
        grown = (*frame[:2], physical[place], frame[3])
        padded = b.layer("ZeroPadding2D", config, [framed], name=name, physical=grown, nonnegative=x.nonnegative)
        return Value(b.reshaped(padded.tensor, grown, physical, name=name), physical, tuple(axes), x.nonnegative)
    width = [list(places.get(place, (0, 0))) for place in range(len(x.physical))]
    arguments: dict[str, object] = {"pad_width": width, "mode": mode}
    if mode == "constant":
        arguments["constant_values"] = max(min(value, 1e38), -1e38)
    return b.operation("pad", {"x": x}, arguments, name=name, physical=physical, axes=axes)


def _place(x: Value, axis: int) -> int:
    """The physical axis of a logical one; for one of size 1, a physical axis of size 1 at the end."""
    return x.axes[axis][0] if x.axes[axis] else len(x.physical) - 1


def as_tensor(b: Builder, constant: Constant, like: Value, *, name: str) -> Value:
    """Make a constant a value: zeros of its shape for each example, plus the constant.

    Args:
        b: The builder.
        constant: Of the rank of ``like``; of any shape where that has no batch.
        like: What it is used beside; its type is taken over.
        name: The name of the layer.

    Raises:
        Refused: It has rows of its own for each example.
    """
    is_whole = like.batch_axis is None
    if not is_whole and (constant.rank != like.rank or 0 not in like.axes[0]):
        raise Refused(f"a constant of shape {shown(constant.shape)} beside a tensor of shape {shown(like.shape)}")
    array = constant.spread()
    if not is_whole:
        if not np.array_equal(array, np.broadcast_to(array[:1], array.shape), equal_nan=array.dtype.kind == "f"):
            raise Refused("a constant that differs from example to example")
        array = array[0]
    sizes = array.shape
    # One element of each example, times zero, spread over the shape by the addition.
    count = math.prod(like.physical[1:])
    frame = (BATCH, 1, count, 1)
    row = Value(b.reshaped(like.tensor, like.physical, frame, name=name), frame, ((0,), (), (2,), ()))
    one = slice_axis(b, row, 2, 0, 1, name=f"{name}_one")
    ones = (BATCH, *(1 for _ in sizes))
    tensor = b.reshaped(one.tensor, one.physical, ones, name=name)
    physical = (BATCH, *sizes)
    axes = [*([] if is_whole else [(0,)]), *((axis,) for axis in range(1, len(sizes) + 1))]
    dtype = b.dtype(like)
    if dtype != "float32":
        blank = b.operation("zeros_like", {"x": Value(tensor, ones, ((0,),))}, name=f"{name}_zero", dtype="int32")
        kind = "add" if dtype == "int32" else "not_equal"
        arguments = {"x2": {"array": array.astype(int).tolist(), "dtype": "int32"}}
        return b.operation(kind, {"x1": blank}, arguments, name=name, physical=physical, axes=axes, dtype=dtype)
    zero = rescale(b, Value(tensor, ones, ((0,),)), 0.0, 0.0, name=f"{name}_zero")
    config = {"mode": "add", "shape": list(sizes)}
    return b.layer(
        "PybridgeParameter",
        config,
        [zero],
        name=constant.name or name,
        weights={"value": constant.with_array(array)},
        physical=physical,
        axes=axes,
    )
