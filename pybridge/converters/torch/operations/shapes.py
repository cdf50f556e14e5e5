"""What moves elements in PyTorch: views, slices, concatenation, padding and resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pybridge.converters.building import reshaping, resizing, slicing
from pybridge.converters.building.pointwise import cast
from pybridge.converters.building.values import Constant, Operand, Value, as_value
from pybridge.converters.refusals import Refused
from pybridge.converters.torch.operations.layers import dropout
from pybridge.converters.torch.registry import Node, operation


@operation("view", "reshape", "flatten", "unflatten", "view_as")
def _reshape(at: Node, x: Any, *_: Any) -> Value:
    return reshaping.reshape(at.builder, as_value(x), at.shape, name=at.name)


@operation("permute")
def _permute(_: Node, x: Any, order: Sequence[int]) -> Value:
    return reshaping.transpose(as_value(x), order)


@operation("transpose")
def _transpose(_: Node, x: Any, first: int, second: int) -> Value:
    x = as_value(x)
    order = list(range(x.rank))
    order[first], order[second] = order[second], order[first]
    return reshaping.transpose(x, order)


@operation("t")
def _reverse(_: Node, x: Any) -> Value:
    return reshaping.transpose(as_value(x), list(reversed(range(as_value(x).rank))))


@operation("unsqueeze")
def _unsqueeze(_: Node, x: Any, axis: int) -> Value:
    return reshaping.unsqueeze(as_value(x), [axis])


@operation("squeeze")
def _squeeze(_: Node, x: Any, axes: Any = None) -> Value:
    x = as_value(x)
    chosen = range(x.rank) if axes is None else [axes] if isinstance(axes, int) else axes
    # PyTorch leaves axes of other sizes as they are.
    return reshaping.squeeze(x, [axis for axis in chosen if not x.axes[x.axis(axis)]])


@operation("select")
def _select(at: Node, x: Any, axis: int, index: int) -> Value:
    return slicing.select(at.builder, as_value(x), axis, index, name=at.name)


@operation("slice")
def _slice(at: Node, x: Any, axis: int = 0, start: int | None = None, stop: int | None = None, step: int = 1) -> Value:
    x = as_value(x)
    size = x.shape[x.axis(axis)]
    return slicing.slice_axis(at.builder, x, axis, start or 0, size if stop is None else min(stop, size), step, name=at.name)


@operation("narrow")
def _narrow(at: Node, x: Any, axis: int, start: int, length: int) -> Value:
    return slicing.slice_axis(at.builder, as_value(x), axis, start, start + length, name=at.name)


@operation("split")
def _split(at: Node, x: Any, size: Any, axis: int = 0) -> list[Value]:
    x = as_value(x)
    total = x.shape[x.axis(axis)]
    sizes = list(size) if not isinstance(size, int) else [min(size, total - start) for start in range(0, total, size)]
    return slicing.split(at.builder, x, sizes, axis, name=at.name)


@operation("split_with_sizes")
def _split_with_sizes(at: Node, x: Any, sizes: Sequence[int], axis: int = 0) -> list[Value]:
    return slicing.split(at.builder, as_value(x), sizes, axis, name=at.name)


@operation("chunk")
def _chunk(at: Node, x: Any, count: int, axis: int = 0) -> list[Value]:
    return _split(at, x, -(-as_value(x).shape[as_value(x).axis(axis)] // count), axis)


@operation("unbind")
def _unbind(at: Node, x: Any, axis: int = 0) -> list[Value]:
    x = as_value(x)
    return [slicing.select(at.builder, x, axis, place, name=f"{at.name}_part{place}") for place in range(x.shape[x.axis(axis)])]


@operation("cat")
def _cat(at: Node, operands: Sequence[Any], axis: int = 0) -> Operand:
    return slicing.concatenate(at.builder, list(operands), axis, name=at.name)


@operation("stack")
def _stack(at: Node, operands: Sequence[Any], axis: int = 0) -> Operand:
    return slicing.concatenate(at.builder, [reshaping.unsqueeze(as_value(one), [axis]) for one in operands], axis, name=at.name)


@operation("roll")
def _roll(at: Node, x: Any, shifts: Sequence[int], axes: Sequence[int] = ()) -> Value:
    rolled = as_value(x)
    if len(shifts) != len(axes):
        raise Refused("roll without axes")
    for shift, axis in zip(shifts, axes, strict=True):
        size = rolled.shape[rolled.axis(axis)]
        cut = (size - shift) % size
        if cut:
            head = slicing.slice_axis(at.builder, rolled, axis, 0, cut, name=f"{at.name}_head")
            tail = slicing.slice_axis(at.builder, rolled, axis, cut, size, name=f"{at.name}_tail")
            rolled = as_value(slicing.concatenate(at.builder, [tail, head], axis, name=at.name))
    return rolled


@operation("expand")
def _expand(at: Node, x: Any, *_: Any, **__: Any) -> Operand:
    if isinstance(x, Constant):
        return Constant(x.array, x.name, x.trainable, at.shape)
    return slicing.expand(at.builder, as_value(x), at.shape, name=at.name)


@operation("repeat")
def _repeat(at: Node, x: Any, counts: Sequence[int]) -> Any:
    x = as_value(x)
    if len(counts) != x.rank:
        raise Refused("repeat with more axes than the tensor has")
    for axis, count in enumerate(counts):
        if count != 1:
            x = as_value(slicing.concatenate(at.builder, [x] * count, axis, name=at.name))
    return x


_TYPES = {"float32": "float32", "int32": "int32", "int64": "int32", "bool": "bool"}


@operation("_assert_tensor_metadata")
def _nothing(*_: Any, **__: Any) -> None:
    return None


@operation(
    "clone",
    "contiguous",
    "alias",
    "detach",
    "lift_fresh_copy",
    "to",
    "_to_copy",
    "type_as",
    "identity",
)
def _same(at: Node, x: Any, *_: Any, dtype: Any = None, **__: Any) -> Any:
    if dtype is not None and isinstance(x, Value):
        held = _TYPES.get(str(dtype).removeprefix("torch."))
        if held is None:
            raise Refused(f"a conversion to {dtype}")
        x = cast(at.builder, x, held, name=at.name)
    # Export leaves a copy behind where a Dropout stood.
    if type(at.module).__name__.startswith(("Dropout", "FeatureAlphaDropout")) and isinstance(x, Value):
        return dropout(at, x, float(at.module.p))
    return x


@operation("pad", "constant_pad_nd")
def _pad(at: Node, x: Any, amounts: Sequence[int], mode: Any = "constant", fill: Any = None) -> Value:
    if not isinstance(mode, str):
        mode, fill = "constant", mode
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    if mode not in modes:
        raise Refused(f"padding of the kind {mode!r}")
    x = as_value(x)
    pairs = [(amounts[place], amounts[place + 1]) for place in range(0, len(amounts), 2)][::-1]
    full = [(0, 0)] * (x.rank - len(pairs)) + pairs
    return slicing.pad(at.builder, x, full, mode=modes[mode], value=float(fill or 0), name=at.name)


@operation("reflection_pad1d", "reflection_pad2d")
def _reflection_pad(at: Node, x: Any, amounts: Sequence[int]) -> Value:
    return _pad(at, x, amounts, "reflect")


@operation("replication_pad1d", "replication_pad2d")
def _replication_pad(at: Node, x: Any, amounts: Sequence[int]) -> Value:
    return _pad(at, x, amounts, "replicate")


@operation("upsample_nearest1d", "upsample_nearest2d")
def _nearest(at: Node, x: Any, _size: Any = None, *scales: Any) -> Value:
    return _resized(at, x, "nearest", "asymmetric", scales)


@operation("upsample_bilinear2d", "upsample_linear1d")
def _bilinear(at: Node, x: Any, _size: Any = None, align_corners: bool = False, *scales: Any) -> Value:
    return _resized(at, x, "bilinear", "align_corners" if align_corners else "half_pixel", scales)


def _resized(at: Node, x: Any, method: str, coordinates: str, scales: Sequence[Any]) -> Value:
    x = as_value(x)
    factors = [
        factor for factor in (scales[0] if scales and isinstance(scales[0], (list, tuple)) else scales) if factor is not None
    ]
    known = dict(zip(range(2, x.rank), map(float, factors), strict=True)) if len(factors) == x.rank - 2 else {}
    sizes = {axis: at.shape[axis] for axis in range(2, x.rank)}
    return resizing.resize(at.builder, x, sizes, method=method, coordinates=coordinates, scales=known, channels=1, name=at.name)


@operation("pixel_shuffle")
def _pixel_shuffle(at: Node, x: Any, factor: int) -> Value:
    x = as_value(x)
    count, channels, height, width = x.shape
    parts = reshaping.reshape(at.builder, x, (count, channels // factor**2, factor, factor, height, width), name=at.name)
    return reshaping.reshape(at.builder, reshaping.transpose(parts, (0, 1, 4, 2, 5, 3)), at.shape, name=at.name)


@operation("pixel_unshuffle")
def _pixel_unshuffle(at: Node, x: Any, factor: int) -> Value:
    x = as_value(x)
    count, channels, height, width = x.shape
    parts = reshaping.reshape(at.builder, x, (count, channels, height // factor, factor, width // factor, factor), name=at.name)
    return reshaping.reshape(at.builder, reshaping.transpose(parts, (0, 1, 3, 5, 2, 4)), at.shape, name=at.name)


@operation("channel_shuffle")
def _channel_shuffle(at: Node, x: Any, groups: int) -> Value:
    x = as_value(x)
    count, channels, height, width = x.shape
    parts = reshaping.reshape(at.builder, x, (count, groups, channels // groups, height, width), name=at.name)
    return reshaping.reshape(at.builder, reshaping.transpose(parts, (0, 2, 1, 3, 4)), at.shape, name=at.name)


@operation("zeros_like", "ones_like", "full_like", "zeros", "ones", "full", "new_zeros", "new_ones", "new_full")
def _filled(at: Node, *arguments: Any, **_: Any) -> Constant:
    number = {"zeros": 0.0, "ones": 1.0}.get(at.kind.replace("_like", "").replace("new_", ""))
    if number is None:
        number = float(arguments[-1])
    return Constant(np.full([1] * len(at.shape), number, np.float32), "", False, at.shape)
