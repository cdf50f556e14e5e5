"""Runs in the TensorFlow process: graphs before and after folding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from pybridge.graphs.folding import fold_affine


def _models() -> tuple[dict[str, Any], Any]:
    image = keras.Input((8, 8, 3))
    shared = layers.Conv2D(4, 3)(image)
    return {
        "convolution": layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, use_bias=False)(image))),
        "bias before normalization": layers.BatchNormalization()(layers.Conv2D(4, 3)(image)),
        "depthwise with a multiplier": layers.BatchNormalization()(layers.DepthwiseConv2D(3, depth_multiplier=2)(image)),
        "grouped": layers.BatchNormalization()(layers.Conv2D(6, 3, groups=3)(image)),
        "dense": layers.BatchNormalization()(layers.Dense(5)(layers.Flatten()(image))),
        "without scale and centre": layers.BatchNormalization(scale=False, center=False)(layers.Conv2D(4, 1)(image)),
        "residual sum": layers.Add()([layers.BatchNormalization()(layers.Conv2D(3, 1, use_bias=False)(image)), image]),
        "normalization first": layers.Conv2D(4, 3, use_bias=False)(layers.BatchNormalization()(image)),
        "a loop": layers.Dense(4)(layers.GRU(3)(layers.Reshape((-1, 3))(image))),
        "used twice": layers.Concatenate()([layers.BatchNormalization()(shared), shared]),
        "a constant picture": layers.Conv2D(3, 1, use_bias=False)(image)
        * np.linspace(0, 1, 192, dtype=np.float32).reshape(8, 8, 3),
        "transposed": layers.BatchNormalization()(layers.Conv2DTranspose(4, 3)(image)),
    }, image


def fold(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """For each graph: the largest difference, and the kinds of operations on its data path, before and after."""
    random = np.random.default_rng(0)
    outputs, image = _models()
    batch = random.normal(size=(2, 8, 8, 3)).astype(np.float32)
    results: dict[str, Any] = {}
    for name, output in outputs.items():
        model = keras.Model(image, output)
        model.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])

        @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)])
        def infer(given: Any, model: Any = model) -> Any:
            return model(given, training=False)

        frozen = convert_variables_to_constants_v2(infer.get_concrete_function())
        before, after = tf.Graph(), tf.Graph()
        with before.as_default():
            tf.import_graph_def(frozen.graph.as_graph_def(), name="")
        with after.as_default():
            tf.import_graph_def(fold_affine(frozen.graph, [frozen.outputs[0].op.name]), name="")
        values = [_run(graph, frozen, batch) for graph in (before, after)]
        results[name] = {
            "difference": float(np.abs(values[0] - values[1]).max() / np.abs(values[0]).max()),
            "before": _kinds(before, frozen.outputs[0].op.name),
            "after": _kinds(after, frozen.outputs[0].op.name),
        }
    return results


def _run(graph: Any, frozen: Any, batch: Any) -> Any:
    with tf.compat.v1.Session(graph=graph) as session:
        return session.run(frozen.outputs[0].name, {frozen.inputs[0].name: batch})


def _kinds(graph: Any, output: str) -> list[str]:
    """Kinds of operations that depend on the input and that the output depends on."""
    wanted, stack = set(), [graph.get_operation_by_name(output)]
    while stack:
        operation = stack.pop()
        if operation.name not in wanted:
            wanted.add(operation.name)
            stack += [tensor.op for tensor in operation.inputs]
    live: set[str] = set()
    for operation in graph.get_operations():
        if operation.type == "Placeholder" or any(tensor.op.name in live for tensor in operation.inputs):
            live.add(operation.name)
    return sorted(graph.get_operation_by_name(name).type for name in live & wanted)
