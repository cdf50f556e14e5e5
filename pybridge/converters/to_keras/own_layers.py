"""Layers of pybridge's own TF.js classes: ``Pybridge<KerasClass>`` carries the config of that Keras class."""

from __future__ import annotations

from typing import Any

import keras

from pybridge.converters.to_keras import custom_objects
from pybridge.errors import ModelFormatError
from pybridge.tfjs.topology.names import snake

OWN = "Pybridge"

_UNSAFE = ("Lambda", "JaxLayer", "FlaxLayer", "TFSMLayer", "TorchModuleWrapper", "StringLookup", "TextVectorization")
_CONFIG_DEPTH = 40
_CALL = "pybridge_call"
_NOT_OF_KERAS = (_CALL, "pybridgeCall", "query_shape", "value_shape", "key_shape")
_MANY_HEADS = ("PybridgeGroupQueryAttention", "PybridgeMultiHeadAttention")
_CALLED_WITH = ("return_attention_scores", "reverse", "use_causal_mask")


def make_own_layer(class_name: str, config: dict[str, Any], name: str, written: str) -> Any:
    """Make the Keras layer of one of our classes.

    Raises:
        ModelFormatError: If Keras has no such layer, or its config would run code or read files.
    """
    keras_name = class_name.removeprefix(OWN)
    found = _registered(keras_name) or getattr(keras.layers, keras_name, None)
    plain = isinstance(found, type) and issubclass(found, keras.layers.Layer) and not issubclass(found, keras.Model)
    if not plain or keras_name in _UNSAFE:
        raise ModelFormatError(
            f"the layer {written!r} is of class {class_name[:80]!r}, which cannot be rebuilt in Keras",
            hint="The model was written by a newer version of pybridge, or is damaged.",
        )
    _check_safe(config, written)
    assert isinstance(found, type)
    plain_config = {key: value for key, value in config.items() if key not in _NOT_OF_KERAS}
    trainable = plain_config.pop("trainable", True)
    layer = found.from_config({**plain_config, "name": name})  # type: ignore[attr-defined]
    layer.trainable = bool(trainable)
    return layer


def call_own_layer(layer: Any, class_name: str, config: dict[str, Any], inputs: list[Any]) -> Any:
    """Call a layer of ours as the Keras layer was called."""
    call = config.get(_CALL, config.get("pybridgeCall"))
    given = {snake(key): value for key, value in call.items()} if isinstance(call, dict) else {}
    arguments = {key: True for key in _CALLED_WITH if given.get(key)}
    if class_name in _MANY_HEADS:
        names = given.get("inputs", ["query", "value", "key"])
        tensors = dict(zip(names, inputs, strict=False))
        tensors.setdefault("value", tensors["query"])
        return layer(**tensors, **arguments)
    return layer(inputs if len(inputs) > 1 else inputs[0], **arguments)


def _registered(keras_name: str) -> Any:
    """The Keras twins of classes that Keras itself does not have."""
    return getattr(custom_objects, keras_name, None) or getattr(custom_objects, f"{OWN}{keras_name}", None)


def _check_safe(value: object, written: str, depth: int = 0) -> None:
    unsafe = ModelFormatError(
        f"the config of {written!r} names code or files outside of Keras", hint="Do not trust where this model came from."
    )
    if depth > _CONFIG_DEPTH:
        raise unsafe
    if isinstance(value, dict):
        module = value.get("module")
        if module is not None and (not isinstance(module, str) or module.split(".")[0] not in ("keras", "builtins")):
            raise unsafe
        if (module == "builtins" and value.get("class_name") not in ("dict", "list", "tuple", "function")) or any(
            str(value.get(key)) in ("__lambda__", "Lambda") for key in ("class_name", "config")
        ):
            raise unsafe
        if isinstance(value.get("vocabulary"), str):
            raise unsafe
        for item in value.values():
            _check_safe(item, written, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_safe(item, written, depth + 1)
