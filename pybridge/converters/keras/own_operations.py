"""``PybridgeOp``: the layer of our own that computes an operation of ``keras.ops``."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from pybridge.converters.keras.call import Call
from pybridge.converters.keras.emitter import Symbol, tfjs_input_dtype
from pybridge.converters.refusals import Refused
from pybridge.tfjs.custom_layers import own_operations
from pybridge.tfjs.topology.names import snake

_CONSTANT_LIMIT = 2**16
"""How many numbers a constant may have: constants are text in ``model.json``."""


def emit_operation(call: Call) -> Any:
    """Write an operation as our PybridgeOp.

    Raises:
        Refused: It does not compute this operation, or an argument cannot be written as JSON.
    """
    name = operation_name(call.class_name)
    if name is None or name not in own_operations():
        raise Refused("is an operation that neither TF.js layers nor pybridge's PybridgeOp compute")
    arguments, symbols = _arguments(call, name)
    dtypes = [tfjs_input_dtype(dtype) for _, dtype in call.outputs]
    shapes = [list(shape) for shape, _ in call.outputs]
    several = len(call.outputs) > 1
    config = {
        "op": name,
        "arguments": arguments,
        "output_shape": shapes if several else shapes[0],
        "output_dtype": dtypes if several else dtypes[0],
    }
    symbols_out = call.emit_many(
        "PybridgeOp",
        config,
        symbols,
        shapes=[shape for shape, _ in call.outputs],
        dtypes=[dtype for _, dtype in call.outputs],
    )
    return symbols_out if several else symbols_out[0]


def operation_name(class_name: str) -> str | None:
    """The function of ``keras.ops`` that makes an operation of this class."""
    import keras

    for name in (snake(class_name), class_name.lower()):
        if hasattr(keras.ops, name):
            return name
    return None


def _arguments(call: Call, name: str) -> tuple[dict[str, Any], list[Symbol]]:
    """All arguments of the function, tensors numbered in the order in which the layer takes them."""
    import keras

    given: dict[str, Any] = {}
    for parameter in inspect.signature(type(call.layer).__init__).parameters:
        if parameter not in ("self", "name", "kwargs", "dtype") and hasattr(call.layer, parameter):
            given[parameter] = getattr(call.layer, parameter)
    signature = inspect.signature(call.layer.call)
    bound = signature.bind(*call.args, **call.kwargs)
    bound.apply_defaults()
    given.update(bound.arguments)
    if given.get("kwargs") == {}:
        del given["kwargs"]
    if name == "get_item":
        given = {"x": given["x"], "key": _key(given["key"])}
    accepted = set(inspect.signature(getattr(keras.ops, name)).parameters)
    symbols: list[Symbol] = []
    return {
        key: _value(value, symbols) for key, value in given.items() if key in accepted and not (value is None and key != "axis")
    }, symbols


def _value(value: Any, symbols: list[Symbol]) -> Any:
    if isinstance(value, Symbol):
        symbols.append(value)
        return {"tensor": len(symbols) - 1}
    if value is None or isinstance(value, (bool, int, float, str)):
        if isinstance(value, float) and not np.isfinite(value):
            raise Refused(f"has the constant {value}, which JSON does not have")
        return value
    if isinstance(value, dict):
        return value
    if isinstance(value, (list, tuple)):
        return [_value(item, symbols) for item in value]
    if isinstance(value, np.generic) or (hasattr(value, "shape") and hasattr(value, "dtype")):
        return _constant(np.asarray(value))
    raise Refused(f"has an argument of the type {type(value).__name__}, which JSON does not have")


def _constant(array: Any) -> Any:
    if array.size > _CONSTANT_LIMIT:
        raise Refused(f"has a constant of {array.size} numbers", "Make it a weight: a pybridge Parameter or a frozen layer.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Refused("has a constant with numbers that are not finite, which JSON does not have")
    if array.ndim == 0:
        return array.item()
    kinds = {"f": "float32", "i": "int32", "u": "int32", "b": "bool"}
    if array.dtype.kind not in kinds:
        raise Refused(f"has a constant of the type {array.dtype}, which TF.js does not have")
    return {"array": array.tolist(), "dtype": kinds[array.dtype.kind]}


def _key(key: Any) -> list[Any]:
    parts = list(key) if isinstance(key, (tuple, list)) else [key]
    return [_key_part(part) for part in parts]


def _key_part(part: Any) -> Any:
    if part is None:
        return None
    if part is Ellipsis:
        return {"ellipsis": True}
    if isinstance(part, slice):
        ends = [part.start, part.stop, part.step]
        if any(end is not None and not isinstance(end, (int, np.integer)) for end in ends):
            raise Refused("is sliced by tensors")
        return {"slice": [None if end is None else int(end) for end in ends]}
    if isinstance(part, (int, np.integer)) and not isinstance(part, bool):
        return int(part)
    raise Refused("is indexed by something else than whole numbers and slices", "Use keras.ops.take.")
