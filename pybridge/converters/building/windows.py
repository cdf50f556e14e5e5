"""Windows that slide over images: strides, padding, and how TF.js can express them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import Value
from pybridge.converters.refusals import Refused

Pads = tuple[tuple[int, int], ...]
Padding = str | Sequence[Sequence[int]]


@dataclass(frozen=True)
class Images:
    """A value arranged as (batch, height, width, channels).

    Attributes:
        value: With four physical axes.
        flat: Whether the source has one spatial axis only; the height is then 1.
        source_axes: For each logical axis of the source its physical one in ``value``; None for the missing height.
    """

    value: Value
    flat: bool
    source_axes: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.value.physical[1], self.value.physical[2]

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return self.value.physical[3]

    def result(self, value: Value) -> Value:
        """Give what a layer made of the images the logical axes of the source."""
        axes = tuple((axis,) for axis in self.source_axes)
        return Value(value.tensor, value.physical, axes, value.nonnegative)


def images(b: Builder, x: Value, channels: int, *, name: str) -> Images:
    """Arrange a value of rank 4, or 3, as TF.js wants images.

    Args:
        b: The builder.
        x: Of shape (N, C, H, W) or (N, H, W, C), without H where it has rank 3.
        channels: The logical axis of the channels.
        name: What added layers are called after.

    Raises:
        Refused: For another rank, such as that of videos.
    """
    if x.rank not in (3, 4):
        raise Refused(f"it works on tensors of rank {x.rank}; 3 and 4 can be converted")
    channels = x.axis(channels)
    spatial = [axis for axis in range(1, x.rank) if axis != channels]
    slots = [x.axes[0], *([()] if x.rank == 3 else []), *(x.axes[axis] for axis in spatial), x.axes[channels]]
    tensor, physical = b.regroup(x, slots, name=name)
    places = {axis: place for place, axis in enumerate(reversed([*spatial, channels]))}
    source_axes = (0, *(3 - places[axis] for axis in range(1, x.rank)))
    value = Value(tensor, physical, ((0,), (1,), (2,), (3,)), x.nonnegative)
    return Images(value, x.rank == 3, source_axes)


def pair(values: int | Sequence[int], flat: bool) -> tuple[int, int]:
    """Complete a size or stride for two spatial axes."""
    given = [values] if isinstance(values, int) else list(values)
    if flat and len(given) == 1:
        return 1, given[0]
    if len(given) == 1:
        return given[0], given[0]
    if len(given) != 2 or flat:
        raise Refused(f"{list(given)} does not fit the number of spatial axes")
    return given[0], given[1]


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """The padding that TensorFlow calls SAME, for a kernel with its dilation.

    See https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def resolve(padding: Padding, images: Images, kernel: Sequence[int], strides: Sequence[int]) -> tuple[str | None, Pads]:
    """Find how TF.js says a padding.

    Args:
        padding: ``"same"`` and ``"valid"`` as TensorFlow means them, or ``((top, bottom), (left, right))``.
        images: What is padded.
        kernel: The size of the window, its dilation included.
        strides: Of the window.

    Returns:
        ``"same"`` or ``"valid"`` where that is equal, otherwise None; and the explicit padding.
    """
    same = tuple(same_pads(size, k, s) for size, k, s in zip(images.size, kernel, strides, strict=True))
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise Refused(f"the padding {padding!r} is not known")
        return padding, same if padding == "same" else ((0, 0), (0, 0))
    given = [(int(before), int(after)) for before, after in padding]
    pads = tuple([(0, 0), *given] if images.flat and len(given) == 1 else given)
    if any(amount < 0 for both in pads for amount in both):
        raise Refused(f"the padding {pads} is negative")
    if not any(amount for both in pads for amount in both):
        return "valid", pads
    return ("same" if pads == same else None), pads


def output_size(size: int, pads: tuple[int, int], kernel: int, stride: int) -> int:
    """How many positions a window has."""
    count = (size + sum(pads) - kernel) // stride + 1
    if count < 1:
        raise Refused(f"a window of {kernel} does not fit into {size} pixels")
    return count


def zero_padded(b: Builder, images: Images, pads: Pads, *, name: str) -> Images:
    """Add rows and columns of zeros."""
    value = images.value
    if not any(amount for both in pads for amount in both):
        return images
    height, width = (size + sum(both) for size, both in zip(images.size, pads, strict=True))
    config = {"padding": [list(both) for both in pads], "data_format": "channels_last"}
    physical = (value.physical[0], height, width, value.physical[3])
    padded = b.layer("ZeroPadding2D", config, [value], name=f"{name}_pad", physical=physical, nonnegative=value.nonnegative)
    return Images(padded, images.flat, images.source_axes)


def subsampled(b: Builder, images: Images, strides: Sequence[int], *, name: str) -> Value:
    """Keep every n-th row and column, by a pooling over single pixels."""
    value = images.value
    if tuple(strides) == (1, 1):
        return value
    config = {"pool_size": [1, 1], "strides": list(strides), "padding": "valid", "data_format": "channels_last"}
    height, width = (-(-size // stride) for size, stride in zip(images.size, strides, strict=True))
    physical = (value.physical[0], height, width, value.physical[3])
    return b.layer("MaxPooling2D", config, [value], name=name, physical=physical, nonnegative=value.nonnegative)
