"""What moves elements in TensorFlow: shapes, slices, concatenation, padding and resizing."""

from __future__ import annotations

import numpy as np

from pybridge.converters.building import reshaping, resizing, slicing
from pybridge.converters.building.values import Constant, Operand
from pybridge.converters.refusals import Refused
from pybridge.converters.tensorflow.registry import Node, constant_of, operation, value_of, whole_numbers


@operation("Shape")
def _shape(_: Node, *operands: Operand) -> Operand:
    return Constant(np.asarray(operands[0].shape, np.int64))


@operation("Reshape")
def _reshape(at: Node, *operands: Operand) -> Operand:
    x, shape = operands[0], whole_numbers(operands[1])
    total = int(np.prod(x.shape, dtype=object))
    known = int(np.prod([size for size in shape if size != -1], dtype=object))
    solved = [size if size != -1 else total // max(known, 1) for size in shape]
    if isinstance(x, Constant):
        return x.reshape(*solved)
    return reshaping.reshape(at.builder, x, solved, name=at.name)


@operation("Squeeze")
def _squeeze(at: Node, *operands: Operand) -> Operand:
    x = value_of(operands[0])
    axes = at.attributes.get("squeeze_dims") or at.attributes.get("axis") or [i for i, size in enumerate(x.shape) if size == 1]
    return reshaping.squeeze(x, axes)


@operation("ExpandDims")
def _expand_dims(_: Node, *operands: Operand) -> Operand:
    x, axis = operands[0], whole_numbers(operands[1])[0]
    if isinstance(x, Constant):
        return x.with_array(np.expand_dims(x.array, axis))
    return reshaping.unsqueeze(x, [axis])


@operation("Transpose")
def _transpose(_: Node, *operands: Operand) -> Operand:
    order = whole_numbers(operands[1])
    return operands[0].transpose(*order) if isinstance(operands[0], Constant) else reshaping.transpose(operands[0], order)


@operation("ConcatV2")
def _concatenation(at: Node, *operands: Operand) -> Operand:
    return slicing.concatenate(at.builder, operands[:-1], whole_numbers(operands[-1])[0], name=at.name)


@operation("Split")
def _split(at: Node, *operands: Operand) -> list[Operand]:
    axis, x = whole_numbers(operands[0])[0], value_of(operands[1])
    count = int(at.attributes["num_split"])
    return list(slicing.split(at.builder, x, [x.shape[axis] // count] * count, axis, name=at.name))


@operation("Pad", "PadV2", "MirrorPad")
def _pad(at: Node, *operands: Operand) -> Operand:
    amounts = constant_of(operands[1]).array.reshape(-1, 2).tolist()
    value = float(constant_of(operands[2]).array) if len(operands) > 2 else 0.0
    mode = {"REFLECT": "reflect"}.get(str(at.attributes.get("mode", "")), "constant")
    if at.kind == "MirrorPad" and mode != "reflect":
        raise Refused(f"mirrors in the mode {at.attributes.get('mode')}")
    return slicing.pad(at.builder, value_of(operands[0]), amounts, mode=mode, value=value, name=at.name)


@operation("ResizeBilinear", "ResizeNearestNeighbor")
def _resize(at: Node, *operands: Operand) -> Operand:
    method = "bilinear" if at.kind == "ResizeBilinear" else "nearest"
    height, width = whole_numbers(operands[1])
    half, corners = bool(at.attributes.get("half_pixel_centers")), bool(at.attributes.get("align_corners"))
    if method == "nearest" and (corners or half):
        raise Refused("takes the nearest pixel by another rule than rounding down")
    coordinates = "align_corners" if corners else "half_pixel" if half else "asymmetric"
    x, sizes = value_of(operands[0]), {1: height, 2: width}
    return resizing.resize(at.builder, x, sizes, method=method, coordinates=coordinates, channels=3, name=at.name)


@operation("StridedSlice")
def _strided_slice(at: Node, *operands: Operand) -> Operand:
    x = value_of(operands[0])
    begin, end, step = (whole_numbers(operand) for operand in operands[1:4])
    mask = {key: int(at.attributes.get(f"{key}_mask", 0)) for key in ("begin", "end", "shrink_axis", "ellipsis", "new_axis")}
    if mask["ellipsis"] or mask["new_axis"]:
        raise Refused("uses ... or a new axis")
    dropped: list[int] = []
    for axis, (first, last, by) in enumerate(zip(begin, end, step, strict=True)):
        size = x.shape[axis]
        if mask["shrink_axis"] >> axis & 1:
            first, last, by = first % size, first % size + 1, 1
            dropped.append(axis)
        start = 0 if mask["begin"] >> axis & 1 else first
        stop = size if mask["end"] >> axis & 1 and axis not in dropped else last
        x = slicing.slice_axis(at.builder, x, axis, start, stop, by, name=at.name)
    return reshaping.squeeze(x, dropped)
