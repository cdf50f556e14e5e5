"""The classes that Keras 3 and TF.js share: which options mean the same in both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pybridge.converters.keras.activations import activate, activation_name, tfjs_activation
from pybridge.converters.keras.call import Call
from pybridge.converters.keras.configs import tfjs_values
from pybridge.converters.keras.emitter import Symbol
from pybridge.converters.keras.expressions import Weight
from pybridge.converters.refusals import Refused


@dataclass(frozen=True)
class CommonLayer:
    """What a class of TF.js takes.

    Attributes:
        keep: Options that mean the same in both and are passed on.
        only: Options that TF.js lacks or computes otherwise, with the values that are right in both.
        rename: Options that TF.js calls otherwise.
        weights: Weights that TF.js calls otherwise.
        activation: Whether an activation that TF.js lacks may follow as a layer of its own.
    """

    keep: tuple[str, ...] = ()
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    activation: bool = False


_IGNORED = ("name", "trainable", "dtype", "seed", "synchronized", "renorm_clipping", "renorm_momentum", "quantization_config")
_LAST: dict[str, tuple[Any, ...]] = {"data_format": ("channels_last", None)}
_QUIET: dict[str, tuple[Any, ...]] = {"activity_regularizer": (None,)}
_KERNEL = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_BIAS = ("use_bias", "bias_initializer", "bias_regularizer", "bias_constraint")
_WINDOW = ("kernel_size", "strides", "padding", "dilation_rate")
_DEPTHWISE = ("depth_multiplier", "depthwise_initializer", "depthwise_regularizer", "depthwise_constraint")
_POINTWISE = ("pointwise_initializer", "pointwise_regularizer", "pointwise_constraint")
_RECURRENT = (
    *("units", "return_sequences", "return_state", "go_backwards", "stateful", "unroll", "dropout", "recurrent_dropout"),
    *("recurrent_initializer", "recurrent_regularizer", "recurrent_constraint", *_KERNEL, *_BIAS),
)
_PADDING = {"padding": ("valid", "same")}


def _convolution(dimensions: int) -> CommonLayer:
    only = {"groups": (1,), **_PADDING, **_LAST, **_QUIET}
    if dimensions == 3:
        only["dilation_rate"] = (1, [1], [1, 1, 1])
    return CommonLayer(("filters", *_WINDOW, *_KERNEL, *_BIAS), only, activation=True)


def _transposed(dimensions: int) -> CommonLayer:
    only = {**_PADDING, **_LAST, **_QUIET, "output_padding": (None,), "dilation_rate": (1, [1] * dimensions)}
    return CommonLayer(("filters", *_WINDOW, *_KERNEL, *_BIAS), only, activation=True)


_POOLING = CommonLayer(("pool_size", "strides", "padding"), {**_LAST, **_PADDING})
_GLOBAL_POOLING = CommonLayer((), {**_LAST, "keepdims": (False,)})
_RNN_ONLY: dict[str, tuple[Any, ...]] = {**_QUIET, "zero_output_for_mask": (False, True)}

COMMON: dict[str, CommonLayer] = {
    "Activation": CommonLayer((), activation=True),
    "Add": CommonLayer(),
    "AlphaDropout": CommonLayer(("rate",), {"noise_shape": (None,)}),
    "Average": CommonLayer(),
    "AveragePooling1D": _POOLING,
    "AveragePooling2D": _POOLING,
    "AveragePooling3D": _POOLING,
    "BatchNormalization": CommonLayer(
        (
            *("axis", "momentum", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer"),
            *("moving_mean_initializer", "moving_variance_initializer", "beta_regularizer", "gamma_regularizer"),
            *("beta_constraint", "gamma_constraint"),
        ),
        {"renorm": (False,)},
    ),
    "Concatenate": CommonLayer(("axis",)),
    "Conv1D": _convolution(1),
    "Conv2D": _convolution(2),
    "Conv2DTranspose": _transposed(2),
    "Conv3D": _convolution(3),
    "Conv3DTranspose": _transposed(3),
    "ConvLSTM2D": CommonLayer(
        ("filters", *_WINDOW, *_RECURRENT, "unit_forget_bias", "data_format"), {**_RNN_ONLY, **_LAST, "unroll": (False,)}
    ),
    "Cropping2D": CommonLayer(("cropping",), _LAST),
    "Dense": CommonLayer(("units", *_KERNEL, *_BIAS), {"lora_rank": (None,), **_QUIET}, activation=True),
    "DepthwiseConv2D": CommonLayer(
        ("kernel_size", "strides", "padding", *_DEPTHWISE, *_BIAS),
        {**_LAST, **_QUIET, **_PADDING, "dilation_rate": (1, [1], [1, 1])},
        weights={"kernel": "depthwise_kernel"},
        activation=True,
    ),
    "Dot": CommonLayer(("axes", "normalize")),
    "Dropout": CommonLayer(("rate",), {"noise_shape": (None,)}),
    "ELU": CommonLayer((), {"alpha": (1.0, None)}),
    "Embedding": CommonLayer(
        ("input_dim", "output_dim", "embeddings_initializer", "embeddings_regularizer", "embeddings_constraint", "mask_zero"),
        {"lora_rank": (None,), **_QUIET},
    ),
    "Flatten": CommonLayer((), _LAST),
    "GRU": CommonLayer((*_RECURRENT,), {**_RNN_ONLY, "reset_after": (False,)}),
    "GRUCell": CommonLayer((*_RECURRENT,), {"reset_after": (False,)}),
    "GaussianDropout": CommonLayer(("rate",)),
    "GaussianNoise": CommonLayer(("stddev",)),
    "GlobalAveragePooling1D": _GLOBAL_POOLING,
    "GlobalAveragePooling2D": _GLOBAL_POOLING,
    "GlobalMaxPooling1D": _GLOBAL_POOLING,
    "GlobalMaxPooling2D": _GLOBAL_POOLING,
    "LSTM": CommonLayer((*_RECURRENT, "unit_forget_bias"), _RNN_ONLY),
    "LSTMCell": CommonLayer((*_RECURRENT, "unit_forget_bias")),
    "LayerNormalization": CommonLayer(
        (
            *("axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer"),
            *("beta_regularizer", "gamma_regularizer"),
        ),
        {"rms_scaling": (False,), "beta_constraint": (None,), "gamma_constraint": (None,)},
    ),
    "LeakyReLU": CommonLayer((), rename={"negative_slope": "alpha"}),
    "Masking": CommonLayer(("mask_value",)),
    "MaxPooling1D": _POOLING,
    "MaxPooling2D": _POOLING,
    "MaxPooling3D": _POOLING,
    "Maximum": CommonLayer(),
    "Minimum": CommonLayer(),
    "Multiply": CommonLayer(),
    "PReLU": CommonLayer(("alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes")),
    "Permute": CommonLayer(("dims",)),
    "ReLU": CommonLayer(("max_value",), {"negative_slope": (0.0, None), "threshold": (0.0, None)}),
    "RepeatVector": CommonLayer(("n",)),
    "Rescaling": CommonLayer(("scale", "offset")),
    "Reshape": CommonLayer(("target_shape",)),
    "SeparableConv2D": CommonLayer(
        ("filters", "kernel_size", "strides", "padding", *_DEPTHWISE, *_POINTWISE, *_BIAS),
        {**_LAST, **_QUIET, **_PADDING, "dilation_rate": (1, [1], [1, 1])},
        activation=True,
    ),
    "SimpleRNN": CommonLayer((*_RECURRENT,), _RNN_ONLY),
    "SimpleRNNCell": CommonLayer((*_RECURRENT,)),
    "Softmax": CommonLayer(("axis",)),
    "SpatialDropout1D": CommonLayer(("rate",)),
    "UpSampling2D": CommonLayer(("size", "interpolation"), {**_LAST, "interpolation": ("nearest",)}),
    "ZeroPadding2D": CommonLayer(("padding",), _LAST),
}
"""Every class of TF.js 4.22 whose meaning is that of Keras 3, with the options for which it is."""

_MERGING = ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply")


def common_config(class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a class of TF.js from the Keras config of the same class, without its activations.

    Raises:
        Refused: An option means something else in TF.js, or is missing there.
    """
    spec = COMMON[class_name]
    result: dict[str, Any] = {}
    for key, value in config.items():
        if key in spec.only and value not in spec.only[key]:
            raise Refused(f"has {key}={_short(value)}, which {class_name} of TF.js computes otherwise or not at all")
        if key in spec.keep or (key in spec.only and key == "data_format"):
            result[key] = value
        elif key in spec.rename:
            result[spec.rename[key]] = value
        elif key in ("activation", "recurrent_activation"):
            result[key] = _activation(value, key, required=not spec.activation)
        elif key not in spec.only and key not in _IGNORED and value is not None:
            raise Refused(f"has the option {key}={_short(value)}, which {class_name} of TF.js does not know")
    return tfjs_values(result)


def emit_common(call: Call, config: Mapping[str, Any] | None = None) -> Any:
    """Write a layer as the TF.js class of the same name, with its activation behind it where TF.js lacks that.

    Args:
        call: The call of the layer.
        config: Its Keras config, where some of its values are to be others.

    Raises:
        Refused: TF.js has no such class, or an option means something else there.
    """
    class_name = call.class_name
    if class_name not in COMMON:
        raise Refused("is a class that TF.js does not have")
    _check_call(call)
    config = call.config if config is None else config
    adapted = _adapted(call, call.inputs)
    if adapted is not None:
        return adapted
    _check_constraints(call, config)
    written = common_config(class_name, {key: None if key.endswith("_constraint") else config[key] for key in config})
    later = ""
    if COMMON[class_name].activation:
        later = activation_name(config.get("activation"))
        stock = tfjs_activation(later)
        if class_name == "Activation" and stock is None:
            return activate(call, config.get("activation"), call.inputs[0], part="")
        written["activation"] = stock or "linear"
        later = "" if stock else later
    weights = common_weights(call, call.layer)
    shapes, dtypes = [shape for shape, _ in call.outputs], [dtype for _, dtype in call.outputs]
    symbols = call.emit_many(class_name, written, call.inputs, shapes=shapes, weights=weights, dtypes=dtypes)
    return activate(call, config.get("activation"), symbols[0]) if later else symbols


def common_weights(call: Call, layer: Any) -> dict[str, Weight]:
    """The weights of a layer under the names that TF.js has for them."""
    names = COMMON[type(layer).__name__].weights if type(layer).__name__ in COMMON else {}
    return {names.get(variable.name, variable.name): call.weight(variable) for variable in layer.weights}


def _check_call(call: Call) -> None:
    layer = call.layer
    if any(isinstance(value, Symbol) for key, value in call.kwargs.items() if key == "mask"):
        raise Refused("is given a mask as a tensor, which TF.js does not take")
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise Refused("is quantized or has LoRA weights", "Merge them into plain weights before converting.")
    if len(call.inputs) > 1 and call.class_name == "Softmax":
        raise Refused("is given a mask as a tensor, which TF.js does not take")
    if call.config.get("dtype") not in (None, "float32"):
        raise Refused(f"computes in {call.config['dtype']}, TF.js computes in float32")


def _adapted(call: Call, inputs: list[Symbol]) -> Any:
    """The layers whose class TF.js has, but which it refuses for some shapes."""
    name, shape = call.class_name, inputs[0].shape
    if name in _MERGING and len(inputs) == 1:
        return call.emit("Activation", {"activation": "linear"}, inputs)
    if name == "Flatten" and (len(shape) < 3 or None in shape[1:]):
        size = call.output_shape[1]
        return call.emit("Reshape", {"target_shape": [-1 if size is None else size]}, inputs)
    if name == "Softmax" and call.config["axis"] not in (-1, len(shape) - 1):
        raise Refused(f"has axis={_short(call.config['axis'])}; TF.js has softmax over the last axis alone")
    if name == "Rescaling" and not all(isinstance(call.config[key], (int, float)) for key in ("scale", "offset")):
        raise Refused("has a scale or offset for each channel, which TF.js does not take")
    return None


def _activation(value: Any, key: str, *, required: bool) -> str:
    name = activation_name(value)
    stock = tfjs_activation(name)
    if stock is None and required:
        raise Refused(f"has {key}={name!r}, which TF.js does not have or computes otherwise")
    return stock or "linear"


def _check_constraints(call: Call, config: Mapping[str, Any]) -> None:
    """TF.js applies constraints when weights are loaded, and never while it trains."""
    for key, value in config.items():
        if key.endswith("_constraint") and value is not None and call.trainable:
            raise Refused(
                f"has a {key}, which TF.js applies when it loads weights, but not in training",
                "Set the constraint to None, or freeze the layer (trainable=False), before converting.",
            )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
