"""What moves elements in ONNX: views, slices, concatenation, padding and resizing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pybridge.converters.building import dense, reshaping, resizing, slicing
from pybridge.converters.building.values import BATCH, Constant, Operand, Value, as_constant, as_value, broadcast_shape
from pybridge.converters.onnx.registry import Node, operation, whole_numbers
from pybridge.converters.refusals import Refused


@operation("Shape")
def _shape(at: Node, x: Any) -> Constant:
    shape = as_value(x).shape[at.get("start", 0) : at.get("end", None)]
    return Constant(np.asarray(shape, np.int64))


@operation("Reshape")
def _reshape(at: Node, x: Any, shape: Any) -> Value:
    x = as_value(x)
    target = whole_numbers(shape)
    if not at.get("allowzero", 0):
        target = [x.shape[place] if size == 0 and place < x.rank else size for place, size in enumerate(target)]
    if at.static_batch is not None:
        target = reshaping.with_batch(x, target, at.static_batch)
    return reshaping.reshape(at.builder, x, target, name=at.name)


@operation("Flatten")
def _flatten(at: Node, x: Any) -> Value:
    x = as_value(x)
    axis = at.get("axis", 1) % x.rank if at.get("axis", 1) != x.rank else x.rank
    return reshaping.reshape(at.builder, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])), name=at.name)


@operation("Transpose")
def _transpose(at: Node, x: Any) -> Value:
    x = as_value(x)
    return reshaping.transpose(x, at.get("perm", list(reversed(range(x.rank)))))


@operation("Size")
def _size(_: Node, x: Any) -> Constant:
    return Constant(np.asarray(math.prod(as_value(x).shape), np.int64))


@operation("Squeeze")
def _squeeze(at: Node, x: Any, axes: Any = None) -> Value:
    x = as_value(x)
    chosen = whole_numbers(axes) if axes is not None else at.get("axes", None)
    if chosen is not None:
        return reshaping.squeeze(x, chosen)
    if x.batch_axis is not None:
        raise Refused("it drops whatever axis has the size 1, which is that of the batch too where there is one example")
    return reshaping.squeeze(x, [axis for axis, size in enumerate(x.shape) if size == 1])


@operation("Unsqueeze")
def _unsqueeze(at: Node, x: Any, axes: Any = None) -> Value:
    return reshaping.unsqueeze(as_value(x), whole_numbers(axes) if axes is not None else at.get("axes", []))


@operation("Expand")
def _expand(at: Node, x: Any, shape: Any) -> Value:
    x, target = as_value(x), whole_numbers(shape)
    return slicing.expand(at.builder, x, broadcast_shape(x.shape, target), name=at.name)


@operation("Tile")
def _tile(at: Node, x: Any, repeats: Any) -> Value:
    b, x, times = at.builder, as_value(x), whole_numbers(repeats)
    if len(times) != x.rank or any(count < 1 for count in times):
        raise Refused("a repetition that does not fit the tensor")
    if any(count % BATCH == 0 or (count > 1 and 0 in x.axes[axis]) for axis, count in enumerate(times)):
        raise Refused("it repeats the examples of a batch")
    x = b.ordered(x, range(x.rank), name=at.name)
    lent = len(x.physical) - x.rank
    full = [1] * lent + times
    physical = tuple(size * count for size, count in zip(x.physical, full, strict=True))
    axes = [(axis + lent,) for axis in range(x.rank)]
    return b.operation("tile", {"x": x}, {"repeats": full}, name=at.name, physical=physical, axes=axes, dtype=b.dtype(x))


@operation("Concat")
def _concat(at: Node, *operands: Any) -> Operand:
    return slicing.concatenate(at.builder, list(operands), at.get("axis", 0), name=at.name)


@operation("Split")
def _split(at: Node, x: Any, sizes: Any = None) -> list[Value]:
    x = as_value(x)
    axis = x.axis(at.get("axis", 0))
    given = whole_numbers(sizes) if sizes is not None else at.get("split", None)
    if given is None:
        count = at.get("num_outputs", at.outputs)
        part = -(-x.shape[axis] // count)
        given = [min(part, x.shape[axis] - start) for start in range(0, x.shape[axis], part)]
    return slicing.split(at.builder, x, given, axis, name=at.name)


@operation("Slice")
def _slice(at: Node, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Value:
    part = as_value(x)
    first = whole_numbers(starts) if starts is not None else at.get("starts", [])
    last = whole_numbers(ends) if ends is not None else at.get("ends", [])
    chosen = whole_numbers(axes) if axes is not None else at.get("axes", list(range(len(first))))
    stride = whole_numbers(steps) if steps is not None else [1] * len(first)
    for axis, start, stop, step in zip(chosen, first, last, stride, strict=True):
        if 0 not in part.axes[part.axis(axis)] and any(end and end % BATCH == 0 for end in (start, stop)):
            raise Refused("it cuts at the number of examples")
        part = slicing.slice_axis(at.builder, part, axis, start, stop, step, name=at.name)
    return part


@operation("Gather")
def _gather(at: Node, x: Any, indices: Any) -> Operand:
    b, axis = at.builder, at.get("axis", 0)
    if isinstance(indices, Value):
        return _looked_up(at, x, indices, axis)
    x, wanted = as_value(x), as_constant(indices).array
    axis = x.axis(axis)
    if wanted.ndim == 0:
        return slicing.select(b, x, axis, int(wanted), name=at.name)
    if 0 in x.axes[axis]:
        raise Refused("it picks examples of a batch")
    if wanted.size > 4096:
        raise Refused(f"it picks {wanted.size} elements")
    x = b.ordered(x, range(x.rank), name=at.name)
    place = axis + len(x.physical) - x.rank
    physical = (*x.physical[:place], *wanted.shape, *x.physical[place + 1 :])
    axes = [(at + len(physical) - (x.rank - 1 + wanted.ndim),) for at in range(x.rank - 1 + wanted.ndim)]
    picked = {"array": wanted.tolist(), "dtype": "int32"}
    return b.operation(
        "take", {"x": x}, {"indices": picked, "axis": place}, name=at.name, physical=physical, axes=axes, dtype=b.dtype(x)
    )


def _looked_up(at: Node, table: Any, indices: Value, axis: int) -> Value:
    """Take the rows of a table by numbers that depend on the input: an Embedding layer."""
    if not isinstance(table, Constant) or table.rank != 2 or axis not in (0, -2):
        raise Refused("it picks by numbers that depend on the input, out of what is no table of constants")
    at = at.named_after(table)
    return dense.embedding(at.builder, table, indices, name=at.name)


@operation("Pad")
def _pad(at: Node, x: Any, pads: Any = None, number: Any = None, axes: Any = None) -> Value:
    x = as_value(x)
    amounts = whole_numbers(pads) if pads is not None else at.get("pads", [])
    chosen = [x.axis(axis) for axis in whole_numbers(axes)] if axes is not None else list(range(x.rank))
    half = len(amounts) // 2
    both = dict(zip(chosen, zip(amounts[:half], amounts[half:], strict=True), strict=True))
    fill = float(as_constant(number).array.reshape(-1)[0]) if number is not None else float(at.get("value", 0.0))
    mode = at.get("mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise Refused(f"padding of the kind {mode}")
    return slicing.pad(at.builder, x, [both.get(axis, (0, 0)) for axis in range(x.rank)], mode=mode, value=fill, name=at.name)


@operation("Resize", since=11)
def _resize(at: Node, x: Any, _region: Any = None, scales: Any = None, sizes: Any = None) -> Value:
    coordinates = at.get("coordinate_transformation_mode", "half_pixel")
    return _resized(at, x, scales, sizes, coordinates, at.get("nearest_mode", "round_prefer_floor"))


@operation("Resize", until=10)
@operation("Upsample")
def _resize_by_scales(at: Node, x: Any, scales: Any = None, *_: Any) -> Value:
    return _resized(at, x, scales, None, "asymmetric", "floor")


def _resized(at: Node, x: Any, scales: Any, sizes: Any, coordinates: str, rounding: str) -> Value:
    x = as_value(x)
    factors = [float(one) for one in as_constant(scales).array.reshape(-1)] if _filled(scales) else at.get("scales", None)
    chosen = [x.axis(axis) for axis in at.get("axes", range(x.rank))]
    if _filled(sizes):
        wanted = dict(zip(chosen, whole_numbers(sizes), strict=True))
        given: dict[int, float] = {}
        policy = at.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            ratios = [size / x.shape[axis] for axis, size in wanted.items()]
            given = dict.fromkeys(wanted, min(ratios) if policy == "not_larger" else max(ratios))
            wanted = {axis: math.floor(x.shape[axis] * factor + 0.5) for axis, factor in given.items()}
    elif factors:
        given = dict(zip(chosen, factors, strict=True))
        wanted = {axis: math.floor(x.shape[axis] * factor + 1e-6) for axis, factor in given.items() if axis}
    else:
        raise Refused("neither sizes nor scales are constants")
    mode = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear", "cubic": "cubic"}.get(at.get("mode", "nearest"))
    if mode is None:
        raise Refused(f"resizing by {at.get('mode', 'nearest')}")
    # Sizes are written down for some number of examples; that of the batch means nothing.
    if any(factor != 1 for axis, factor in given.items() if not axis) or 0 not in x.axes[0]:
        raise Refused("it resizes the batch axis")
    wanted = {axis: size for axis, size in wanted.items() if axis}
    return resizing.resize(
        at.builder,
        x,
        wanted,
        method=mode,
        coordinates=coordinates,
        scales={axis: factor for axis, factor in given.items() if axis},
        rounding=rounding,
        cubic=at.get("cubic_coeff_a", -0.75),
        exclude_outside=bool(at.get("exclude_outside", 0)),
        antialias=bool(at.get("antialias", 0)),
        channels=1,
        name=at.name,
    )


@operation("DepthToSpace")
def _depth_to_space(at: Node, x: Any) -> Value:
    b, x, size = at.builder, as_value(x), at.get("blocksize", 1)
    count, channels, height, width = x.shape
    if at.get("mode", "DCR") not in ("DCR", "CRD"):
        raise Refused(f"the order {at.get('mode', 'DCR')}")
    if at.get("mode", "DCR") == "CRD":
        parts = reshaping.reshape(b, x, (count, channels // size**2, size, size, height, width), name=at.name)
        moved = reshaping.transpose(parts, (0, 1, 4, 2, 5, 3))
    else:
        parts = reshaping.reshape(b, x, (count, size, size, channels // size**2, height, width), name=at.name)
        moved = reshaping.transpose(parts, (0, 3, 4, 1, 5, 2))
    return reshaping.reshape(b, moved, (count, channels // size**2, height * size, width * size), name=at.name)


@operation("SpaceToDepth")
def _space_to_depth(at: Node, x: Any) -> Value:
    b, x, size = at.builder, as_value(x), at.get("blocksize", 1)
    count, channels, height, width = x.shape
    parts = reshaping.reshape(b, x, (count, channels, height // size, size, width // size, size), name=at.name)
    mode = at.get("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise Refused(f"the order {mode}")
    moved = reshaping.transpose(parts, (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4))
    return reshaping.reshape(b, moved, (count, channels * size**2, height // size, width // size), name=at.name)


def _filled(operand: Any) -> bool:
    return isinstance(operand, Constant) and operand.array.size > 0
