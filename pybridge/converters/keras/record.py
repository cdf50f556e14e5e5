"""What a TF.js model remembers of the Keras model that it came from: ``userDefinedMetadata.pybridge.keras`` holds its config."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.metadata import keras_record

OWN_MODULES = (
    "pybridge.converters.to_keras.custom_objects",
    # Where the same classes stood when older files were written.
    "pybridge.converters.to_keras.keras_layers",
    "pybridge.models.keras_layers",
)
"""The modules under whose names files hold Keras classes of ours."""

_VERSION = 1
_NODES_LIMIT = 500_000
_DEPTH_LIMIT = 64
_KEPT_LIMIT = 2**20
# Classes of the package keras that run code which is in the config, or read files that it names.
_UNSAFE = ("Lambda", "TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper", "__lambda__", "function")
_PREFIXES = ("keras", "builtins", *OWN_MODULES)


def record(model: Any, kept: Mapping[int, NDArray[Any]]) -> dict[str, Any] | None:
    """The record of a model just converted; None where its config is no plain JSON of Keras classes.

    Args:
        model: The Keras model.
        kept: Values of weights that no weight of TF.js holds, by their place in ``model.weights``.
    """
    import keras

    try:
        config = keras.saving.serialize_keras_object(model)
        if not _is_safe(config.get("compile_config")):
            config = {**config, "compile_config": None}
        # Tuples become lists here as they would in the file, so that a record is the same before and after it was written.
        config = json.loads(json.dumps(config, allow_nan=False))
    except (TypeError, ValueError, AttributeError):
        return None
    if not _is_safe(config):
        return None
    values = {str(index): _encode(value) for index, value in kept.items()}
    # As text: JavaScript would save 0.0 as 0, which some classes of Keras refuse.
    return {"version": _VERSION, "keras_version": keras.__version__, "model": json.dumps(config), "kept": values}


@dataclass(frozen=True)
class Record:
    """A record as it is read.

    Attributes:
        config: The Keras config of the model: of classes of Keras and ours only, never code.
        kept: Values of weights that no weight of TF.js holds, by their place in ``model.weights``, still encoded.
    """

    config: dict[str, Any]
    kept: Mapping[str, object]


def recorded(layers_model: LayersModel) -> Record | None:
    """The record of a TF.js model; None where there is none, or none of a kind that we trust."""
    record = keras_record(layers_model.user_metadata)
    if record is None or record.get("version") != _VERSION:
        return None
    config, kept = _parsed(record.get("model")), record.get("kept")
    return Record(config, kept if isinstance(kept, dict) else {}) if config is not None else None


def _encode(value: NDArray[Any]) -> dict[str, Any]:
    return {"dtype": value.dtype.str, "shape": list(value.shape), "base64": base64.b64encode(value.tobytes()).decode()}


def decoded(entry: object, shape: tuple[int, ...]) -> NDArray[Any]:
    """A value that a record keeps.

    Raises:
        ModelFormatError: It is damaged, or of another shape.
    """
    try:
        if not isinstance(entry, dict) or entry["dtype"] not in ("<f4", "<i4", "<i8", "<f8", "|b1", "<u4"):
            raise ValueError
        if len(entry["base64"]) > _KEPT_LIMIT or list(entry["shape"]) != list(shape):
            raise ValueError
        data = base64.b64decode(entry["base64"], validate=True)
        if len(data) != math.prod(shape) * np.dtype(entry["dtype"]).itemsize:
            raise ValueError
        return np.frombuffer(data, entry["dtype"]).reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFormatError("a weight that the record keeps is damaged") from error


def _parsed(text: object) -> dict[str, Any] | None:
    try:
        config = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return config if isinstance(config, dict) and _is_safe(config) else None


def _is_safe(config: object) -> bool:
    """Whether every class in a config is one of Keras or ours, and none runs code."""
    stack: list[tuple[object, int]] = [(config, 0)]
    visited = 0
    while stack:
        value, depth = stack.pop()
        visited += 1
        if visited > _NODES_LIMIT or depth > _DEPTH_LIMIT:
            return False
        if isinstance(value, dict):
            class_name, module = value.get("class_name"), value.get("module")
            if isinstance(class_name, str) and class_name in _UNSAFE:
                return False
            if module is not None and not _trusted(module):
                return False
            # Keras reads the vocabulary of a lookup layer from the file of this name.
            if isinstance(value.get("vocabulary"), str):
                return False
            stack.extend((item, depth + 1) for item in value.values())
        elif isinstance(value, (list, tuple)):
            stack.extend((item, depth + 1) for item in value)
    return True


def _trusted(module: object) -> bool:
    return isinstance(module, str) and any(module == prefix or module.startswith(f"{prefix}.") for prefix in _PREFIXES)
