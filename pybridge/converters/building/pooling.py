"""Poolings over windows, over whole images, and into a given number of windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.dense import axis_product
from pybridge.converters.building.values import Constant, Value
from pybridge.converters.building.windows import (
    Images,
    Padding,
    Pads,
    images,
    output_size,
    pair,
    resolve,
    same_pads,
    subsampled,
    zero_padded,
)
from pybridge.converters.refusals import Refused

# Less than any activation, and a number that JSON can hold.
_LOWEST = -1e38


def maximum(
    b: Builder,
    x: Value,
    *,
    channels: int,
    size: int | Sequence[int],
    strides: int | Sequence[int],
    padding: Padding = "valid",
    ceil_mode: bool = False,
    name: str,
) -> Value:
    """Take the maximum over windows; padding never wins.

    Args:
        b: The builder.
        x: Of rank 4, or 3.
        channels: The logical axis of the channels.
        size: Of the window.
        strides: Of the window.
        padding: ``"same"``, ``"valid"`` or ``((top, bottom), (left, right))``.
        ceil_mode: Whether windows may reach over the end, as in PyTorch.
        name: The name of the layer.
    """
    source = images(b, x, channels, name=name)
    window, steps = pair(size, source.flat), pair(strides, source.flat)
    padding = _with_overhang(padding, source, window, steps) if ceil_mode else padding
    keyword, pads = resolve(padding, source, window, steps)
    sizes = [output_size(n, both, k, s) for n, both, k, s in zip(source.size, pads, window, steps, strict=True)]
    if keyword is None and source.value.nonnegative:
        # A padding of zeros cannot win over what is not negative.
        source, keyword = zero_padded(b, source, pads, name=name), "valid"
    if keyword is None and pads == tuple(same_pads(n, k, 1) for n, k in zip(source.size, window, strict=True)):
        # Windows of stride 1 with "same" padding are centred as the source's are; then those in between are dropped.
        every = _pool(b, source, "MaxPooling2D", window, (1, 1), "same", source.size, f"{name}_every")
        return source.result(subsampled(b, Images(every, source.flat, source.source_axes), steps, name=name))
    if keyword is None:
        height, width = (n + sum(both) for n, both in zip(source.size, pads, strict=True))
        arguments = {"pad_width": [[0, 0], *map(list, pads), [0, 0]], "mode": "constant", "constant_values": _LOWEST}
        physical = (source.value.physical[0], height, width, source.channels)
        padded = b.operation("pad", {"x": source.value}, arguments, name=f"{name}_pad", physical=physical)
        source, keyword = Images(padded, source.flat, source.source_axes), "valid"
    return source.result(_pool(b, source, "MaxPooling2D", window, steps, keyword, sizes, name))


def average(
    b: Builder,
    x: Value,
    *,
    channels: int,
    size: int | Sequence[int],
    strides: int | Sequence[int],
    padding: Padding = "valid",
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    name: str,
) -> Value:
    """Average over windows.

    Args:
        b: The builder.
        x: Of rank 4, or 3.
        channels: The logical axis of the channels.
        size: Of the window.
        strides: Of the window.
        padding: As in `maximum`.
        ceil_mode: As in `maximum`; what lies beyond the padding is never counted.
        count_include_pad: Whether the padding counts as elements of the window; TensorFlow's does not.
        name: The name of the layer.
    """
    source = images(b, x, channels, name=name)
    window, steps = pair(size, source.flat), pair(strides, source.flat)
    _, given = resolve(padding, source, window, steps)
    padding = _with_overhang(padding, source, window, steps) if ceil_mode else padding
    keyword, pads = resolve(padding, source, window, steps)
    sizes = [output_size(n, both, k, s) for n, both, k, s in zip(source.size, pads, window, steps, strict=True)]
    if keyword == "same" and not count_include_pad:
        return source.result(_pool(b, source, "AveragePooling2D", window, steps, "same", sizes, name))
    counted = [
        _counts(n, both, inside if count_include_pad else (0, 0), k, s)
        for n, both, inside, k, s in zip(source.size, pads, given, window, steps, strict=True)
    ]
    padded = zero_padded(b, source, pads, name=name)
    value = _pool(b, padded, "AveragePooling2D", window, steps, "valid", sizes, name)
    factor = math.prod(window) / (counted[0][:, None, None] * counted[1][None, :, None])
    if not np.all(factor == 1):
        config = {"mode": "multiply", "shape": list(factor.shape)}
        weights = {"value": Constant(factor.astype(np.float32))}
        value = b.layer("PybridgeParameter", config, [value], name=f"{name}_counted", weights=weights, trainable=False)
    return source.result(value)


def adaptive_average(b: Builder, x: Value, size: int | Sequence[int | None], *, channels: int, name: str) -> Value:
    """Average so that images get a given size, by the windows of PyTorch's AdaptiveAvgPool2d.

    Args:
        b: The builder.
        x: Of rank 4, or 3.
        size: Height and width of the result; None keeps that of the input.
        channels: The logical axis of the channels.
        name: The name of the layer.
    """
    source = images(b, x, channels, name=name)
    given = [size] if isinstance(size, int) else list(size)
    wanted_list = [1, *given] if source.flat and len(given) == 1 else given * 2 if len(given) == 1 else given
    if len(wanted_list) != 2:
        raise Refused(f"the size {given} does not fit the tensor")
    wanted = tuple(have if want is None else want for have, want in zip(source.size, wanted_list, strict=True))
    if wanted == source.size:
        return x
    if wanted == (1, 1):
        return whole(b, source, "GlobalAveragePooling2D", name=name)
    if all(have % want == 0 for have, want in zip(source.size, wanted, strict=True)):
        window = tuple(have // want for have, want in zip(source.size, wanted, strict=True))
        return source.result(_pool(b, source, "AveragePooling2D", window, window, "valid", wanted, name))
    value = source.result(source.value)
    spatial = [axis for axis in range(1, x.rank) if axis != x.axis(channels)]
    for axis, want in zip(reversed(spatial), reversed(wanted), strict=False):
        if value.shape[axis] != want:
            matrix = np.zeros((value.shape[axis], want))
            for place in range(want):
                # https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html: floor and ceiling of the ends.
                start, stop = place * value.shape[axis] // want, -(-(place + 1) * value.shape[axis] // want)
                matrix[start:stop, place] = 1 / (stop - start)
            value = axis_product(b, value, axis, matrix, name=f"{name}_axis{axis}")
    return value


def whole(b: Builder, source: Images, class_name: str, *, name: str) -> Value:
    """Pool over whole images with GlobalAveragePooling2D or GlobalMaxPooling2D; the source's axes keep size 1."""
    physical = (source.value.physical[0], source.channels)
    config = {"data_format": "channels_last"}
    axes = [{0: (0,), 3: (1,)}.get(axis, ()) for axis in source.source_axes]
    nonnegative = source.value.nonnegative
    return b.layer(class_name, config, [source.value], name=name, physical=physical, axes=axes, nonnegative=nonnegative)


def _pool(
    b: Builder,
    source: Images,
    class_name: str,
    window: Sequence[int],
    strides: Sequence[int],
    padding: str,
    sizes: Sequence[int],
    name: str,
) -> Value:
    config = {"pool_size": list(window), "strides": list(strides), "padding": padding, "data_format": "channels_last"}
    physical = (source.value.physical[0], *sizes, source.channels)
    return b.layer(class_name, config, [source.value], name=name, physical=physical, nonnegative=source.value.nonnegative)


def _with_overhang(padding: Padding, source: Images, window: Sequence[int], strides: Sequence[int]) -> Pads:
    """Lengthen the padding at the end so that the last window fits; PyTorch drops it if it starts beyond the input."""
    _, pads = resolve(padding, source, window, strides)
    longer = []
    for size, (before, after), k, s in zip(source.size, pads, window, strides, strict=True):
        count = -(-(size + before + after - k) // s) + 1
        if (count - 1) * s >= size + before:
            count -= 1
        longer.append((before, max(after, (count - 1) * s + k - size - before)))
    return tuple(longer)


def _counts(size: int, pads: tuple[int, int], inside: tuple[int, int], window: int, stride: int) -> np.ndarray:
    """How many elements of each window count: those of the input and, where asked for, of its padding."""
    counted = np.zeros(size + sum(pads))
    counted[pads[0] - inside[0] : pads[0] + size + inside[1]] = 1
    return np.asarray([counted[start : start + window].sum() for start in range(0, len(counted) - window + 1, stride)])
