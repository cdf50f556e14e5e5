"""Makes one Keras layer from its description in TF.js."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
from numpy.typing import NDArray

from pybridge.converters.to_keras import keras_objects
from pybridge.converters.to_keras.layer_options import BROKEN, OPTIONS, REFUSED, RENAMED_CLASSES, RENAMED_OPTIONS, default
from pybridge.converters.to_keras.own_layers import OWN, make_own_layer
from pybridge.errors import ModelFormatError
from pybridge.tfjs.topology import CONTAINERS
from pybridge.tfjs.topology.names import snake

RECURRENT = ("Bidirectional", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN")
_CELLS = ("GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells")
_WRAPPERS = ("Bidirectional", "TimeDistributed")
_CELL_LIMIT = 64


@dataclass(frozen=True)
class Context:
    """What belongs to a layer beside its config.

    Attributes:
        written: Its name in the file, for errors.
        weights: Its weights by their names within it.
        inner: Builds the next of the models in its config.
    """

    written: str
    weights: Mapping[str, NDArray[Any]]
    inner: Callable[[], Any]


def make_layer(class_name: str, config: dict[str, Any], name: str, context: Context) -> Any:
    """Make a layer, not yet built.

    Args:
        class_name: As TF.js names it.
        config: Its options as the file has them; keys in snake_case or camelCase.
        name: What the Keras layer is to be called.
        context: What belongs to it.

    Raises:
        ModelFormatError: If the class or an option has no counterpart with the same outputs.
    """
    written = context.written
    if class_name == f"{OWN}SpectralNormalization":
        layer = _wrapped(config.get("layer"), context)
        iterations = config.get("power_iterations", config.get("powerIterations", 1))
        return keras.layers.SpectralNormalization(layer, power_iterations=iterations, name=name)
    if class_name.startswith(OWN):
        return make_own_layer(class_name, config, name, written)
    given = {snake(key): value for key, value in config.items()}
    _refuse(class_name, given, written)
    values = _values(class_name, given, written)
    values["name"] = name
    # TF.js computes in float32 whatever the file says.
    values["dtype"] = "float32"
    if class_name in _WRAPPERS:
        values["layer"] = _wrapped(given.get("layer"), context)
    elif class_name == "RNN":
        values["cell"] = _cell(given.get("cell"), context)
    elif class_name == "StackedRNNCells":
        values["cells"] = _cells(given.get("cells"), context)
    _adapt(class_name, given, values, context)
    made = getattr(keras.layers, RENAMED_CLASSES.get(class_name, class_name))(**values)
    if class_name == "Bidirectional":
        for part in (made.forward_layer, made.backward_layer):
            # Keras sets it for sequences; it is not what TF.js does, and without masks it changes nothing.
            part.zero_output_for_mask = False
    if given.get("trainable") is False:
        made.trainable = False
    return made


def _refuse(class_name: str, given: dict[str, Any], written: str) -> None:
    if class_name in BROKEN:
        raise ModelFormatError(
            f"the layer {written!r} ({class_name}) {BROKEN[class_name]}",
            hint="Rebuild the model without this layer; do its work before the model.",
        )
    if class_name not in OPTIONS:
        raise ModelFormatError(
            f"the layer {written!r} is of class {class_name[:80]!r}, which cannot be rebuilt in Keras",
            hint=f"Known classes: {', '.join(sorted(OPTIONS))}.",
        )
    for refused, key, accepted in REFUSED:
        if class_name == refused and given.get(key) not in accepted:
            raise ModelFormatError(
                f"the layer {written!r} ({class_name}) has {key}={str(given[key])[:80]}, which TF.js ignores or gets wrong",
                hint="Rebuild this layer from others and export the model again.",
            )


def _values(class_name: str, given: dict[str, Any], written: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key in OPTIONS[class_name]:
        value = given.get(key)
        if value is None and (key not in given or (class_name, key) != ("Bidirectional", "merge_mode")):
            value = default(class_name, key)
        if key.endswith("activation"):
            value = keras_objects.activation(value, written)
        elif key.endswith("_initializer"):
            value = keras_objects.initializer(value, written)
        elif key.endswith("_regularizer"):
            value = keras_objects.regularizer(value, written)
        elif key.endswith("_constraint"):
            value = keras_objects.constraint(value, written)
        elif value is None and key != "merge_mode":
            continue
        values[RENAMED_OPTIONS.get((class_name, key), key)] = snake(value) if key in _WORDS and isinstance(value, str) else value
    return values


_WORDS = ("data_format", "interpolation", "padding")


def _adapt(class_name: str, given: dict[str, Any], values: dict[str, Any], context: Context) -> None:
    """What is more than a renamed key."""
    axis = values.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        values["axis"] = axis[0]
    if isinstance(values.get("seed"), float):
        values["seed"] = int(values["seed"])
    for key in ("rate", "dropout", "recurrent_dropout"):
        if isinstance(values.get(key), (int, float)):
            values[key] = float(min(max(values[key], 0), 1))
    if class_name == "Reshape":
        # TF.js writes the size that is to be inferred as null.
        values["target_shape"] = [-1 if size is None else size for size in given.get("target_shape") or []]
    if class_name == "SeparableConv2D":
        # TF.js loses depthMultiplier when it saves.
        for name, value in context.weights.items():
            if name.rpartition("/")[2] == "depthwise_kernel" and value.ndim == 4:
                values["depth_multiplier"] = value.shape[-1]
    if class_name == "SeparableConv2D" and values["data_format"] == "channels_first" and values.get("use_bias") is not False:
        raise ModelFormatError(
            f"the layer {context.written!r} (SeparableConv2D) has channels first, whose bias TF.js adds to the wrong axis",
            hint="Export the model with channels last.",
        )


def _wrapped(description: object, context: Context) -> Any:
    class_name, config = _described(description, context.written)
    if class_name in CONTAINERS:
        return context.inner()
    name = config.get("name")
    legal = name if isinstance(name, str) and name.isidentifier() else snake(class_name)
    return make_layer(class_name, config, legal, context)


def _cell(description: object, context: Context) -> Any:
    if isinstance(description, list):
        description = {"class_name": "StackedRNNCells", "config": {"cells": description}}
    class_name, config = _described(description, context.written)
    if class_name not in _CELLS:
        raise ModelFormatError(
            f"the layer {context.written!r} has a cell of class {class_name[:80]!r}", hint=f"Known cells: {', '.join(_CELLS)}."
        )
    name = config.get("name")
    legal = name if isinstance(name, str) and name.isidentifier() else snake(class_name)
    return make_layer(class_name, config, legal, context)


def _cells(descriptions: object, context: Context) -> list[Any]:
    if not isinstance(descriptions, list) or not 0 < len(descriptions) <= _CELL_LIMIT:
        raise ModelFormatError(f"the layer {context.written!r} has no valid list of cells", hint="The model is damaged.")
    return [_cell(description, context) for description in descriptions]


def _described(description: object, written: str) -> tuple[str, dict[str, Any]]:
    if isinstance(description, dict):
        class_name = description.get("class_name", description.get("className"))
        config = description.get("config")
        if isinstance(class_name, str) and isinstance(config, dict):
            return class_name, config
        if isinstance(class_name, str) and class_name in CONTAINERS:
            return class_name, {}
    raise ModelFormatError(f"the layer {written!r} does not say what is inside it", hint="The model is damaged.")
