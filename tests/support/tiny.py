"""Models and pictures so small that a test can train on them in milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import append_head
from pybridge.training.head import append_classifier

NORMALIZATION: dict[str, Any] = {"axis": 3, "momentum": 0.9, "epsilon": 1e-3, "center": True, "scale": True}


def entrance(*shape: int) -> LayersModel:
    """Only an input."""
    config = {"name": "entrance", "batch_input_shape": [None, *shape], "dtype": "float32", "sparse": False}
    layer = {"class_name": "InputLayer", "name": "entrance", "config": config, "inbound_nodes": []}
    ends = [["entrance", 0, 0]]
    return LayersModel(
        {"class_name": "Functional", "config": {"name": "tiny", "layers": [layer], "input_layers": ends, "output_layers": ends}},
        {},
    )


def layer(class_name: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name, "dtype": "float32", "trainable": True, **config}}


def convolution(seed: int = 0, size: int = 16, *, trainable_norm: bool = True) -> LayersModel:
    """Image -> convolution -> batch normalization -> ReLU6: a feature map of 4 channels."""
    random = np.random.default_rng(seed)
    return append_head(
        entrance(size, size, 3),
        [
            layer("Conv2D", "conv", filters=4, kernel_size=[3, 3], strides=[2, 2], padding="same", use_bias=False),
            layer("BatchNormalization", "norm", **NORMALIZATION, trainable=trainable_norm),
            layer("ReLU", "relu", max_value=6),
        ],
        {
            "conv/kernel": random.normal(size=(3, 3, 3, 4)).astype(np.float32),
            "norm/gamma": random.uniform(0.5, 1.5, 4).astype(np.float32),
            "norm/beta": random.normal(size=4).astype(np.float32),
            "norm/moving_mean": random.normal(size=4).astype(np.float32),
            "norm/moving_variance": random.uniform(0.5, 2, 4).astype(np.float32),
        },
    )


def convolution_used_twice(size: int = 8) -> LayersModel:
    """Image -> convolution -> the same convolution -> pooling."""
    random = np.random.default_rng(0)
    entries = [
        layer("InputLayer", "image", batch_input_shape=[None, size, size, 3], sparse=False),
        layer("Conv2D", "conv", filters=3, kernel_size=[3, 3], strides=[1, 1], padding="valid", use_bias=True),
        layer("GlobalAveragePooling2D", "pool", data_format="channels_last"),
    ]
    nodes: list[Any] = [[], [[["image", 0, 0, {}]], [["conv", 0, 0, {}]]], [[["conv", 1, 0, {}]]]]
    names = ["image", "conv", "pool"]
    layers = [{**entry, "name": name, "inbound_nodes": each} for entry, name, each in zip(entries, names, nodes, strict=True)]
    config = {"name": "twice", "layers": layers, "input_layers": [["image", 0, 0]], "output_layers": [["pool", 0, 0]]}
    weights = {
        "conv/kernel": random.normal(size=(3, 3, 3, 3)).astype(np.float32),
        "conv/bias": random.normal(size=3).astype(np.float32),
    }
    return LayersModel({"class_name": "Functional", "config": config}, weights)


def convolutional_classifier(classes: int = 2, *, trainable_norm: bool = True) -> LayersModel:
    """A whole network of images: convolution, batch normalization, pooling, softmax."""
    pool = layer("GlobalAveragePooling2D", "pool", data_format="channels_last")
    base = append_head(convolution(trainable_norm=trainable_norm), [pool], {})
    return append_classifier(base, 4, classes, dropout=0, hidden_units=0, seed=0)


def vector_classifier(inputs: int = 5, classes: int = 3, *, dropout: float = 0.0, hidden_units: int = 0) -> LayersModel:
    """A softmax layer on vectors."""
    return append_classifier(entrance(inputs), inputs, classes, dropout=dropout, hidden_units=hidden_units, seed=1)


def regression(inputs: int = 3) -> LayersModel:
    """One linear unit on vectors."""
    weights = {"line/kernel": np.zeros((inputs, 1), np.float32), "line/bias": np.zeros(1, np.float32)}
    return append_head(entrance(inputs), [layer("Dense", "line", units=1, activation="linear", use_bias=True)], weights)


def pictures(classes: int = 2, per_class: int = 12, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noise of 20 x 20 pixels, the brighter and the redder the higher its class; in mixed order."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(classes), per_class))
    step = 120 // max(classes - 1, 1)
    images = random.integers(0, 80, (len(labels), 20, 20, 3)) + labels[:, None, None, None] * [step, step // 2, 0]
    return images.astype(np.uint8), labels
