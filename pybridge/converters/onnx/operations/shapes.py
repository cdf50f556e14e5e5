"""What moves elements in ONNX: views, slices, concatenation, padding and resizing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pybridge.converters.building import reshaping, resizing, slicing
from pybridge.converters.building.values import BATCH, Constant, Operand, Value, as_constant, as_value
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


@operation("Squeeze")
def _squeeze(at: Node, x: Any, axes: Any = None) -> Value:
    x = as_value(x)
    chosen = whole_numbers(axes) if axes is not None else at.get("axes", None)
    return reshaping.squeeze(x, range(x.rank) if chosen is None else chosen)


@operation("Unsqueeze")
def _unsqueeze(at: Node, x: Any, axes: Any = None) -> Value:
    return reshaping.unsqueeze(as_value(x), whole_numbers(axes) if axes is not None else at.get("axes", []))


@operation("Expand")
def _expand(at: Node, x: Any, shape: Any) -> Value:
    x, target = as_value(x), whole_numbers(shape)
    rank = max(x.rank, len(target))
    full = [1] * (rank - len(target)) + target
    have = (1,) * (rank - x.rank) + x.shape
    return slicing.expand(at.builder, x, [max(one, other) for one, other in zip(full, have, strict=True)], name=at.name)


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
        part = slicing.slice_axis(at.builder, part, axis, start, stop, step, name=at.name)
    return part


@operation("Gather")
def _gather(at: Node, x: Any, indices: Any) -> Operand:
    x, axis = as_value(x), at.get("axis", 0)
    wanted = as_constant(indices).array
    if wanted.ndim == 0:
        return slicing.select(at.builder, x, axis, int(wanted), name=at.name)
    if wanted.ndim != 1 or wanted.size > 64:
        raise Refused(f"it picks {wanted.shape} elements")
    parts = [slicing.slice_axis(at.builder, x, axis, int(i), int(i) + 1 or BATCH, name=at.name) for i in wanted]
    return slicing.concatenate(at.builder, list(parts), axis, name=at.name)


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
        wanted, given = dict(zip(chosen, whole_numbers(sizes), strict=True)), {}
    elif factors:
        given = dict(zip(chosen, factors, strict=True))
        wanted = {axis: math.floor(x.shape[axis] * factor + 1e-6) for axis, factor in given.items() if axis}
    else:
        raise Refused("neither sizes nor scales are constants")
    mode = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear"}.get(at.get("mode", "nearest"))
    if mode is None or at.get("antialias", 0) or at.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Refused(f"resizing by {at.get('mode', 'nearest')} with these options")
    # Sizes are written down for some number of examples; that of the batch means nothing.
    wanted = {axis: size for axis, size in wanted.items() if axis != x.batch_axis}
    return resizing.resize(
        at.builder,
        x,
        wanted,
        method=mode,
        coordinates=coordinates,
        scales={axis: factor for axis, factor in given.items() if axis},
        rounding=rounding,
        channels=1,
        name=at.name,
    )


@operation("DepthToSpace")
def _depth_to_space(at: Node, x: Any) -> Value:
    b, x, size = at.builder, as_value(x), at.get("blocksize", 1)
    count, channels, height, width = x.shape
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
    moved = reshaping.transpose(parts, (0, 3, 5, 1, 2, 4))
    return reshaping.reshape(b, moved, (count, channels * size**2, height // size, width // size), name=at.name)


def _filled(operand: Any) -> bool:
    return isinstance(operand, Constant) and operand.array.size > 0
