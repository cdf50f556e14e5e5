"""Convolutions and poolings over three axes: volumes and videos."""

from __future__ import annotations

from collections.abc import Sequence

from pybridge.converters.building import slicing
from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import Constant, Value
from pybridge.converters.building.windows import output_size
from pybridge.converters.refusals import Refused


def convolution(
    b: Builder,
    x: Value,
    kernel: Constant,
    bias: Constant | None,
    *,
    strides: Sequence[int],
    padding: Sequence[Sequence[int]],
    dilation: Sequence[int],
    name: str,
) -> Value:
    """Convolve a value of shape (N, C, D, H, W).

    Args:
        b: The builder.
        x: The value.
        kernel: Of shape (depth, height, width, inputs, outputs).
        bias: One number for each output, or None.
        strides: Of the three axes.
        padding: ``(before, after)`` for each of them.
        dilation: Of the three axes; TF.js knows 1 only.
        name: The name of the layer.

    Raises:
        Refused: It is dilated, or shapes do not fit.
    """
    if max(dilation) > 1:
        raise Refused("a dilated convolution of volumes")
    if x.rank != 5 or x.shape[1] != kernel.array.shape[3]:
        raise Refused("a convolution of volumes whose channels do not fit")
    x = _channels_last(b, slicing.pad(b, x, [(0, 0), (0, 0), *padding], name=f"{name}_pad"), name)
    sizes = kernel.array.shape[:3]
    config = {
        "filters": kernel.array.shape[4],
        "kernel_size": list(sizes),
        "strides": list(strides),
        "padding": "valid",
        "data_format": "channels_last",
        "dilation_rate": [1, 1, 1],
        "activation": "linear",
        "use_bias": bias is not None,
    }
    physical = (x.physical[0], *_positions(x, sizes, strides), kernel.array.shape[4])
    weights = {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias.reshape(-1)}
    return b.layer("Conv3D", config, [x], name=name, weights=weights, physical=physical)


def pool(b: Builder, x: Value, kind: str, *, size: Sequence[int], strides: Sequence[int], name: str) -> Value:
    """Take the max or average over windows of a value of shape (N, C, D, H, W)."""
    if x.rank != 5:
        raise Refused("a pooling of volumes of another rank")
    x = _channels_last(b, x, name)
    config = {"pool_size": list(size), "strides": list(strides), "padding": "valid", "data_format": "channels_last"}
    physical = (x.physical[0], *_positions(x, size, strides), x.physical[4])
    class_name = "MaxPooling3D" if kind == "max" else "AveragePooling3D"
    return b.layer(class_name, config, [x], name=name, physical=physical, nonnegative=x.nonnegative)


def _channels_last(b: Builder, x: Value, name: str) -> Value:
    x = b.ordered(x, [0, 2, 3, 4, 1], name=name)
    return Value(x.tensor, x.physical, ((0,), (4,), (1,), (2,), (3,)), x.nonnegative)


def _positions(x: Value, size: Sequence[int], strides: Sequence[int]) -> list[int]:
    return [output_size(have, (0, 0), k, s) for have, k, s in zip(x.physical[1:4], size, strides, strict=True)]
