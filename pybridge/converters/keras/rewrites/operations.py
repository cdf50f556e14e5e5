"""Operations of Functional graphs: plain layers of TF.js where one does the same, else our PybridgeOp."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from pybridge.converters.keras.call import Call, Symbol
from pybridge.converters.keras.emitter import tfjs_input_dtype
from pybridge.converters.keras.registry import DECLINED, rewrite_operation
from pybridge.converters.refusals import Refused
from pybridge.tfjs.custom_layers import own_operations

_CONSTANT_LIMIT = 2**16
"""How many numbers a constant may have: constants are text in ``model.json``."""


@rewrite_operation("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Negative")
def scale_and_shift(call: Call) -> Any:
    """An operation with one number is a Rescaling of TF.js; one of two equal tensors an Add or Multiply."""
    if any(symbol.dtype != "float32" for symbol in call.inputs):
        return DECLINED
    if call.class_name == "Negative":
        return call.emit("Rescaling", {"scale": -1.0, "offset": 0.0})
    left, right = call.argument("x1", 0), call.argument("x2", 1)
    if isinstance(left, Symbol) and isinstance(right, Symbol):
        if call.class_name not in ("Add", "Multiply") or len(left.shape) != len(right.shape):
            return DECLINED
        return call.emit(call.class_name, {}, [left, right], shape=call.output_shape)
    number = _number(right if isinstance(left, Symbol) else left)
    if number is None:
        return DECLINED
    first = isinstance(left, Symbol)
    table = {
        "Add": (1.0, number),
        "Subtract": (1.0, -number) if first else (-1.0, number),
        "Multiply": (number, 0.0),
    }
    if call.class_name in ("Divide", "TrueDivide"):
        if not first or number == 0:
            return DECLINED
        table[call.class_name] = (1.0 / number, 0.0)
    scale, offset = table[call.class_name]
    return call.emit("Rescaling", {"scale": scale, "offset": offset})


@rewrite_operation("Relu", "Relu6", "Sigmoid", "Tanh", "Silu", "Softplus", "Softsign", "Selu", "HardSigmoid", "HardSilu")
def activation(call: Call) -> Any:
    """The activation of the same name."""
    if call.input.dtype != "float32":
        return DECLINED
    return call.activation(_snake(call.class_name), call.input)


@rewrite_operation("Concatenate")
def concatenate(call: Call) -> Any:
    """The layer of the same name, but along the batch."""
    rank = len(call.output_shape)
    axis = call.layer.axis % rank
    if axis == 0 or len(call.inputs) != len(_listed(call.args[0] if call.args else call.kwargs["xs"])) or len(call.inputs) < 2:
        return DECLINED
    return call.emit("Concatenate", {"axis": axis}, call.inputs, shape=call.output_shape)


@rewrite_operation("Reshape")
def reshape(call: Call) -> Any:
    """The layer of the same name, where the batch stays what it is."""
    shape = _listed(call.layer.newshape)
    static = call.output_shape[1:]
    if shape and shape[0] in (-1, None) and None not in static and call.input.shape[0] is None:
        return call.emit("Reshape", {"target_shape": list(static)}, shape=call.output_shape)
    return DECLINED


@rewrite_operation("Transpose")
def transpose(call: Call) -> Any:
    """A Permute, where the batch stays in front."""
    axes = call.layer.axes
    if axes is None or axes[0] != 0:
        return DECLINED
    return call.emit("Permute", {"dims": [axis % len(axes) for axis in axes[1:]]}, shape=call.output_shape)


def operation(call: Call) -> Any:
    """Our PybridgeOp, for all that have no layer of their own."""
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
    for name in (_snake(class_name), class_name.lower()):
        if hasattr(keras.ops, name):
            return name
    return None


def _arguments(call: Call, name: str) -> tuple[dict[str, Any], list[Symbol]]:
    """All arguments of the function, tensors numbered in the order in which the layer takes them."""
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


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, str)) or value is None or isinstance(value, Symbol):
        return None
    array = np.asarray(value)
    if array.size != 1 or array.ndim or array.dtype.kind not in "fiu" or not np.isfinite(array):
        return None
    return float(array)


def _listed(value: Any) -> Sequence[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _register_all() -> None:
    special = {"LogSoftmax", "ExpandDims"}
    classes = {"".join(part.title() for part in name.split("_")) for name in own_operations()} | special
    import importlib

    for module in ("numpy", "nn", "core", "math", "linalg"):
        for name, value in vars(importlib.import_module(f"keras.src.ops.{module}")).items():
            if inspect.isclass(value) and issubclass(value, keras.Operation):
                classes.add(name)
    rewrite_operation(*sorted(classes))(operation)


_register_all()
