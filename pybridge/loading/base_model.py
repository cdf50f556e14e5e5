"""From what a user names as a base to a feature extractor and its preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.loading.finding import FoundModel, Source, find_model
from pybridge.loading.lifting import lift
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import feature_layer, flatten, input_shape, truncate
from pybridge.tfjs.topology import parse_flat


@dataclass(frozen=True)
class BaseModel:
    """A base to put heads on.

    Attributes:
        name: Short and readable; for the run's record.
        model: The flat feature extractor; its one output is a feature map ``(batch, height, width, channels)``.
        preprocessing: What turns a photo into its input.
        origin: ``kind`` (see `FoundModel`), ``location`` and ``sha256`` of the extractor. ``preprocessing`` says how that is
            known: ``published``; ``given``; ``inferred`` for a model whose first layer scales pixels of 0 to 255, which it is
            then given as they are; or ``assumed`` for any other: [-1, 1], or for torch and ONNX what torchvision's models are
            trained with.
        labels: The class names of a Teachable Machine export.
    """

    name: str
    model: LayersModel
    preprocessing: Preprocessing
    origin: dict[str, str]
    labels: tuple[str, ...] = field(default=())


def resolve(
    source: Source,
    *,
    preprocessing: Preprocessing | None = None,
    input_shape: Sequence[int] | None = None,
    allow_lambda: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> BaseModel:
    """Find a base, cut its classifier off, and say how its images are prepared.

    Models of layers (TF.js layers, Keras, torch, ONNX) can be fine-tuned as far as their weights can be trained. TF.js graph
    models and SavedModels are lifted from their graph back into layers where each operation has a counterpart; batch
    normalization is folded into the convolutions there, so that fine-tuning trains without it. A layer that is used several
    times becomes one for each use, with the same weights; where they are fine-tuned, each goes its own way.

    Args:
        source: As `find_model` takes it.
        preprocessing: Overrides what is known or assumed about the model.
        input_shape: For torch: the shape of one example, ``(3, height, width)``.
        allow_lambda: Run the Python code of Lambda layers in Keras files.
        progress: Told ``(done_bytes, total_bytes)`` while something is downloaded.

    Raises:
        ModelFormatError: If there is no such model, or it cannot be a base.

    Example:
        >>> base = resolve("efficientnet_lite0")
        >>> base.preprocessing.height, base.model.parameters
        (224, 3413024)
    """
    found = find_model(source, input_shape=input_shape, allow_lambda=allow_lambda, allow_operations=None, progress=progress)
    return _base(found, preprocessing)


def _base(found: FoundModel, given: Preprocessing | None) -> BaseModel:
    known = found.preprocessing
    flat = flatten(lift(found.model))
    height, width = _image_size(flat, given or known)
    extractor = truncate(flat, feature_layer(flat))
    scales_itself = _scales_pixels(flat)
    mean, std = _AS_THEY_ARE if scales_itself else found.assumed
    preprocessing = given or known or Preprocessing(height, width, mean=mean, std=std)
    if (preprocessing.height, preprocessing.width) != (height, width):
        raise ModelFormatError(
            f"{found.name}: takes images of {height}x{width}, but the preprocessing makes them "
            f"{preprocessing.height}x{preprocessing.width}",
            hint="Give a Preprocessing of the model's own size.",
        )
    source = "given" if given else "published" if known else "inferred" if scales_itself else "assumed"
    origin = {"kind": found.kind, "location": found.location, "sha256": extractor.sha256(), "preprocessing": source}
    return BaseModel(found.name, extractor, preprocessing, origin, found.labels)


_AS_THEY_ARE = ((0.0,), (1.0,))

# 1 / 255, 1 / 127.5 and 1 / 57 (ImageNet's deviation) take pixels of 0 to 255; 1 / 0.225 takes such of 0 to 1.
_LARGEST_SCALE_OF_PIXELS = 0.1


def _scales_pixels(model: LayersModel) -> bool:
    """Whether the first layer that does anything, augmentation apart, brings pixels of 0 to 255 into a small range."""
    name = ""
    for layer in parse_flat(model.topology).layers:
        if layer.class_name == "InputLayer" or (layer.inputs == (name,) and layer.class_name.startswith("PybridgeRandom")):
            name = layer.name
            continue
        scale = layer.config.get("scale")
        scales = scale if isinstance(scale, list) else [scale]
        is_number = all(isinstance(one, int | float) for one in scales)
        return layer.class_name == "Rescaling" and is_number and 0 < max(scales) <= _LARGEST_SCALE_OF_PIXELS
    return False


def _image_size(model: LayersModel, preprocessing: Preprocessing | None = None) -> tuple[int, int]:
    shape = input_shape(model)
    if len(shape) != 3 or shape[2] not in (3, None):
        raise ModelFormatError(
            f"the model takes inputs of shape {list(shape)}, not RGB images (height, width, 3)",
            hint="A base must be a model of RGB images with channels last.",
        )
    height, width = shape[:2]
    if preprocessing is not None:
        return height or preprocessing.height, width or preprocessing.width
    # Models that leave the size open are trained at 224 x 224 by convention (keras.applications).
    return height or 224, width or 224
