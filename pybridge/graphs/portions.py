"""Runs a network on a few images at a time. Imports TensorFlow, so it runs in the TensorFlow process only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import keras
import tensorflow as tf

from pybridge.runtime.processors import usable_processors

# What a layer gives for so many images mostly stays in the processor's cache until the next layer takes it. Of 1 to 32 this
# was fastest, 1.15 times as fast as 32 at once (MobileNet-like networks at 224x224, two cores with 2 MB of cache each;
# tests/benchmarks/bench_gradients.py).
PORTION: Final = 8
_MOST_AT_ONCE: Final = 4
_CONVOLUTIONS: Final = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def in_portions(network: Callable[[Any], Any], x: Any, shape: Sequence[int | None], *, portion: int = PORTION) -> Any:
    """What a network gives for all rows, computed for a few of them at a time, several portions beside each other.

    Args:
        network: From a tensor of shape (rows, ...) to one of shape (rows, ...); each row depends on its own row only.
        x: Any number of rows.
        shape: Of what it gives, the rows first.
        portion: How many rows at a time.

    Returns:
        What ``network`` gives for each portion by itself, one after the other. That is ``network(x)``; its last bits may
        differ where the processor computes many rows by another kernel than few.

    Example:
        >>> in_portions(lambda images: keras_model(images, training=False), images, keras_model.output_shape)
    """
    rows = tf.shape(x)[0]
    total = (rows + portion - 1) // portion
    outputs = tf.TensorArray(tf.float32, total, element_shape=shape, infer_shape=False)

    def body(i: Any, outputs: Any) -> tuple[Any, Any]:
        return i + 1, outputs.write(i, network(x[i * portion : (i + 1) * portion]))

    _, outputs = tf.while_loop(
        lambda i, _: i < total,
        body,
        (tf.constant(0), outputs),
        parallel_iterations=min(usable_processors(), _MOST_AT_ONCE),
    )
    return outputs.concat()


def gains_by_portions(model: Any) -> bool:
    """Whether a Keras model has convolutions, and nothing that looks at several images together.

    Args:
        model: A functional Keras model.

    Example:
        >>> gains_by_portions(keras.applications.MobileNetV2(weights=None))
        True
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return False
    input_, output = model.inputs[0], model.outputs[0]
    if len(input_.shape) != 4 or input_.shape[0] is not None or output.shape[0] is not None or output.dtype != "float32":
        return False
    steps = list(model._flatten_layers())
    steps += [operation for each in steps for operation in getattr(each, "operations", [])]
    return any(isinstance(step, _CONVOLUTIONS) for step in steps) and all(_is_row_wise(step) for step in steps)


def _is_row_wise(step: Any) -> bool:
    """Whether it is known of a layer or an operation; such as ``keras.ops.mean`` may go along the images."""
    if isinstance(step, (keras.layers.Lambda, keras.layers.RNN)) or _goes_along_images(step):
        return False
    return type(step).__module__.startswith(("keras.src.layers.", "keras.src.models."))


def _goes_along_images(step: Any) -> bool:
    """Whether a layer such as ``Softmax(axis=0)`` or ``Concatenate(axis=0)`` does."""
    ranks = {len(tensor.shape) for node in step._inbound_nodes for tensor in node.input_tensors}
    axes = tf.nest.flatten([getattr(step, "axis", None), getattr(step, "axes", None)])
    return any(axis == 0 or -axis in ranks for axis in axes if isinstance(axis, int))
