"""Refuses values on which TF.js would loop for ever, or that it cannot hold."""

from __future__ import annotations

import math
from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.tfjs.topology.layers import DAMAGED
from pybridge.tfjs.topology.names import snake

_FORBIDDEN_NAMES = ("__proto__",)
_AXIS_KEYS = ("axis", "axes", "shared_axes", "dims")
_CONFIG_NESTING_LIMIT = 40
# Recurrent layers with state make room for so many sequences while they are built.
_BATCH_LIMIT = 65_536


def is_name(name: object) -> bool:
    """Tell whether something can be the name of a layer or a model."""
    whole = isinstance(name, str) and 0 < len(name) <= 512 and name not in _FORBIDDEN_NAMES
    return whole and not any("\ud800" <= one <= "\udfff" for one in str(name))


def check_names(raw: dict[str, Any], name: str, where: str) -> None:
    """Refuse a layer that is called otherwise beside its class, or in its config.

    Raises:
        ModelFormatError: One of the names is missing or another.
    """
    config = raw["config"] if isinstance(raw.get("config"), dict) else {}
    for written, place in ((raw.get("name"), "beside its class"), (config.get("name"), "in its config")):
        if written != name:
            raise ModelFormatError(
                f"the layer {name!r} of {where!r} is called {str(written)[:80]!r} {place}",
                hint="Both names must be there and be the same; TF.js would search for the layer for ever.",
            )


def check_input(config: dict[str, Any], name: str) -> None:
    """Check the config of an InputLayer, and complete its ``batch_input_shape`` and ``dtype``.

    Raises:
        ModelFormatError: The shape or the type is none, or the input would be too large.
    """
    given = {snake(key): value for key, value in config.items()}
    shape = given.get("batch_input_shape")
    if shape is None:
        shape = given.get("batch_shape")
    if shape is None and isinstance(given.get("input_shape"), list):
        shape = [None, *given["input_shape"]]
    if not isinstance(shape, list) or len(shape) > 8 or not all(_is_size(size) for size in shape):
        raise ModelFormatError(f"the input {name!r} has no valid shape: {str(shape)[:80]}", hint=DAMAGED)
    if ((shape and shape[0]) or 0) > _BATCH_LIMIT or math.prod(size or 1 for size in shape) >= 2**40:
        raise ModelFormatError(f"the input {name!r} is too large: {str(shape)[:80]}", hint=DAMAGED)
    config["batch_input_shape"] = shape
    dtype = config.get("dtype") or "float32"
    if not isinstance(dtype, str):
        raise ModelFormatError(f"the input {name!r} has no valid type: {str(dtype)[:80]}", hint=DAMAGED)
    config["dtype"] = dtype


def _is_size(value: object) -> bool:
    return value is None or (type(value) is int and 0 < value < 2**31)


def _is_drawable(initializer: dict[str, Any]) -> bool:
    """Whether random numbers can be drawn: TF.js draws until one lies within two standard deviations."""
    config = initializer.get("config")
    amounts = {snake(key): value for key, value in config.items()} if isinstance(config, dict) else {}
    for key in ("gain", "maxval", "mean", "minval", "scale", "stddev", "value"):
        if not isinstance(amounts.get(key), (int, float, type(None))):
            return False
    return all((amounts.get(key) or 0) >= 0 for key in ("scale", "stddev"))


def check_values(config: dict[str, Any], name: str) -> None:
    """Refuse options that TF.js cannot take: numbers must be finite and axes small, as it counts loops with them.

    Raises:
        ModelFormatError: Names the layer and the option.
    """
    waiting: list[tuple[str, object, int]] = [(key, value, 0) for key, value in config.items()]
    while waiting:
        key, value, depth = waiting.pop()
        if depth > _CONFIG_NESTING_LIMIT:
            raise ModelFormatError(f"the config of {name!r} is nested too deeply", hint=DAMAGED)
        if isinstance(value, dict):
            if any(not isinstance(inner, str) or inner in _FORBIDDEN_NAMES for inner in value):
                raise ModelFormatError(f"the config of {name!r} has a forbidden key", hint=DAMAGED)
            if snake(key).endswith("_initializer") and not _is_drawable(value):
                raise ModelFormatError(f"the layer {name!r} has an invalid {key}: {str(value)[:80]}", hint=DAMAGED)
            waiting += [(inner, item, depth + 1) for inner, item in value.items()]
        elif isinstance(value, list):
            waiting += [(key, item, depth + 1) for item in value]
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            if not math.isfinite(value) or abs(value) > 1e38:
                raise ModelFormatError(f"the layer {name!r} has {key}={str(value)[:40]}, not a usable number", hint=DAMAGED)
            if snake(key) in _AXIS_KEYS and not (isinstance(value, int) and abs(value) <= 16):
                raise ModelFormatError(f"the layer {name!r} has {key}={str(value)[:40]}, no axis", hint=DAMAGED)
        elif isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value):
            raise ModelFormatError(f"the config of {name!r} holds half a character in {key!r}", hint=DAMAGED)
        elif isinstance(value, str) and snake(key) in _AXIS_KEYS:
            raise ModelFormatError(f"the layer {name!r} has {key}={value[:40]!r}, no axis", hint=DAMAGED)
    if any(key in _FORBIDDEN_NAMES for key in config):
        raise ModelFormatError(f"the config of {name!r} has a forbidden key", hint=DAMAGED)
