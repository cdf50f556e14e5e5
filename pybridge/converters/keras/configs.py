"""Keras 3 configs as plain JSON, and their initializers, regularizers and constraints in the words of TF.js."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pybridge.converters.refusals import Refused

_INITIALIZERS = {
    "Zeros": (),
    "Ones": (),
    "Constant": ("value",),
    "RandomUniform": ("minval", "maxval", "seed"),
    "RandomNormal": ("mean", "stddev", "seed"),
    "TruncatedNormal": ("mean", "stddev", "seed"),
    "Identity": ("gain",),
    "VarianceScaling": ("scale", "mode", "distribution", "seed"),
    "GlorotUniform": ("seed",),
    "GlorotNormal": ("seed",),
    "HeNormal": ("seed",),
    "HeUniform": ("seed",),
    "LecunNormal": ("seed",),
    "LecunUniform": ("seed",),
    "Orthogonal": ("gain", "seed"),
}
# TF.js writes these two differently; Keras 3 dropped "Initializer" from the end of the names of the others.
_RENAMED_INITIALIZERS = {"LecunNormal": "LeCunNormal", "LecunUniform": "LeCunUniform", "OrthogonalInitializer": "Orthogonal"}
_CONSTRAINTS = {
    "MaxNorm": ("max_value", "axis"),
    "UnitNorm": ("axis",),
    "NonNeg": (),
    "MinMaxNorm": ("min_value", "max_value", "rate", "axis"),
}


def plain_config(layer: Any) -> dict[str, Any]:
    """A layer's own config as JSON values; its dtype policy as the name of the type that it computes in.

    Raises:
        Refused: The layer cannot say its config.
    """
    if not hasattr(layer, "dtype_policy"):
        return {}
    try:
        config = layer.get_config()
    except Exception as error:
        raise Refused(f"has no config ({error})") from error
    plain: dict[str, Any] = plain_value(config)
    return plain


def plain_value(value: Any) -> Any:
    """A value of a Keras config as JSON."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        if value.get("class_name") in ("DTypePolicy", "FloatDTypePolicy") and isinstance(value.get("config"), Mapping):
            return str(value["config"].get("name"))
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "numpy"):
        return np.asarray(value).tolist()
    import keras

    serialized = keras.saving.serialize_keras_object(value)
    if serialized is value:
        raise Refused(f"has a {type(value).__name__} in its config, which is no JSON")
    return plain_value(serialized)


def tfjs_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """A Keras config with initializers, regularizers and constraints as TF.js names them.

    Raises:
        Refused: One changes the training and TF.js does not have it.
    """
    result: dict[str, Any] = {}
    for key, value in config.items():
        if key.endswith("_initializer"):
            result[key] = _initializer(value)
        elif key.endswith("_regularizer"):
            result[key] = _regularizer(value, key)
        elif key.endswith("_constraint"):
            result[key] = _constraint(value, key)
        else:
            result[key] = value
    return result


def _object(value: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, Mapping) or not isinstance(value.get("class_name"), str):
        return "", {}
    config = value.get("config")
    return value["class_name"], dict(config) if isinstance(config, Mapping) else {}


def _initializer(value: Any) -> dict[str, Any]:
    name, config = _object(value)
    # The weights are loaded, so that another initializer changes nothing but what a rebuilt model would start with.
    known = _INITIALIZERS.get(name)
    if known is None:
        return {"class_name": "Zeros", "config": {}}
    kept = {key: config[key] for key in known if isinstance(config.get(key), (int, float, str)) or config.get(key, 0) is None}
    if kept.get("distribution") == "untruncated_normal":
        kept["distribution"] = "normal"
    return {"class_name": _RENAMED_INITIALIZERS.get(name, name), "config": kept}


def _regularizer(value: Any, key: str) -> dict[str, Any] | None:
    if value is None:
        return None
    name, config = _object(value)
    if name in ("L1", "L2", "L1L2"):
        return {"class_name": "L1L2", "config": {"l1": config.get("l1", 0.0), "l2": config.get("l2", 0.0)}}
    raise Refused(f"has the {key} {name or value!r}, which TF.js does not have", "Set it to None before converting.")


def _constraint(value: Any, key: str) -> dict[str, Any] | None:
    if value is None:
        return None
    name, config = _object(value)
    if name not in _CONSTRAINTS:
        raise Refused(f"has the {key} {name or value!r}, which TF.js does not have", "Set it to None before converting.")
    axis = config.get("axis", 0)
    if "axis" in _CONSTRAINTS[name] and not isinstance(axis, int):
        raise Refused(f"has a {key} over several axes, which TF.js does not have", "Set it to None before converting.")
    return {"class_name": name, "config": {item: config[item] for item in _CONSTRAINTS[name] if item in config}}
