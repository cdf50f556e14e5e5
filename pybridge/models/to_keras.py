"""Rebuild a TF.js layers model in Keras 3, so that it computes what TF.js computes.

Config keys differ between the two, and some options exist in both but mean different things; what TF.js would silently
ignore is refused here, because the two sides would then disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pybridge.errors import ModelFormatError
from pybridge.models.graph import Layer, parse_flat, weights_by_layer
from pybridge.models.layers_model import LayersModel
from pybridge.models.topology import flatten

if TYPE_CHECKING:
    import keras

_CONVOLUTION = ("kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation", "use_bias")
_POOLING = ("pool_size", "strides", "padding", "data_format")

# What each layer class takes over from the config of TF.js. Initializers, regularizers and constraints are left out:
# weights are set, and a base is not trained by Keras's own fit.
_KEYS: dict[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "Add": (),
    "Average": (),
    "AveragePooling2D": _POOLING,
    "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
    "Concatenate": ("axis",),
    "Conv2D": ("filters", *_CONVOLUTION),
    "Conv2DTranspose": ("filters", *_CONVOLUTION),
    "Cropping2D": ("cropping", "data_format"),
    "Dense": ("units", "activation", "use_bias"),
    "DepthwiseConv2D": ("depth_multiplier", *_CONVOLUTION),
    "Dropout": ("rate",),
    "ELU": ("alpha",),
    "Flatten": ("data_format",),
    "GlobalAveragePooling2D": ("data_format",),
    "GlobalMaxPooling2D": ("data_format",),
    "LayerNormalization": ("axis", "epsilon", "center", "scale"),
    "LeakyReLU": ("alpha",),
    "MaxPooling2D": _POOLING,
    "Maximum": (),
    "Minimum": (),
    "Multiply": (),
    "PReLU": ("shared_axes",),
    "Permute": ("dims",),
    "ReLU": ("max_value",),
    "Rescaling": ("scale", "offset"),
    "Reshape": ("target_shape",),
    "SeparableConv2D": ("filters", "depth_multiplier", *_CONVOLUTION),
    "Softmax": ("axis",),
    "SpatialDropout2D": ("rate", "data_format"),
    "UpSampling2D": ("size", "data_format", "interpolation"),
    "ZeroPadding2D": ("padding", "data_format"),
}

# (class, key, the only values for which TF.js and Keras agree)
_REFUSED: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    ("ReLU", "negative_slope", (None, 0)),
    ("ReLU", "threshold", (None, 0)),
    ("ELU", "alpha", (None, 1)),
    ("Conv2D", "groups", (None, 1)),
    ("Conv2DTranspose", "groups", (None, 1)),
    ("DepthwiseConv2D", "dilation_rate", (None, 1, [1, 1])),
    ("SeparableConv2D", "dilation_rate", (None, 1, [1, 1])),
    ("GlobalAveragePooling2D", "keepdims", (None, False)),
    ("GlobalMaxPooling2D", "keepdims", (None, False)),
    ("UpSampling2D", "interpolation", (None, "nearest")),
)
_RENAMED_KEYS = {"LeakyReLU": {"alpha": "negative_slope"}}
_ACTIVATIONS = {
    name: name
    for name in (
        "elu",
        "gelu",
        "linear",
        "log_softmax",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "softmax",
        "softplus",
        "softsign",
        "tanh",
    )
} | {"swish": "silu", "silu": "silu"}


def to_keras(model: LayersModel) -> keras.Model:
    """Build the Keras model with the same layers and, bit for bit, the same weights.

    Args:
        model: A model of layers that work on images; nested ones are flattened.

    Returns:
        A functional Keras model with the same layer names, one input and one output.

    Raises:
        ModelFormatError: For a layer class without a counterpart here, an option on which TF.js and Keras differ, or
            weights that do not fit; the message names the layer.

    Example:
        >>> to_keras(LayersModel.read(Path("mobilenet"))).output_shape
        (None, 1000)
    """
    import keras

    flat = flatten(model)
    graph = parse_flat(flat.topology)
    owned = weights_by_layer(flat.weights, graph.names)
    first = graph.layers[0].config
    entrance = keras.Input(tuple(first["batch_input_shape"][1:]), dtype=first["dtype"], name=graph.layers[0].name)
    tensors: dict[str, Any] = {graph.layers[0].name: entrance}
    for layer in graph.layers[1:]:
        weights = {name.rpartition("/")[2]: flat.weights[name] for name in owned.get(layer.name, [])}
        inputs = [tensors[source] for source in layer.inputs]
        try:
            built = _keras_class(layer)(name=layer.name, **_config(layer, weights))
            tensors[layer.name] = built(inputs if len(inputs) > 1 else inputs[0])
            _set_weights(built, layer, weights)
        except ModelFormatError:
            raise
        # Keras reports wrong options and shapes by errors of many types.
        except Exception as error:
            raise ModelFormatError(
                f"the layer {layer.name!r} ({layer.class_name}) cannot be rebuilt in Keras: {error}",
                hint="The model is damaged, or uses an option that only TF.js knows.",
            ) from error
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", graph.name)
    return keras.Model(entrance, tensors[graph.layers[-1].name], name=name)


def _keras_class(layer: Layer) -> Callable[..., Any]:
    import keras

    if layer.class_name not in _KEYS:
        raise ModelFormatError(
            f"the layer {layer.name!r} is of class {layer.class_name!r}, which cannot be rebuilt in Keras",
            hint=f"Known classes: {', '.join(sorted(_KEYS))}.",
        )
    found: Callable[..., Any] = getattr(keras.layers, layer.class_name)
    return found


def _config(layer: Layer, weights: dict[str, Any]) -> dict[str, Any]:
    given = {_snake(key): value for key, value in layer.config.items()}
    for class_name, key, accepted in _REFUSED:
        if layer.class_name == class_name and given.get(key) not in accepted:
            raise ModelFormatError(
                f"the layer {layer.name!r} ({class_name}) has {key}={given[key]!r}, which TF.js ignores or gets wrong",
                hint="Rebuild this layer from others and export the model again.",
            )
    config = {key: given[key] for key in _KEYS[layer.class_name] if given.get(key) is not None}
    for old, new in _RENAMED_KEYS.get(layer.class_name, {}).items():
        if old in config or new in given:
            config[new] = given.get(new, config.pop(old, None))
    if "activation" in config:
        config["activation"] = _activation(config["activation"], layer.name)
    if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        config["axis"] = config["axis"][0]
    if layer.class_name == "Reshape":
        # TF.js writes the size that is to be inferred as null.
        config["target_shape"] = [-1 if size is None else size for size in config.get("target_shape", [])]
    if layer.class_name == "SeparableConv2D" and "depthwise_kernel" in weights:
        # TF.js loses depthMultiplier when it saves.
        config["depth_multiplier"] = weights["depthwise_kernel"].shape[-1]
    if isinstance(given.get("trainable"), bool):
        config["trainable"] = given["trainable"]
    return config


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()


def _activation(name: object, layer: str) -> str | Callable[[Any], Any]:
    written = _snake(name) if isinstance(name, str) else ""
    if written == "hard_sigmoid":
        return _hard_sigmoid
    if written not in _ACTIVATIONS:
        raise ModelFormatError(
            f"the layer {layer!r} has the activation {str(name)[:80]!r}, which cannot be rebuilt in Keras",
            hint=f"Known activations: {', '.join(sorted({*_ACTIVATIONS, 'hard_sigmoid'}))}.",
        )
    return _ACTIVATIONS[written]


def _hard_sigmoid(values: Any) -> Any:
    """The slope of TF.js and Keras 2, 1/5; that of Keras 3 is 1/6."""
    import keras

    return keras.ops.clip(values * 0.2 + 0.5, 0.0, 1.0)


def _set_weights(built: Any, layer: Layer, weights: dict[str, Any]) -> None:
    for variable in built.variables:
        if "seed_generator" in variable.path:
            continue
        name = variable.name
        if layer.class_name == "DepthwiseConv2D" and name == "kernel":
            name = "depthwise_kernel"
        value = weights.get(name)
        if value is None or tuple(value.shape) != tuple(variable.shape):
            found = "missing" if value is None else f"of shape {list(value.shape)}"
            raise ModelFormatError(
                f"the weight {layer.name}/{name} is {found}; the layer needs {list(variable.shape)}",
                hint="The model is damaged or incomplete: export or download it again.",
            )
        variable.assign(value)
