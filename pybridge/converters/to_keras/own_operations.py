"""``PybridgeOp``: an operation of ``keras.ops`` in the graph."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from pybridge.errors import ModelFormatError
from pybridge.tfjs.custom_layers import own_operations
from pybridge.tfjs.topology.names import snake

OPERATION = "PybridgeOp"

_DEPTH = 20
_HINT = "The model was written by a newer version of pybridge, or is damaged."


def call_operation(config: dict[str, Any], inputs: list[Any], written: str) -> Any:
    """Apply the operation that a config names.

    Args:
        config: ``{"op": name, "arguments": {...}}``: ``{"tensor": i}`` stands for the i-th input, ``{"array", "dtype"}`` for a
            constant, ``{"slice": [start, stop, step]}`` and ``{"ellipsis": true}`` for parts of an index.
        inputs: Keras tensors.
        written: The layer's name in the file, for errors.

    Raises:
        ModelFormatError: There is no such operation, or its arguments are damaged.
    """
    name, arguments = config.get("op"), config.get("arguments")
    known = snake(name) if isinstance(name, str) else ""
    if known not in own_operations() or not isinstance(arguments, dict):
        raise ModelFormatError(f"the layer {written!r} has the unknown operation {str(name)[:80]!r}", hint=_HINT)
    used: set[int] = set()
    values = {snake(key): _resolve(value, inputs, used, written, 0) for key, value in arguments.items()}
    if used != set(range(len(inputs))):
        raise ModelFormatError(f"the operation {written!r} does not use each of its inputs", hint=_HINT)
    if known == "get_item":
        key = values["key"]
        return values["x"][tuple(key) if isinstance(key, list) else key]
    if known == "einsum":
        return keras.ops.einsum(values["subscripts"], *values["operands"])
    if known == "cast":
        values.setdefault("dtype", config.get("output_dtype", config.get("outputDtype")))
    return getattr(keras.ops, known)(**values)


def _resolve(value: Any, inputs: list[Any], used: set[int], written: str, depth: int) -> Any:
    damaged = ModelFormatError(f"the operation {written!r} has damaged arguments", hint=_HINT)
    if depth > _DEPTH:
        raise damaged
    if isinstance(value, list):
        return [_resolve(one, inputs, used, written, depth + 1) for one in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        index = value["tensor"]
        if type(index) is not int or not 0 <= index < len(inputs):
            raise damaged
        used.add(index)
        return inputs[index]
    if "array" in value and value.get("dtype") in ("float32", "int32", "bool"):
        return np.asarray(value["array"], value["dtype"])
    if isinstance(value.get("slice"), list) and len(value["slice"]) == 3:
        return slice(*value["slice"])
    if value.get("ellipsis") is True:
        return Ellipsis
    raise damaged
