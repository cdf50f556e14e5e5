"""Convolutions with options that TF.js lacks, computes otherwise, or has no gradient for."""

from __future__ import annotations

from typing import Any

from pybridge.converters.keras.activations import activate
from pybridge.converters.keras.call import Call
from pybridge.converters.keras.own_layers import known_activation, own, serves
from pybridge.converters.keras.registry import DECLINED, rewrite
from pybridge.converters.refusals import Refused


@rewrite("Conv2D", priority=1)
def depthwise(call: Call) -> Any:
    """As many groups as channels are a depthwise convolution: ConvNeXt is written so."""
    config = call.config
    groups = config.get("groups", 1)
    strides, dilation = _listed(config["strides"]), _listed(config["dilation_rate"])
    if groups == 1 or groups != call.input.shape[-1] or groups != config["filters"]:
        return DECLINED
    kept = config["data_format"] == "channels_last" and config["padding"] in ("valid", "same") and len(set(strides)) == 1
    changes = [config["kernel_regularizer"], config["kernel_constraint"], config["activity_regularizer"]]
    if not kept or any(rate != 1 for rate in dilation) or any(change is not None for change in changes):
        return DECLINED
    weights = {"depthwise_kernel": call.weight(call.layer.kernel).transpose((0, 1, 3, 2))}
    if config["use_bias"]:
        weights["bias"] = call.weight(call.layer.bias)
    same = (
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "use_bias",
        "bias_initializer",
        "bias_regularizer",
        "bias_constraint",
    )
    written = call.tfjs_config({key: config[key] for key in same})
    written = {**written, "depth_multiplier": 1, "activation": "linear"}
    result = call.emit("DepthwiseConv2D", written, weights=weights, shape=call.output_shape)
    return activate(call, config["activation"], result)


@rewrite(
    *("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
)
def convolution(call: Call) -> Any:
    """Dilated and transposed 3-D convolutions have no gradient in TF.js; groups and causal padding do not exist there."""
    if _bias_is_misplaced(call):
        raise Refused(
            "has as many channels as columns: Keras with TensorFlow adds such a bias to the columns instead of the channels",
            'Use data_format="channels_last".',
        )
    dilated = any(rate != 1 for rate in _listed(call.config.get("dilation_rate", 1)))
    strides = _listed(call.config.get("strides", 1))
    uneven = "Depthwise" in call.class_name or "Separable" in call.class_name
    without_gradient = dilated or call.class_name == "Conv3DTranspose" or (uneven and len(set(strides)) > 1)
    if serves(call) and not without_gradient:
        return DECLINED
    if call.config.get("activity_regularizer") is not None:
        raise Refused("has an activity_regularizer", "Put an ActivityRegularization layer behind it instead.")
    if known_activation(call.config.get("activation")):
        return own(call)
    config = {**call.config, "activation": "linear"}
    return activate(call, call.config["activation"], own(call, config=config))


def _bias_is_misplaced(call: Call) -> bool:
    # keras.src.backend.tensorflow.numpy.add of Keras 3.15 takes what has the size of the last axis for a bias of that.
    first = call.config["data_format"] == "channels_first"
    return bool(first and call.config.get("use_bias") and call.output_shape[1] == call.output_shape[-1] != 1)


def _listed(value: Any) -> list[int]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
