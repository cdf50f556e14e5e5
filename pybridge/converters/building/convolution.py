"""Convolutions. Kernels come in the layout of Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import Constant, Value
from pybridge.converters.building.windows import (
    Images,
    Padding,
    images,
    output_size,
    pair,
    resolve,
    subsampled,
    zero_padded,
)
from pybridge.converters.refusals import Refused


def convolution(
    b: Builder,
    x: Value,
    kernel: Constant,
    bias: Constant | None,
    *,
    channels: int,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    name: str,
) -> Value:
    """Convolve images, or sequences.

    Args:
        b: The builder.
        x: Of rank 4, or 3.
        kernel: Of shape (H, W, inputs / groups, outputs), without H for sequences.
        bias: One number for each output, or None.
        channels: The logical axis of the channels.
        strides: Of the window.
        padding: ``"same"`` as TensorFlow means it, ``"valid"``, or ``((top, bottom), (left, right))``.
        dilation: Distance between the elements of the kernel.
        groups: How many groups the channels are divided into; as many as channels gives a DepthwiseConv2D.
        name: The name of the layer.

    Raises:
        Refused: If shapes do not fit.
    """
    source = images(b, x, channels, name=name)
    kernel = _two_dimensional(kernel, source)
    height, width, inputs, outputs = kernel.array.shape
    if inputs * groups != source.channels or outputs % groups:
        raise Refused(f"a kernel {kernel.array.shape} in {groups} groups does not fit {source.channels} channels")
    if groups > 1 and groups == source.channels:
        # The outputs of one channel follow each other in both layouts.
        deep = kernel.reshape(height, width, groups, outputs // groups)
        return source.result(_slide(b, source, deep, bias, strides, padding, dilation, "depthwise", name))
    kind = "grouped" if groups > 1 else "plain"
    return source.result(_slide(b, source, kernel, bias, strides, padding, dilation, kind, name, groups))


def depthwise(
    b: Builder,
    x: Value,
    kernel: Constant,
    bias: Constant | None,
    *,
    channels: int,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
    name: str,
) -> Value:
    """Convolve each channel by itself; ``kernel`` has the shape (H, W, channels, multiplier)."""
    source = images(b, x, channels, name=name)
    kernel = _two_dimensional(kernel, source)
    if kernel.array.shape[2] != source.channels:
        raise Refused(f"a kernel {kernel.array.shape} does not fit {source.channels} channels")
    return source.result(_slide(b, source, kernel, bias, strides, padding, dilation, "depthwise", name))


def transposed(
    b: Builder,
    x: Value,
    kernel: Constant,
    bias: Constant | None,
    *,
    channels: int,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    output_padding: int | Sequence[int] = 0,
    name: str,
) -> Value:
    """Apply the transpose of a convolution.

    Args:
        b: The builder.
        x: Of rank 4, or 3.
        kernel: Of shape (H, W, outputs, inputs).
        bias: One number for each output, or None.
        channels: The logical axis of the channels.
        strides: Of the window.
        padding: ``"same"``, ``"valid"``, or what is cut off: ``((top, bottom), (left, right))``.
        output_padding: How much less is cut off at the end.
        name: The name of the layer.

    Raises:
        Refused: If shapes do not fit.
    """
    source = images(b, x, channels, name=name)
    kernel = _two_dimensional(kernel, source)
    height, width, outputs, inputs = kernel.array.shape
    if inputs != source.channels:
        raise Refused(f"a kernel {kernel.array.shape} does not fit {source.channels} channels")
    steps = pair(strides, source.flat)
    config = {
        "filters": outputs,
        "kernel_size": [height, width],
        "strides": list(steps),
        "padding": padding if isinstance(padding, str) else "valid",
        "data_format": "channels_last",
        "activation": "linear",
        "use_bias": bias is not None,
    }
    if padding == "same":
        sizes = tuple(size * step for size, step in zip(source.size, steps, strict=True))
    else:
        sizes = tuple(size * step + max(k - step, 0) for size, step, k in zip(source.size, steps, (height, width), strict=True))
    value = b.layer(
        "Conv2DTranspose",
        config,
        [source.value],
        name=name,
        weights=_weights("kernel", kernel, bias),
        physical=(source.value.physical[0], *sizes, outputs),
    )
    if isinstance(padding, str):
        return source.result(value)
    given = [tuple(both) for both in padding]
    cuts = [(0, 0), *given] if source.flat and len(given) == 1 else given
    extra = (
        (0, output_padding if isinstance(output_padding, int) else output_padding[0])
        if source.flat
        else pair(output_padding, False)
    )
    cropping = []
    for (before, after), more, step, k in zip(cuts, extra, steps, (height, width), strict=True):
        # Keras makes the output longer than the kernels reach where they are smaller than the stride.
        end = after - more + max(step - k, 0)
        if before < 0 or end < 0:
            raise Refused(f"output_padding {extra} is larger than what the padding cuts off")
        cropping.append([before, end])
    if any(amount for both in cropping for amount in both):
        sizes = tuple(size - sum(both) for size, both in zip(sizes, cropping, strict=True))
        value = b.layer(
            "Cropping2D",
            {"cropping": cropping, "data_format": "channels_last"},
            [value],
            name=f"{name}_crop",
            physical=(value.physical[0], *sizes, outputs),
        )
    return source.result(value)


def _slide(
    b: Builder,
    source: Images,
    kernel: Constant,
    bias: Constant | None,
    strides: int | Sequence[int],
    padding: Padding,
    dilation: int | Sequence[int],
    kind: str,
    name: str,
    groups: int = 1,
) -> Value:
    height, width = kernel.array.shape[:2]
    steps, rates = pair(strides, source.flat), pair(dilation, source.flat)
    if source.flat and kind == "depthwise" and steps[0] != steps[1]:
        # TensorFlow strides the two axes of a depthwise convolution alike; the height is 1 here.
        steps = (steps[1], steps[1])
    reach = [(size - 1) * rate + 1 for size, rate in zip((height, width), rates, strict=True)]
    keyword, pads = resolve(padding, source, reach, steps)
    # Sizes first: another stride below must not change what "same" means.
    sizes = [output_size(size, both, r, s) for size, both, r, s in zip(source.size, pads, reach, steps, strict=True)]
    later = (1, 1)
    if (max(steps) > 1 and max(rates) > 1) or (kind == "depthwise" and steps[0] != steps[1]):
        # TF.js has no strides with dilation, and no depthwise convolution with two different strides.
        later, steps, keyword = steps, (1, 1), "valid" if keyword == "valid" else None
    if keyword is None:
        source = zero_padded(b, source, pads, name=name)
    config = {
        "kernel_size": [height, width],
        "strides": list(steps),
        "padding": keyword or "valid",
        "data_format": "channels_last",
        "dilation_rate": list(rates),
        "activation": "linear",
        "use_bias": bias is not None,
    }
    class_name, part, filters = "Conv2D", "kernel", kernel.array.shape[3]
    if kind == "depthwise":
        class_name, part, filters = "DepthwiseConv2D", "depthwise_kernel", kernel.array.shape[2] * kernel.array.shape[3]
        config["depth_multiplier"] = kernel.array.shape[3]
        if max(rates) > 1:
            # TF.js computes a wrong shape for a dilated depthwise convolution.
            class_name, part = "PybridgeDepthwiseConv2D", "kernel"
    else:
        config["filters"] = filters
        if groups > 1:
            class_name = "PybridgeConv2D"
            config["groups"] = groups
    if max(later) > 1:
        full = [
            output_size(size, (0, 0) if keyword is None else both, r, 1)
            for size, both, r in zip(source.size, pads, reach, strict=True)
        ]
        physical: Sequence[int] = (source.value.physical[0], *full, filters)
    else:
        physical = (source.value.physical[0], *sizes, filters)
    value = b.layer(class_name, config, [source.value], name=name, weights=_weights(part, kernel, bias), physical=physical)
    return subsampled(b, Images(value, source.flat, source.source_axes), later, name=f"{name}_stride")


def _two_dimensional(kernel: Constant, source: Images) -> Constant:
    if kernel.array.ndim == 3 and source.flat:
        return kernel.reshape(1, *kernel.array.shape)
    if kernel.array.ndim != 4 or source.flat:
        raise Refused(f"a kernel of rank {kernel.array.ndim} does not fit the tensor")
    return kernel


def _weights(part: str, kernel: Constant, bias: Constant | None) -> Mapping[str, Any]:
    return {part: kernel} if bias is None else {part: kernel, "bias": bias.reshape(-1)}
