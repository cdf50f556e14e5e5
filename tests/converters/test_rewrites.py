"""Which layers of TF.js stand for a layer or operation of Keras, where plain ones do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest

from pybridge.converters.keras.conversion import from_keras

WRITTEN: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "a class that both have": (lambda x: keras.layers.Dropout(0.5)(x), ["Dropout"]),
    "dropout of whole examples": (
        lambda x: keras.layers.Dropout(0.5, noise_shape=(None, 1, 1))(x),
        ["Reshape", "GlobalAveragePooling1D", "Rescaling", "Dropout", "Reshape", "Multiply"],
    ),
    "dropout along an axis": (lambda x: keras.layers.Dropout(0.5, noise_shape=(None, 1, 6))(x), ["PybridgeDropout"]),
    "a convolution with a group for each channel": (
        lambda x: keras.layers.Conv2D(4, 3, groups=4)(keras.layers.Reshape((4, 6, 4))(x)),
        ["Reshape", "DepthwiseConv2D"],
    ),
    "a number added": (lambda x: x + 1.0, ["Rescaling"]),
    "an operation without a layer": (lambda x: keras.ops.sin(x), ["PybridgeOp"]),
}
"""A function of a tensor (batch, 16, 6), and the classes of the layers that stand for it."""


@pytest.mark.parametrize("name", WRITTEN)
def test_a_rewrite_writes_these_layers(name: str) -> None:
    function, classes = WRITTEN[name]
    x = keras.Input((16, 6))
    topology = from_keras(keras.Model(x, function(x))).topology
    assert [layer["class_name"] for layer in topology["config"]["layers"][1:]] == classes
