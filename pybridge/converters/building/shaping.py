"""What moves elements: reshape, transpose, slice, concatenate, pad and resize."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.building.activations import rescale
from pybridge.converters.building.builder import Builder
from pybridge.converters.building.dense import axis_product
from pybridge.converters.building.layout import merged_axis, padded_rank, side_by_side
from pybridge.converters.building.values import BATCH, Constant, Operand, Refused, Value, as_value, normalized_axis, shown

_MANY_AXES = 6


def reshape(b: Builder, x: Value, shape: Sequence[int], *, name: str) -> Value:
    """Give a value another logical shape; merging axes costs nothing, splitting them a Reshape.

    Args:
        b: The builder.
        x: Any value.
        shape: The sizes, with `BATCH` for the examples; one may be -1.
        name: What added layers are called after.

    Raises:
        Refused: If the sizes do not fit, or examples would be mixed.
    """
    target = list(shape)
    if target.count(-1) == 1:
        known = math.prod(size for size in target if size != -1)
        target[target.index(-1)] = math.prod(x.shape) // known if known else 0
    if math.prod(target) != math.prod(x.shape) or any(size < 0 for size in target):
        raise Refused(f"a shape {shown(x.shape)} cannot become {shown(shape)}")
    axes = [part for group in x.axes for part in group]
    plan = _factors([x.physical[part] for part in axes], target)
    if plan is None:
        flat = _in_order(b, x, name=name)
        if target[0] != BATCH:
            raise Refused(f"reshaping {shown(x.shape)} to {shown(target)} mixes the examples of a batch")
        tensor = b.reshaped(flat.tensor, flat.physical, target, name=name)
        return Value(tensor, tuple(target), tuple((axis,) for axis in range(len(target))), x.nonnegative)
    pieces, groups = plan
    # Later physical axes first, so that splitting one does not renumber those that are still to be split.
    named = Value(x.tensor, x.physical, tuple((part,) for part in axes), x.nonnegative)
    for place in sorted(range(len(axes)), key=lambda place: axes[place], reverse=True):
        named = b.split_axis(named, axes[place], pieces[place], name=name)
    parts = [part for group in named.axes for part in group]
    result = Value(named.tensor, named.physical, tuple(tuple(parts[i] for i in group) for group in groups), x.nonnegative)
    # The windows of a Swin transformer: their parts would otherwise pile up beyond the rank that TF.js can transpose.
    scattered = any(later != earlier + 1 for group in result.axes for earlier, later in pairwise(group))
    return b.tidied(result, name=name) if scattered and len(result.physical) >= _MANY_AXES else result


def with_batch(x: Value, shape: Sequence[int], examples: int) -> list[int]:
    """Find where the batch is in the sizes of a reshape that were written down for a fixed number of examples.

    Args:
        x: What is reshaped.
        shape: The sizes; one may be -1.
        examples: The number that they were written for, which is often 1.

    Returns:
        The sizes with `BATCH` in the place where the batch stands by itself, or leads what it is merged with.
    """
    target = list(shape)
    total = math.prod(x.shape)
    if total % BATCH or math.prod(target) == total:
        return target
    if target.count(-1) == 1:
        known = math.prod(size for size in target if size != -1)
        target[target.index(-1)] = total // BATCH * examples // known if known else 0
    if math.prod(target) * BATCH != total * examples:
        return list(shape)
    sizes = [x.physical[part] for group in x.axes for part in group]
    batch = sizes.index(BATCH)
    best, rank = list(shape), 4
    for place, size in enumerate(target):
        if size % examples:
            continue
        candidate = [*target[:place], size // examples * BATCH, *target[place + 1 :]]
        plan = _factors(sizes, candidate)
        if plan is None:
            score = 3 if place == 0 else 4
        else:
            number = sum(len(pieces) for pieces in plan[0][:batch])
            group = plan[1][place]
            # Examples are never merged into the last axis, that of the features, if there is another way.
            is_last = place == len(target) - 1
            score = 0 if group == [number] else 3 if is_last else 1 if group[0] == number else 2
        if score < rank:
            best, rank = candidate, score
    return best


def transpose(x: Value, order: Sequence[int]) -> Value:
    """Put the logical axes into another order."""
    chosen = [x.axis(axis) for axis in order]
    if sorted(chosen) != list(range(x.rank)):
        raise Refused(f"{list(order)} is no order of {x.rank} axes")
    return Value(x.tensor, x.physical, tuple(x.axes[axis] for axis in chosen), x.nonnegative)


def squeeze(x: Value, axes: Sequence[int]) -> Value:
    """Drop axes of size 1; others are left as they are."""
    chosen = {x.axis(axis) for axis in axes}
    kept = tuple(group for axis, group in enumerate(x.axes) if axis not in chosen or group)
    return Value(x.tensor, x.physical, kept, x.nonnegative)


def unsqueeze(x: Value, axes: Sequence[int]) -> Value:
    """Add axes of size 1 at places counted in the result."""
    rank = x.rank + len(axes)
    chosen = {normalized_axis(axis, rank) for axis in axes}
    groups = iter(x.axes)
    return Value(x.tensor, x.physical, tuple(() if axis in chosen else next(groups) for axis in range(rank)), x.nonnegative)


def expand(b: Builder, x: Value, shape: Sequence[int], *, name: str) -> Value:
    """Repeat a value along axes of size 1; -1 keeps a size."""
    x = padded_rank(x, max(len(shape), x.rank))
    for axis, size in enumerate(shape):
        if size not in (-1, x.shape[axis]):
            if x.shape[axis] != 1 or size % BATCH == 0:
                raise Refused(f"a shape {shown(x.shape)} cannot be expanded to {shown(shape)}")
            x = as_value(concatenate(b, [x] * size, axis, name=name))
    return x


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
        arrays = [np.broadcast_to(operand.array, operand.shape) for operand in operands if isinstance(operand, Constant)]
        return Constant(np.concatenate(arrays, axis))
    reference = max((operand for operand in operands if isinstance(operand, Value)), key=lambda value: math.prod(value.physical))
    axis = reference.axis(axis)
    if 0 in reference.axes[axis]:
        raise Refused("it joins the examples of a batch")
    values = [
        operand if isinstance(operand, Value) else _repeated(b, operand, reference, name=f"{name}_constant")
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


def resize(
    b: Builder,
    x: Value,
    sizes: Mapping[int, int],
    *,
    method: str,
    coordinates: str = "half_pixel",
    scales: Mapping[int, float] | None = None,
    rounding: str = "floor",
    channels: int = 1,
    name: str,
) -> Value:
    """Resize images.

    Args:
        b: The builder.
        x: Any value.
        sizes: The new size of each logical axis that changes.
        method: nearest or bilinear.
        coordinates: half_pixel, align_corners or asymmetric, as in the Resize operator of ONNX.
        scales: The factor of an axis where it is not new size / old size.
        rounding: How nearest finds a pixel: floor, ceil, round_prefer_floor or round_prefer_ceil.
        channels: The logical axis of the channels of images.
        name: The name of the layer.
    """
    changes = {x.axis(axis): size for axis, size in sizes.items() if x.shape[axis] != size}
    if not changes:
        return x
    given = {x.axis(axis): factor for axis, factor in (scales or {}).items()}
    matrices = {
        axis: interpolation(x.shape[axis], size, method, coordinates, given.get(axis), rounding) for axis, size in changes.items()
    }
    spatial = [axis for axis in range(1, x.rank) if axis != x.axis(channels)]
    if x.rank == 4 and set(changes) <= set(spatial) and all(map(_repeats, matrices.values())):
        x = b.ordered(x, [0, *spatial, x.axis(channels)], name=name)
        height, width = (changes.get(axis, x.shape[axis]) // x.shape[axis] for axis in spatial)
        physical = (x.physical[0], x.physical[1] * height, x.physical[2] * width, x.physical[3])
        config = {"size": [height, width], "data_format": "channels_last", "interpolation": "nearest"}
        axes = [(0,), *((1 + spatial.index(axis),) if axis in spatial else (3,) for axis in range(1, 4))]
        return b.layer("UpSampling2D", config, [x], name=name, physical=physical, axes=axes, nonnegative=x.nonnegative)
    for axis, matrix in sorted(matrices.items(), reverse=True):
        x = axis_product(b, x, axis, matrix, name=f"{name}_axis{axis}")
    return x


def _repeats(matrix: NDArray[np.float64]) -> bool:
    """Whether a matrix repeats each element a whole number of times."""
    old, new = matrix.shape
    return new % old == 0 and bool(np.array_equal(matrix, np.repeat(np.eye(old), new // old, axis=1)))


def interpolation(
    old: int, new: int, method: str, coordinates: str, scale: float | None = None, rounding: str = "floor"
) -> NDArray[np.float64]:
    """The matrix (old, new) that resizes one axis.

    The formulas are those of the Resize operator of ONNX: https://onnx.ai/onnx/operators/onnx__Resize.html
    """
    factor = scale or new / old
    place = np.arange(new, dtype=np.float64)
    if coordinates == "half_pixel" or (coordinates == "pytorch_half_pixel" and new > 1):
        source = (place + 0.5) / factor - 0.5
    elif coordinates == "asymmetric":
        source = place / factor
    elif coordinates in ("align_corners", "pytorch_half_pixel"):
        source = place * (old - 1) / (new - 1) if new > 1 else place * 0
    else:
        raise Refused(f"coordinates {coordinates} are not known")
    matrix = np.zeros((old, new))
    if method == "nearest":
        found = _rounded(source, rounding)
        matrix[np.clip(found, 0, old - 1).astype(int), place.astype(int)] = 1
        return matrix
    if method != "bilinear":
        raise Refused(f"interpolation {method}; nearest and bilinear can be converted")
    source = np.clip(source, 0, old - 1)
    low = np.floor(source).astype(int)
    share = source - low
    np.add.at(matrix, (low, place.astype(int)), 1 - share)
    np.add.at(matrix, (np.minimum(low + 1, old - 1), place.astype(int)), share)
    return matrix


def _rounded(source: NDArray[np.float64], rounding: str) -> NDArray[np.float64]:
    # Dividing by a factor such as 1.3 leaves what should be whole a little below it.
    functions = {
        "floor": lambda: np.floor(source + 1e-9),
        "ceil": lambda: np.ceil(source - 1e-9),
        "round_prefer_floor": lambda: np.ceil(source - 0.5 - 1e-9),
        "round_prefer_ceil": lambda: np.floor(source + 0.5 + 1e-9),
    }
    if rounding not in functions:
        raise Refused(f"rounding {rounding} is not known")
    return functions[rounding]()


def _factors(sizes: Sequence[int], target: Sequence[int]) -> tuple[list[list[int]], list[list[int]]] | None:
    """Divide sizes so that runs of the pieces make up the target; None where the cuts do not fit.

    Returns:
        For each size its pieces, and for each target the pieces by number.
    """
    pieces: list[list[int]] = [[] for _ in sizes]
    groups: list[list[int]] = []
    position, rest, number = 0, sizes[0] if sizes else 1, 0
    for wanted in target:
        group: list[int] = []
        need = wanted
        while need != 1:
            if position >= len(sizes):
                return None
            step = math.gcd(need, rest)
            if step not in (need, rest):
                return None
            pieces[position].append(step)
            group.append(number)
            number += 1
            need //= step
            rest //= step
            if rest == 1:
                position += 1
                rest = sizes[position] if position < len(sizes) else 1
        groups.append(group)
    return pieces, groups


def _in_order(b: Builder, x: Value, *, name: str) -> Value:
    """Arrange a value as its logical axes are counted."""
    tensor, physical = b.regroup(x, x.axes, name=name)
    return Value(tensor, physical, tuple((axis,) for axis in range(x.rank)), x.nonnegative)


def _place(x: Value, axis: int) -> int:
    """The physical axis of a logical one; for one of size 1, a physical axis of size 1 at the end."""
    return x.axes[axis][0] if x.axes[axis] else len(x.physical) - 1


def _repeated(b: Builder, constant: Constant, like: Value, *, name: str) -> Value:
    """Make a constant a value: zeros of its shape for each example, plus the constant."""
    if constant.rank != like.rank or 0 not in like.axes[0]:
        raise Refused(f"a constant of shape {shown(constant.shape)} beside a tensor of shape {shown(like.shape)}")
    array = constant.array.reshape((1,) * (like.rank - constant.array.ndim) + constant.array.shape)
    sizes = constant.shape[1:]
    # One element of each example, times zero, spread over the shape by the addition.
    count = math.prod(like.physical[1:])
    frame = (BATCH, 1, count, 1)
    row = Value(b.reshaped(like.tensor, like.physical, frame, name=name), frame, ((0,), (), (2,), ()))
    one = slice_axis(b, row, 2, 0, 1, name=f"{name}_one")
    ones = (BATCH, *(1 for _ in sizes))
    tensor = b.reshaped(one.tensor, one.physical, ones, name=name)
    zero = rescale(b, Value(tensor, ones, ((0,),) + ((),) * len(sizes)), 0.0, 0.0, name=f"{name}_zero")
    weight = constant.with_array(np.broadcast_to(array[0], sizes))
    config = {"mode": "add", "shape": list(sizes)}
    return b.layer(
        "PybridgeParameter",
        config,
        [zero],
        name=constant.name or name,
        weights={"value": weight},
        physical=(BATCH, *sizes),
        axes=[(axis,) for axis in range(len(sizes) + 1)],
    )
