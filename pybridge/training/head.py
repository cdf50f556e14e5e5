"""The new part of a classifier: pooling, dropout and a softmax layer over the user's classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import append_head

POOLING_LAYER = "pybridge_pool"
OUTPUT_LAYER = "pybridge_probabilities"
_NORMALIZATION_LAYER = "pybridge_normalization"


def append_pooling(features: LayersModel) -> LayersModel:
    """Ends a feature extractor in one vector for each image: the mean of its last feature map."""
    pooling = {"name": POOLING_LAYER, "dtype": "float32", "trainable": True, "data_format": "channels_last"}
    return append_head(features, [{"class_name": "GlobalAveragePooling2D", "config": pooling}], {})


def append_classifier(
    model: LayersModel,
    channels: int,
    classes: int,
    *,
    dropout: float,
    hidden_units: int,
    seed: int,
    normalize: float | None = None,
) -> LayersModel:
    """Puts a freshly initialised classifier on a model whose output is a vector.

    Args:
        model: Its output has the shape ``(batch, channels)``.
        channels: Length of that vector.
        classes: How many probabilities come out.
        dropout: Share of features dropped in training; 0 leaves the layer out.
        hidden_units: Units of a ReLU layer in between; 0 leaves it out.
        seed: Of the initial weights: Glorot uniform (Glorot and Bengio 2010, equation 16), biases zero.
        normalize: Gives each image's features a mean of 0 and a variance of 1 first, with this added to the variance.

    Raises:
        ValueError: ``dropout`` is no share below 1, or ``hidden_units`` is negative.
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), not {dropout!r}")
    if hidden_units < 0:
        raise ValueError(f"hidden_units must not be negative, but is {hidden_units!r}")
    random = np.random.default_rng(seed)
    layers: list[dict[str, Any]] = []
    weights: dict[str, Any] = {}

    def dense(name: str, inputs: int, units: int, activation: str) -> None:
        limit = np.sqrt(6.0 / (inputs + units))
        weights[f"{name}/kernel"] = random.uniform(-limit, limit, (inputs, units)).astype(np.float32)
        weights[f"{name}/bias"] = np.zeros(units, np.float32)
        config = {
            "name": name,
            "dtype": "float32",
            "trainable": True,
            "units": units,
            "activation": activation,
            "use_bias": True,
        }
        layers.append({"class_name": "Dense", "config": config})

    def drop(name: str) -> None:
        if dropout:
            config = {
                "name": name,
                "dtype": "float32",
                "trainable": True,
                "rate": dropout,
                "noise_shape": None,
                "seed": None,
            }
            layers.append({"class_name": "Dropout", "config": config})

    if normalize is not None:
        config = {"name": _NORMALIZATION_LAYER, "dtype": "float32", "trainable": True, "axis": -1, "epsilon": normalize}
        layers.append({"class_name": "LayerNormalization", "config": {**config, "center": False, "scale": False}})
    drop("pybridge_dropout")
    if hidden_units:
        dense("pybridge_hidden", channels, hidden_units, "relu")
        drop("pybridge_hidden_dropout")
    dense(OUTPUT_LAYER, hidden_units or channels, classes, "softmax")
    return append_head(model, layers, weights)
