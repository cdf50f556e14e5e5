"""Preprocessing layers: exact where they compute something, unchanged pictures where they only change them in training."""

from __future__ import annotations

from typing import Any

from pybridge.converters.keras.call import Call
from pybridge.converters.keras.own_layers import own
from pybridge.converters.keras.registry import rewrite
from pybridge.converters.refusals import Refused
from pybridge.tfjs.custom_layers import OWN, own_classes

_ONLY_IN_TRAINING = (
    *("AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter"),
    *("RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale"),
    *("RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation"),
    *("RandomSharpness", "RandomTranslation", "RandomZoom"),
)


@rewrite("Resizing", "CenterCrop", "CategoryEncoding")
def picture(call: Call) -> Any:
    """Those of TF.js fail inside any model, or compute something else."""
    if getattr(call.layer, "sparse", False):
        raise Refused("gives sparse tensors, which TF.js does not have", "Build it with sparse=False.")
    if call.config.get("fill_mode", "constant") != "constant":
        raise Refused("fills in another way than with a constant", 'Build it with fill_mode="constant".')
    return own(call)


@rewrite("Discretization")
def discretization(call: Call) -> Any:
    """Counts the boundaries that are not above a value."""
    if not call.config.get("bin_boundaries"):
        raise Refused("has no boundaries yet", "Call adapt() before converting.")
    if call.config.get("sparse"):
        raise Refused("gives sparse tensors, which TF.js does not have", "Build it with sparse=False.")
    return own(call)


@rewrite(*_ONLY_IN_TRAINING)
def only_in_training(call: Call) -> Any:
    """Changes nothing where a model infers; TF.js does not augment while it trains."""
    if f"{OWN}{call.class_name}" not in own_classes():
        raise Refused("is a class that TF.js does not have")
    config = {key: value for key, value in call.config.items() if _is_json(value)}
    shapes, dtypes = [shape for shape, _ in call.outputs], [dtype for _, dtype in call.outputs]
    for variable in call.layer.weights:
        call.keep(variable)
    return call.emit_many(f"{OWN}{call.class_name}", config, call.inputs[:1], shapes=shapes, dtypes=dtypes)[0]


def refuse(names: tuple[str, ...], reason: str, alternative: str) -> None:
    """Register classes that have no exact counterpart, with the reason."""

    def refusing(call: Call) -> Any:  # noqa: ARG001
        raise Refused(reason, alternative)

    rewrite(*names)(refusing)


_IN_FRONT = "Do it in front of the model, in the service."
refuse(
    ("StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "HashedCrossing"),
    "looks values up in a table or hashes them, which TF.js cannot",
    _IN_FRONT,
)
refuse(("STFTSpectrogram", "MelSpectrogram"), "computes spectra, for which TF.js has no equal transform", _IN_FRONT)
refuse(
    ("AutoContrast", "Equalization", "ContrastLimitedAdaptiveHistogramEqualization", "Solarization"),
    "changes pictures by their histograms or values, which TF.js cannot",
    _IN_FRONT,
)
refuse(
    ("RandomShear",),
    "cannot be built again from its own config by Keras 3.15",
    "Leave it out of the model: it acts in training alone.",
)
refuse(
    ("RandomCrop",),
    "crops only while Keras trains, and returns whole pictures else",
    "Use CenterCrop, or crop in front of the model.",
)
refuse(("MaxNumBoundingBoxes", "Pipeline"), "is for data pipelines", "Apply it in front of the model.")


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, list, dict))
