"""TF.js layers models, written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybridge.tfjs.layers_model import LayersModel


def layer(name: str, class_name: str, inputs: tuple[str, ...] = (), **config: Any) -> dict[str, Any]:
    """Describe a layer in the style of Keras 2."""
    nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def residual_model() -> LayersModel:
    """Image (8, 8, 3) -> conv a -> [conv b + identity] -> relu -> pool -> Dense(2)."""
    generator = np.random.default_rng(0)

    def conv(name: str, source: str) -> dict[str, Any]:
        return layer(name, "Conv2D", (source,), filters=3, kernel_size=[3, 3], padding="same", use_bias=False)

    layers = [
        layer("image", "InputLayer", batch_input_shape=[None, 8, 8, 3], dtype="float32"),
        conv("a", "image"),
        conv("b", "a"),
        layer("add", "Add", ("a", "b")),
        layer("relu", "ReLU", ("add",), max_value=6),
        layer("pool", "GlobalAveragePooling2D", ("relu",)),
        layer("out", "Dense", ("pool",), units=2, activation="softmax"),
    ]
    config = {"name": "small", "layers": layers, "input_layers": [["image", 0, 0]], "output_layers": [["out", 0, 0]]}
    shapes = {"a/kernel": (3, 3, 3, 3), "b/kernel": (3, 3, 3, 3), "out/kernel": (3, 2), "out/bias": (2,)}
    weights = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return LayersModel({"class_name": "Functional", "config": config}, weights)
