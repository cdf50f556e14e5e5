"""Gradients that take less time in another form. Imports TensorFlow, so it runs in the TensorFlow process only.

Times are of a batch of 32 with oneDNN on two cores; ``tests/benchmarks/bench_gradients.py`` measures both forms.
"""

from __future__ import annotations

from typing import Any, Final

import keras
import tensorflow as tf

# TensorFlow's own kernel takes 5.0 ms for 5x5 at 7x7x1152 where oneDNN's takes 10.9; for 3x3 it takes 2.1 ms instead of 1.2.
_LARGE_KERNEL: Final = 4
# Below it little is to be gained, and in a whole training step the product took more time than the merged operation.
_MANY_PLACES: Final = 28 * 28


def quicken_depthwise(model: Any) -> None:
    """Lets the depthwise convolutions of a model use `depthwise_conv`; they compute what they computed before.

    Args:
        model: A built functional Keras model; its layers' ``call`` is replaced.

    Example:
        >>> quicken_depthwise(model)
    """
    for layer in model._flatten_layers():
        plain = type(layer) is keras.layers.DepthwiseConv2D and layer.data_format == "channels_last"
        if plain and layer.compute_dtype == "float32":
            layer.call = _depthwise_call(layer)


def depthwise_conv(x: Any, kernel: Any, layer: Any) -> Any:
    """What a layer's `keras.ops.depthwise_conv` computes, with the faster of two kernels for the gradient of the weights.

    Args:
        x: float32 of shape (N, H, W, C).
        kernel: float32 of shape (height, width, C, M).
        layer: Gives strides, padding, dilation and order of dimensions.

    Returns:
        float32 of shape (N, H', W', C * M).

    Example:
        >>> depthwise_conv(tf.zeros([1, 7, 7, 8]), tf.zeros([5, 5, 8, 1]), keras.layers.DepthwiseConv2D(5)).shape
        TensorShape([1, 3, 3, 8])
    """
    x, kernel = tf.convert_to_tensor(x), tf.convert_to_tensor(kernel)
    strides, padding = layer.strides, layer.padding
    size = x.shape[1:3]
    if (
        layer.data_format != "channels_last"
        or len(kernel.shape) != 4
        or max(kernel.shape[:2]) < _LARGE_KERNEL
        or None in size
        or len(set(strides)) > 1
        or any(rate != 1 for rate in layer.dilation_rate)
    ):
        return keras.ops.depthwise_conv(
            x, kernel, strides=strides, padding=padding, data_format=layer.data_format, dilation_rate=layer.dilation_rate
        )
    steps, rule = [1, *strides, 1], padding.upper()
    # With paddings as numbers, TensorFlow leaves the operation to its own kernel.
    sides = [_sides(*each, padding) for each in zip(size, kernel.shape[:2], strides, strict=True)]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolve(x: Any, kernel: Any) -> Any:
        def gradients(upstream: Any) -> tuple[Any, Any]:
            by_input = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, strides=steps, padding=rule
            )
            by_kernel = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                input=x,
                filter_sizes=kernel.shape,
                out_backprop=upstream,
                strides=steps,
                padding="EXPLICIT",
                explicit_paddings=[0, 0, *sides[0], *sides[1], 0, 0],
            )
            return by_input, by_kernel

        return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=kernel, strides=steps, padding=rule), gradients

    return convolve(x, kernel)


def add_bias(x: Any, bias: Any) -> Any:
    """What `tf.nn.bias_add` computes, with a matrix product for the gradient of the bias where images are large.

    TensorFlow merges the usual ``BiasAddGrad`` with the gradient of the convolution's weights. Where few channels have many
    places this takes longer: 44 ms for 16 to 96 channels at 112x112, where both need 24 ms apart.

    Args:
        x: float32 of shape (N, ..., C).
        bias: float32 of shape (C,).

    Example:
        >>> add_bias(tf.zeros([1, 7, 7, 8]), tf.ones([8]))[0, 0, 0, 0].numpy()
        1.0
    """
    x, bias = tf.convert_to_tensor(x), tf.convert_to_tensor(bias)
    places = x.shape[1:-1].num_elements()
    if places is None or places < _MANY_PLACES:
        return tf.nn.bias_add(x, bias)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def add(x: Any, bias: Any) -> Any:
        def gradients(upstream: Any) -> tuple[Any, Any]:
            rows = tf.reshape(upstream, [-1, bias.shape[0]])
            return upstream, tf.matmul(tf.ones([1, tf.shape(rows)[0]]), rows)[0]

        return tf.nn.bias_add(x, bias), gradients

    return add(x, bias)


def _depthwise_call(layer: Any) -> Any:
    def call(inputs: Any, training: bool | None = None) -> Any:
        del training
        outputs = depthwise_conv(inputs, layer.kernel, layer)
        if layer.use_bias:
            outputs = add_bias(outputs, layer.bias)
        return outputs if layer.activation is None else layer.activation(outputs)

    return call


def _sides(size: int, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """Zeros before and behind, as TensorFlow pads: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2."""
    if padding == "valid":
        return 0, 0
    whole = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return whole // 2, whole - whole // 2
