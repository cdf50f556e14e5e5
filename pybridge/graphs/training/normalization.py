"""Batch normalization in a training's graph. Imports TensorFlow, so it runs in the TensorFlow process only.

Normalization in inference mode is linear. Behind a convolution it is therefore computed on the convolution's few weights
instead of its many outputs: ``scale * conv(x, kernel) + shift == conv(x, scale * kernel) + shift``. Automatic differentiation
of the right side gives the gradients of all weights, without a pass over the outputs for each of the left side's operations,
and no result between convolution and activation has to be kept for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from pybridge.graphs.training.gradients import add_bias, depthwise_conv

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


def hold_batch_normalization(model: Any, *, frozen_only: bool) -> None:
    """Keeps batch normalization in inference mode while the model trains, and folds it into the layers before it.

    The model computes the same as before in exact arithmetic; layers between which results are used elsewhere stay as they are.

    Args:
        model: A built functional Keras model; its layers' ``call`` is replaced.
        frozen_only: Whether only layers that do not train are held, as Keras does anyway.

    Example:
        >>> hold_batch_normalization(model, frozen_only=False)
    """
    layers = list(model._flatten_layers())
    ends = {id(tensor._keras_history.operation) for each in (model, *layers) for tensor in getattr(each, "outputs", None) or []}
    for layer in layers:
        if not isinstance(layer, keras.layers.BatchNormalization) or (frozen_only and layer.trainable):
            continue
        before = _layer_before(layer)
        if before is not None and id(before) not in ends and (scaled := _scaled(before)):
            before.call = _folded(before, layer, scaled)
            layer.call = _identity
        else:
            layer.call = _held(layer.call)


def _layer_before(normalization: Any) -> Any:
    """The layer whose outputs go into the normalization and nowhere else, if there is one."""
    nodes = normalization._inbound_nodes
    if len(nodes) != 1 or len(nodes[0].input_tensors) != 1:
        return None
    (tensor,) = nodes[0].input_tensors
    before = tensor._keras_history.operation
    axes = normalization.axis if isinstance(normalization.axis, (list, tuple)) else [normalization.axis]
    alone = len(before._inbound_nodes) == 1 and [node.operation for node in before._outbound_nodes] == [normalization]
    return before if alone and list(axes) in ([-1], [len(tensor.shape) - 1]) else None


def _scaled(layer: Any) -> Callable[[Any, Any], Any] | None:
    """The layer without its bias, as a function of its input and of a factor for each of its output channels."""
    linear = getattr(layer, "activation", None) in (None, keras.activations.linear) and layer.activity_regularizer is None
    if not linear or getattr(layer, "data_format", "channels_last") != "channels_last" or layer.compute_dtype != "float32":
        return None
    if type(layer) in _CONVOLUTIONS:
        return lambda x, scale: layer.convolution_op(x, layer.kernel * scale)
    if type(layer) in _DEPTHWISE:
        # Output channel c * depth_multiplier + m comes from input channel c.
        return lambda x, scale: depthwise_conv(x, layer.kernel * tf.reshape(scale, layer.kernel.shape[-2:]), layer)
    if type(layer) is keras.layers.Dense:
        return lambda x, scale: keras.ops.matmul(x, layer.kernel * scale)
    return None


def _folded(layer: Any, normalization: Any, scaled: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def call(inputs: Any, training: bool | None = None) -> Any:
        del training
        value = tf.convert_to_tensor
        scale = tf.math.rsqrt(value(normalization.moving_variance) + normalization.epsilon)
        if normalization.scale:
            scale *= value(normalization.gamma)
        shift = -value(normalization.moving_mean) * scale
        if layer.use_bias:
            shift += value(layer.bias) * scale
        if normalization.center:
            shift += value(normalization.beta)
        return add_bias(scaled(inputs, scale), shift)

    return call


def _identity(inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    del training, mask
    return inputs


def _held(call: Callable[..., Any]) -> Callable[..., Any]:
    def held(inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        del training
        return call(inputs, training=False, mask=mask)

    return held
