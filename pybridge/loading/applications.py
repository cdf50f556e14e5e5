"""The models of keras.applications: their names, and how their images are prepared."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pybridge.data.preprocessing import ChannelOrder, Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.text import suggest

_PREFIX = re.compile(r"(?:keras\.applications\.(?:\w+\.)?|keras:)(\w+)$", re.IGNORECASE)

# The modes of keras.applications' preprocess_input (keras/src/applications/imagenet_utils.py), in the order of the channels
# that the model takes. "none": the model scales its images itself.
_MODES: dict[str, tuple[tuple[float, ...], tuple[float, ...], bool]] = {
    "tf": ((127.5,), (127.5,), False),
    "torch": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), False),
    "caffe": ((103.939, 116.779, 123.68), (1.0,), True),
    "none": ((0.0,), (1.0,), False),
}

# mode of preprocess_input, size of the input
_MODELS: dict[str, tuple[str, int]] = {
    **{f"ConvNeXt{size}": ("none", 224) for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
    **{f"DenseNet{layers}": ("torch", 224) for layers in (121, 169, 201)},
    **{f"EfficientNetB{number}": ("none", size) for number, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600))},
    **{f"EfficientNetV2B{number}": ("none", size) for number, size in enumerate((224, 240, 260, 300))},
    "EfficientNetV2S": ("none", 384),
    "EfficientNetV2M": ("none", 480),
    "EfficientNetV2L": ("none", 480),
    "InceptionResNetV2": ("tf", 299),
    "InceptionV3": ("tf", 299),
    "MobileNet": ("tf", 224),
    "MobileNetV2": ("tf", 224),
    "MobileNetV3Large": ("none", 224),
    "MobileNetV3Small": ("none", 224),
    "NASNetLarge": ("tf", 331),
    "NASNetMobile": ("tf", 224),
    **{f"ResNet{layers}": ("caffe", 224) for layers in (50, 101, 152)},
    **{f"ResNet{layers}V2": ("tf", 224) for layers in (50, 101, 152)},
    "VGG16": ("caffe", 224),
    "VGG19": ("caffe", 224),
    "Xception": ("tf", 299),
}
_BY_LOWER = {name.lower(): name for name in _MODELS}


@dataclass(frozen=True)
class Application:
    """A model of keras.applications.

    Attributes:
        name: As its constructor is called.
        preprocessing: What its ``preprocess_input`` does.
    """

    name: str
    preprocessing: Preprocessing


def application_names() -> list[str]:
    """The names of all models of keras.applications."""
    return sorted(_MODELS)


def find_application(source: str) -> Application | None:
    """What ``keras.applications.MobileNetV2`` or ``keras:mobilenetv2`` names; None for anything else.

    Raises:
        ModelFormatError: It names a model that keras.applications does not have.

    Example:
        >>> find_application("keras:resnet50").preprocessing.channel_order
        'bgr'
    """
    match = _PREFIX.match(source)
    if match is None:
        return None
    name = _BY_LOWER.get(match[1].lower())
    if name is None:
        raise ModelFormatError(f"keras.applications has no model {match[1]!r}", hint=suggest(match[1], application_names()))
    mode, size = _MODELS[name]
    mean, std, reversed_channels = _MODES[mode]
    order: ChannelOrder = "bgr" if reversed_channels else "rgb"
    return Application(name, Preprocessing(size, size, mean=mean, std=std, channel_order=order))
