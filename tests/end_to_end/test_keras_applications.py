"""Every model of keras.applications: converts, computes the same in Node, trains one step there, and comes back to Keras."""

from __future__ import annotations

import gc
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pybridge as pb
from pybridge.converters.to_keras.recovery import recover
from pybridge.models import from_keras
from pybridge.tfjs.custom_layers import custom_classes

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("one_step.js")
TOLERANCE = 1e-4
"""Largest difference of an output allowed, as a part of the largest output."""

# Their statistics have no scale, with which BatchNormalization of stock TF.js cannot train.
WITH_OWN_CLASS = ("InceptionResNetV2", "InceptionV3")
# The smallest pictures that the constructors take with their classifier.
SIZES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
NAMES = (
    *("ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge"),
    *("DenseNet121", "DenseNet169", "DenseNet201"),
    *(f"EfficientNetB{number}" for number in range(8)),
    *("EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3"),
    *("EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S"),
    *("InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small"),
    *("NASNetLarge", "NASNetMobile", "ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50", "ResNet50V2"),
    *("VGG16", "VGG19", "Xception"),
)
# Their sisters have more of the same layers.
ONE_OF_A_FAMILY = (
    *("ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "InceptionV3", "MobileNetV2", "MobileNetV3Small", "ResNet50V2", "VGG16"),
)


@dataclass
class Result:
    """What became of one model."""

    name: str
    parameters: int
    layers: int
    difference: float
    noise: float
    loss: float
    changed: int
    weights: int
    seconds: float


def perturb(model: Any, random: np.random.Generator) -> None:
    """Give statistics, scales and biases values that a trained model could have; fresh ones are all 0 and 1."""
    # Statistics that are not those of the data normalize nothing: a very deep residual model grows its numbers by blocks
    # until Keras no longer agrees with itself (EfficientNetV2L: eager and compiled differ by 1.0). Smaller scales prevent it.
    scale = 0.6 if len(model.layers) > 1000 else 1.0
    for weight in model.weights:
        if weight.name == "gamma":
            weight.assign((scale * random.uniform(0.8, 1.2, weight.shape)).astype(np.float32))
        elif weight.name == "moving_variance":
            weight.assign(random.uniform(0.8, 1.2, weight.shape).astype(np.float32))
        elif weight.name in ("moving_mean", "beta", "bias"):
            weight.assign(random.normal(0, 0.05, weight.shape).astype(np.float32))


def relative(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    """The largest difference as a part of the largest value."""
    return float(np.max(np.abs(wanted - found)) / np.max(np.abs(wanted)))


def noise_floor(model: Any, images: NDArray[Any]) -> float:
    """How much Keras differs from itself when TensorFlow compiles the model."""
    import tensorflow as tf

    compiled = tf.function(lambda x: model(x, training=False))
    return relative(np.asarray(model(images, training=False)), np.asarray(compiled(images)))


def test_every_public_model_is_tested() -> None:
    import keras

    assert set(ONE_OF_A_FAMILY) < set(NAMES)
    assert sorted(NAMES) == sorted(name for name in dir(keras.applications) if name[0].isupper())


@pytest.mark.parametrize(
    "name", [name if name in ONE_OF_A_FAMILY else pytest.param(name, marks=pytest.mark.exhaustive) for name in NAMES]
)
def test_it_crosses_and_trains_and_comes_back(name: str, node: pb.Node) -> None:
    import keras

    start = time.monotonic()
    random = np.random.default_rng(0)
    size = SIZES.get(name, 32)
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
    perturb(model, random)
    # Those without a Rescaling of their own are fed scaled pictures, as their preprocess_input makes them.
    rescales = any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in model.layers)
    images = random.uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    images = images if rescales else images / 127.5 - 1
    wanted = np.asarray(model(images, training=False))

    converted = from_keras(model)
    expected = {"PybridgeBatchNormalization"} if name in WITH_OWN_CLASS else set()
    assert custom_classes(converted.topology) == expected, "stock TF.js must load it"
    names = list(converted.weights)
    target = np.eye(10, dtype=np.float32)[[3, 7]]
    arrays = [np.ascontiguousarray(converted.weights[weight]) for weight in names]
    answer = node.call(SCRIPT, "oneStep", converted.topology, names, arrays, images, target)
    del arrays

    difference = relative(wanted, answer["before"])
    noise = noise_floor(model, images) if difference > TOLERANCE else 0.0
    assert difference <= max(TOLERANCE, 2 * noise)
    assert np.isfinite(answer["loss"])
    trained = dict(zip(names, answer["after"], strict=True))
    changed = sum(not np.array_equal(converted.weights[weight], trained[weight]) for weight in names)
    # With pictures this small the last feature maps are one pixel; where batch normalization makes two examples of one pixel the
    # same whatever comes before, no gradient passes. Statistics move everywhere.
    assert changed > len(names) // 4

    same = recover(converted)
    assert same is not None
    assert json.dumps(same.get_config()) == json.dumps(model.get_config())
    for before, after in zip(model.weights, same.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(before), np.asarray(after), strict=True)
    seconds = time.monotonic() - start
    layers = len(model.layers)
    result = Result(name, model.count_params(), layers, difference, noise, float(answer["loss"]), changed, len(names), seconds)
    # A table for whoever runs it with -s.
    print(json.dumps(asdict(result)), flush=True)
    del model, same, converted, trained, answer
    keras.backend.clear_session()
    gc.collect()
