"""The classes that Keras 3 and TF.js share: which options mean the same in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pybridge.converters.keras.configs import stock_values
from pybridge.converters.keras.emitter import Symbol
from pybridge.converters.keras.expressions import Weight
from pybridge.converters.refusals import Refused

if TYPE_CHECKING:
    from pybridge.converters.keras.call import Call


@dataclass(frozen=True)
class Stock:
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


def _convolution(dimensions: int) -> Stock:
    only = {"groups": (1,), **_PADDING, **_LAST, **_QUIET}
    if dimensions == 3:
        only["dilation_rate"] = (1, [1], [1, 1, 1])
    return Stock(("filters", *_WINDOW, *_KERNEL, *_BIAS), only, activation=True)


def _transposed(dimensions: int) -> Stock:
    only = {**_PADDING, **_LAST, **_QUIET, "output_padding": (None,), "dilation_rate": (1, [1] * dimensions)}
    return Stock(("filters", *_WINDOW, *_KERNEL, *_BIAS), only, activation=True)


_POOLING = Stock(("pool_size", "strides", "padding"), {**_LAST, **_PADDING})
_GLOBAL_POOLING = Stock((), {**_LAST, "keepdims": (False,)})
_RNN_ONLY: dict[str, tuple[Any, ...]] = {**_QUIET, "zero_output_for_mask": (False, True)}

STOCK: dict[str, Stock] = {
    "Activation": Stock((), activation=True),
    "Add": Stock(),
    "AlphaDropout": Stock(("rate",), {"noise_shape": (None,)}),
    "Average": Stock(),
    "AveragePooling1D": _POOLING,
    "AveragePooling2D": _POOLING,
    "AveragePooling3D": _POOLING,
    "BatchNormalization": Stock(
        (
            *("axis", "momentum", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer"),
            *("moving_mean_initializer", "moving_variance_initializer", "beta_regularizer", "gamma_regularizer"),
            *("beta_constraint", "gamma_constraint"),
        ),
        {"renorm": (False,)},
    ),
    "Concatenate": Stock(("axis",)),
    "Conv1D": _convolution(1),
    "Conv2D": _convolution(2),
    "Conv2DTranspose": _transposed(2),
    "Conv3D": _convolution(3),
    "Conv3DTranspose": _transposed(3),
    "ConvLSTM2D": Stock(
        ("filters", *_WINDOW, *_RECURRENT, "unit_forget_bias", "data_format"), {**_RNN_ONLY, **_LAST, "unroll": (False,)}
    ),
    "Cropping2D": Stock(("cropping",), _LAST),
    "Dense": Stock(("units", *_KERNEL, *_BIAS), {"lora_rank": (None,), **_QUIET}, activation=True),
    "DepthwiseConv2D": Stock(
        ("kernel_size", "strides", "padding", *_DEPTHWISE, *_BIAS),
        {**_LAST, **_QUIET, **_PADDING, "dilation_rate": (1, [1], [1, 1])},
        weights={"kernel": "depthwise_kernel"},
        activation=True,
    ),
    "Dot": Stock(("axes", "normalize")),
    "Dropout": Stock(("rate",), {"noise_shape": (None,)}),
    "ELU": Stock((), {"alpha": (1.0, None)}),
    "Embedding": Stock(
        ("input_dim", "output_dim", "embeddings_initializer", "embeddings_regularizer", "embeddings_constraint", "mask_zero"),
        {"lora_rank": (None,), **_QUIET},
    ),
    "Flatten": Stock((), _LAST),
    "GRU": Stock((*_RECURRENT,), {**_RNN_ONLY, "reset_after": (False,)}),
    "GRUCell": Stock((*_RECURRENT,), {"reset_after": (False,)}),
    "GaussianDropout": Stock(("rate",)),
    "GaussianNoise": Stock(("stddev",)),
    "GlobalAveragePooling1D": _GLOBAL_POOLING,
    "GlobalAveragePooling2D": _GLOBAL_POOLING,
    "GlobalMaxPooling1D": _GLOBAL_POOLING,
    "GlobalMaxPooling2D": _GLOBAL_POOLING,
    "LSTM": Stock((*_RECURRENT, "unit_forget_bias"), _RNN_ONLY),
    "LSTMCell": Stock((*_RECURRENT, "unit_forget_bias")),
    "LayerNormalization": Stock(
        (
            *("axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer"),
            *("beta_regularizer", "gamma_regularizer"),
        ),
        {"rms_scaling": (False,), "beta_constraint": (None,), "gamma_constraint": (None,)},
    ),
    "LeakyReLU": Stock((), rename={"negative_slope": "alpha"}),
    "Masking": Stock(("mask_value",)),
    "MaxPooling1D": _POOLING,
    "MaxPooling2D": _POOLING,
    "MaxPooling3D": _POOLING,
    "Maximum": Stock(),
    "Minimum": Stock(),
    "Multiply": Stock(),
    "PReLU": Stock(("alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes")),
    "Permute": Stock(("dims",)),
    "ReLU": Stock(("max_value",), {"negative_slope": (0.0, None), "threshold": (0.0, None)}),
    "RepeatVector": Stock(("n",)),
    "Rescaling": Stock(("scale", "offset")),
    "Reshape": Stock(("target_shape",)),
    "SeparableConv2D": Stock(
        ("filters", "kernel_size", "strides", "padding", *_DEPTHWISE, *_POINTWISE, *_BIAS),
        {**_LAST, **_QUIET, **_PADDING, "dilation_rate": (1, [1], [1, 1])},
        activation=True,
    ),
    "SimpleRNN": Stock((*_RECURRENT,), _RNN_ONLY),
    "SimpleRNNCell": Stock((*_RECURRENT,)),
    "Softmax": Stock(("axis",)),
    "SpatialDropout1D": Stock(("rate",)),
    "UpSampling2D": Stock(("size", "interpolation"), {**_LAST, "interpolation": ("nearest",)}),
    "ZeroPadding2D": Stock(("padding",), _LAST),
}
"""Every class of TF.js 4.22 whose meaning is that of Keras 3, with the options for which it is."""

_MERGING = ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply")
_ACTIVATIONS = {
    **{name: name for name in ("elu", "gelu", "log_softmax", "mish", "relu", "relu6", "selu")},
    **{name: name for name in ("sigmoid", "softmax", "softplus", "softsign", "tanh", "linear")},
    "silu": "swish",
    # What to_keras makes of these activations of TF.js.
    "<pybridge>hard_sigmoid_tfjs>": "hard_sigmoid",
    "<pybridge>gelu_new>": "gelu_new",
}


def activation_name(activation: Any) -> str:
    """The Keras name of an activation; of a function of the user's own its name in angle brackets."""
    if activation is None:
        return "linear"
    if isinstance(activation, str):
        return {"swish": "silu"}.get(activation, activation)
    found = activation.get("config") if isinstance(activation, Mapping) else None
    if isinstance(activation, Mapping) and isinstance(found, Mapping):
        found = activation.get("class_name")
    return f"<{found or type(activation).__name__}>"


def stock_activation(name: str) -> str | None:
    """The TF.js name of the activation that computes the same as the Keras one of this name, or None."""
    return _ACTIVATIONS.get(name)


def stock_config(class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a class of TF.js from the Keras config of the same class, without its activations.

    Raises:
        Refused: An option means something else in TF.js, or is missing there.
    """
    spec = STOCK[class_name]
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
    return stock_values(result)


def emit_stock(
    call: Call, config: Mapping[str, Any], inputs: Sequence[Symbol] | None, part: str, weights: Mapping[str, Weight] | None
) -> Any:
    """Write a layer as the TF.js class of the same name, with its activation behind it where TF.js lacks that.

    Raises:
        Refused: TF.js has no such class, or an option means something else there.
    """
    class_name = call.class_name
    if class_name not in STOCK:
        raise Refused("is a class that TF.js does not have")
    _check_call(call)
    taken = list(inputs) if inputs is not None else call.inputs
    adapted = _adapted(call, taken)
    if adapted is not None:
        return adapted
    _check_constraints(call, config)
    written = stock_config(class_name, {key: None if key.endswith("_constraint") else config[key] for key in config})
    later = ""
    if STOCK[class_name].activation:
        later = activation_name(config.get("activation"))
        stock = stock_activation(later)
        if class_name == "Activation" and stock is None:
            return call.activation(config.get("activation"), taken[0], part=part)
        written["activation"] = stock or "linear"
        later = "" if stock else later
    owned = dict(weights) if weights is not None else stock_weights(call, call.layer)
    shapes, dtypes = [shape for shape, _ in call.outputs], [dtype for _, dtype in call.outputs]
    symbols = call.emit_many(class_name, written, taken, shapes=shapes, part=part, weights=owned, dtypes=dtypes)
    return call.activation(config.get("activation"), symbols[0]) if later else symbols


def stock_weights(call: Call, layer: Any) -> dict[str, Weight]:
    """The weights of a layer under the names that TF.js has for them."""
    names = STOCK[type(layer).__name__].weights if type(layer).__name__ in STOCK else {}
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
    stock = stock_activation(name)
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
