"""What happens to a picture between its file and a model's input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pybridge.errors import DataError, ModelFormatError

Crop = Literal["stretch", "centre"]
ChannelOrder = Literal["rgb", "bgr"]

_MAX_SIDE = 8192


@dataclass(frozen=True)
class Preprocessing:
    """How an encoded picture becomes the input of a base model.

    The computation, in this order:

    1. Decode the file to RGB, uint8. Grey pictures are repeated over the three channels, an alpha channel is dropped,
       an animated GIF gives its first frame.
    2. Turn and mirror the pixels as the EXIF orientation of a JPEG file says. Its size is then ``H``, ``W``.
    3. Choose the crop box, in real numbers, not rounded to pixels, centred on the picture.
       ``"stretch"``: ``box_h = H * crop_fraction``, ``box_w = W * crop_fraction``.
       ``"centre"``: the largest box with the aspect ratio ``width / height`` of the target, times ``crop_fraction``:
       ``s = min(H / height, W / width) * crop_fraction``, ``box_h = s * height``, ``box_w = s * width``.
       In both: ``y0 = (H - box_h) / 2``, ``x0 = (W - box_w) / 2``.
    4. Resize the box to ``(height, width)`` with TensorFlow's ``ScaleAndTranslate``, ``kernel_type="triangle"``,
       ``antialias=True``, ``scale = (height / box_h, width / box_w)``, ``translation = (-y0, -x0) * scale``; gives
       float32. With the whole picture as the box this is ``tf.image.resize(..., "bilinear", antialias=True)``.
       Where the box is smaller than the picture, the filter reads pixels just outside of it, unlike a crop that is cut out
       first.
    5. With ``channel_order="bgr"``: exchange red and blue.
    6. ``(pixel - mean) / std``, float32, for each channel.

    Args:
        height: Rows of the model's input, in pixels.
        width: Columns of the model's input, in pixels.
        crop: ``"stretch"`` (default) uses the whole picture whatever its shape; ``"centre"`` keeps proportions.
        crop_fraction: Share of each side of the box that is kept, in (0, 1]; default 1.0.
        mean: Subtracted from the pixels, which are 0 to 255: one number for all channels, or three in the order of
            ``channel_order``.
        std: Divides the result; one number or three. The defaults of both map pixels to [-1, 1].
        channel_order: ``"rgb"`` (default), or ``"bgr"`` for models that were trained with Caffe's order.

    Raises:
        DataError: A value is outside of what is said above.

    Example:
        >>> Preprocessing(224, 224, mean=(127.0,), std=(128.0,)).to_dict()["height"]
        224
    """

    height: int
    width: int
    crop: Crop = "stretch"
    crop_fraction: float = 1.0
    mean: tuple[float, ...] = (127.5,)
    std: tuple[float, ...] = (127.5,)
    channel_order: ChannelOrder = "rgb"

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            side = getattr(self, name)
            if not isinstance(side, int) or isinstance(side, bool) or not 1 <= side <= _MAX_SIDE:
                raise DataError(f"Preprocessing: {name} must be a whole number from 1 to {_MAX_SIDE}, not {side!r}")
        if self.crop not in get_args(Crop):
            raise DataError(f"Preprocessing: crop must be 'stretch' or 'centre', not {self.crop!r}")
        if self.channel_order not in get_args(ChannelOrder):
            raise DataError(f"Preprocessing: channel_order must be 'rgb' or 'bgr', not {self.channel_order!r}")
        if not _is_finite(self.crop_fraction) or not 0 < self.crop_fraction <= 1:
            raise DataError(f"Preprocessing: crop_fraction must be in (0, 1], not {self.crop_fraction!r}")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or len(values) not in (1, 3) or not all(map(_is_finite, values)):
                raise DataError(f"Preprocessing: {name} must be a tuple of one or three numbers, not {values!r}")
        if not all(value > 0 for value in self.std):
            raise DataError(f"Preprocessing: std must be above 0, not {self.std!r}")

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` gives an equal object back."""
        return {
            "height": self.height,
            "width": self.width,
            "crop": self.crop,
            "crop_fraction": self.crop_fraction,
            "mean": list(self.mean),
            "std": list(self.std),
            "channel_order": self.channel_order,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Read what `to_dict` wrote.

        Raises:
            ModelFormatError: A key is missing, unknown, or holds an unusable value.
        """
        if not isinstance(values, Mapping):
            raise ModelFormatError(f"preprocessing must be a JSON object, not {type(values).__name__}")
        known = set(cls.__dataclass_fields__)
        if unknown := sorted(set(values) - known):
            raise ModelFormatError(
                f"preprocessing has unknown keys {unknown}",
                hint="It was written by a newer pybridge: upgrade this one.",
            )
        if missing := sorted({"height", "width"} - set(values)):
            raise ModelFormatError(f"preprocessing lacks {missing}")
        arguments = dict(values)
        for name in ("mean", "std"):
            if isinstance(arguments.get(name), list):
                arguments[name] = tuple(arguments[name])
        try:
            return cls(**arguments)
        except DataError as error:
            raise ModelFormatError(error.message, hint=error.hint) from None


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
