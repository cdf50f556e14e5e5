"""Runs in the TensorFlow process: gradients in a faster form, and networks that run on portions, beside the usual forms."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pybridge.graphs.portions import PORTION, gains_by_portions, in_portions
from pybridge.graphs.training.gradients import add_bias, depthwise_conv, quicken_depthwise


def gradients(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """For each depthwise layer: the largest differences of output and gradients from Keras's own, as shares of the largest."""
    del folder, arguments
    random = np.random.default_rng(0)
    cases = {
        f"{size}x{size}, stride {stride}, {padding}, multiplier {multiplier}, {height}x{width}": (
            layers.DepthwiseConv2D(size, stride, padding, depth_multiplier=multiplier, activation="relu6"),
            (height, width),
        )
        for size in (2, 3, 4, 5, 7)
        for stride in (1, 2)
        for padding in ("same", "valid")
        for multiplier in (1, 2)
        for height, width in ((9, 9), (8, 11))
    }
    cases["5x5, dilated"] = layers.DepthwiseConv2D(5, dilation_rate=2), (12, 12)
    cases["5x5, without bias"] = layers.DepthwiseConv2D(5, use_bias=False), (12, 12)
    cases["5x3"] = layers.DepthwiseConv2D((5, 3), padding="same"), (12, 12)
    results = {}
    for name, (layer, size) in cases.items():
        image = keras.Input((*size, 3))
        model = keras.Model(image, layer(image))
        model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
        batch = tf.constant(random.normal(size=(4, *size, 3)), tf.float32)
        usual = _with_gradients(model, batch)
        quicken_depthwise(model)
        pairs = zip(usual, _with_gradients(model, batch), strict=True)
        results[name] = max(float(np.abs(one - other).max() / np.abs(one).max()) for one, other in pairs)
    return results


def kernels(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Which operations compute the gradients of a layer's weights: of 5x5 and 3x3 filters, and of biases."""
    del folder, arguments
    found = {}
    for size in (3, 5):
        layer = layers.DepthwiseConv2D(size, padding="same")
        layer.build((None, 9, 9, 3))
        convolve = functools.partial(depthwise_conv, layer=layer)
        found[str(size)] = _gradient_kinds(convolve, (2, 9, 9, 3), (size, size, 3, 1))
    for side in (14, 28):
        found[f"bias at {side}x{side}"] = _gradient_kinds(add_bias, (2, side, side, 3), (3,))
    return found


def portions(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """For numbers of rows: whether running on portions gives the bits that the network gives for each portion by itself.

    A row alone may differ in its last bits: some processors multiply one row by another kernel than eight.
    """
    del folder, arguments
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(8, 3), layers.GlobalAveragePooling2D(), layers.Dense(4)])
    network = tf.function(lambda x: in_portions(lambda part: model(part, training=False), x, (None, 4)), autograph=False)
    whole = tf.function(lambda x: model(x, training=False), autograph=False)
    x = np.random.default_rng(0).normal(size=(20, 16, 16, 3)).astype(np.float32)

    def same(count: int) -> bool:
        starts = range(0, count, PORTION)
        apart = [np.zeros((0, 4), np.float32), *(whole(x[start : min(start + PORTION, count)]).numpy() for start in starts)]
        return bool(np.array_equal(network(tf.constant(x[:count])).numpy(), np.concatenate(apart)))

    return {str(count): same(count) for count in (0, 1, 7, 8, 9, 16, 20)}


def gains(folder: Path, arguments: dict[str, Any]) -> dict[str, bool]:
    """Which models run on portions."""
    del folder, arguments
    image = keras.Input((16, 16, 3))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(image))
    other = keras.Input((4,))
    vector = keras.Input((8,))
    models = {
        "convolutions": keras.Model(image, layers.Dense(4)(features)),
        "nested": keras.Sequential([image, keras.Model(image, features), layers.Dense(4)]),
        "no convolution": keras.Model(vector, layers.Dense(4)(vector)),
        "mean over the images": keras.Model(image, features - keras.ops.mean(features, axis=0, keepdims=True)),
        "lambda": keras.Model(image, layers.Lambda(lambda x: x - tf.reduce_mean(x, 0))(features)),
        "softmax over the images": keras.Model(image, layers.Softmax(axis=0)(features)),
        "the same, from behind": keras.Model(image, layers.Softmax(axis=-2)(features)),
        "softmax over the channels": keras.Model(image, layers.Softmax(axis=-1)(features)),
        "more images": keras.Model(image, layers.Concatenate(axis=0)([features, features])),
        "two inputs": keras.Model([image, other], layers.Concatenate()([features, other])),
        "two outputs": keras.Model(image, [features, layers.Dense(4)(features)]),
    }
    return {name: gains_by_portions(model) for name, model in models.items()}


def _with_gradients(model: Any, batch: Any) -> list[Any]:
    @tf.function(autograph=False)
    def compute(x: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = model(x)
            cost = tf.reduce_sum(output * tf.sin(output))
        return [output, *tape.gradient(cost, [x, *model.trainable_variables])]

    return [value.numpy() for value in compute(batch)]


def _gradient_kinds(function: Any, shape: tuple[int, ...], weight: tuple[int, ...]) -> list[str]:
    def compute(x: Any, w: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(w)
            cost = tf.reduce_sum(tf.sin(function(x, w)))
        return tape.gradient(cost, w)

    graph = tf.function(compute, autograph=False).get_concrete_function(tf.TensorSpec(shape), tf.TensorSpec(weight)).graph
    kinds = []
    for operation in graph.get_operations():
        if operation.type in ("DepthwiseConv2dNativeBackpropFilter", "BiasAddGrad", "MatMul"):
            padding = operation.get_attr("padding").decode() if operation.type.startswith("Depthwise") else ""
            kinds.append(f"{operation.type} {padding}".strip())
    return kinds
