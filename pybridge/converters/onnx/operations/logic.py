"""Comparisons, truth values and conditions of ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybridge.converters.building import slicing
from pybridge.converters.building.pointwise import infinite, pointwise
from pybridge.converters.building.values import Constant, Value, as_constant, as_value, broadcast_shape, constant
from pybridge.converters.onnx.registry import Node, operation
from pybridge.converters.refusals import Refused

_COMPARISONS = {
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
}

_LOGICAL = {"And": "logical_and", "Or": "logical_or", "Xor": "logical_xor"}


@operation(*_COMPARISONS, *_LOGICAL)
def _compare(at: Node, x: Any, y: Any) -> Value:
    kind = _COMPARISONS.get(at.kind) or _LOGICAL[at.kind]
    if at.kind == "Equal" and (isinstance(x, Constant) or isinstance(y, Constant)):
        value, number = (y, x) if isinstance(x, Constant) else (x, y)
        if number.array.dtype.kind == "f" and np.all(np.isinf(number.array)) and np.ptp(np.sign(number.array)) == 0:
            # JSON has no infinity.
            spread = slicing.expand(at.builder, as_value(value), broadcast_shape(value.shape, number.shape), name=at.name)
            return infinite(at.builder, spread, above=bool(np.all(number.array > 0)), name=at.name)
    return pointwise(at.builder, kind, {"x1": x, "x2": y}, dtype="bool", name=at.name)


@operation("Not")
def _not(at: Node, x: Any) -> Value:
    return pointwise(at.builder, "logical_not", {"x": as_value(x)}, dtype="bool", name=at.name)


@operation("Where")
def _where(at: Node, condition: Any, x: Any, y: Any) -> Value:
    dtypes = {at.builder.dtype(one) for one in (x, y) if isinstance(one, Value)}
    dtypes |= {_dtype(one) for one in (x, y) if isinstance(one, Constant)}
    if len(dtypes) != 1:
        raise Refused("a choice between values of different types")
    return pointwise(at.builder, "where", {"condition": condition, "x1": x, "x2": y}, dtype=dtypes.pop(), name=at.name)


@operation("Trilu")
def _trilu(at: Node, x: Any, k: Any = None) -> Value:
    x = as_value(x)
    diagonal = int(as_constant(k).array.reshape(-1)[0]) if k is not None else 0
    ones = np.ones(x.shape[-2:], bool)
    kept = np.triu(ones, diagonal) if at.get("upper", 1) else np.tril(ones, diagonal)
    dtype = at.builder.dtype(x)
    operands = {"condition": constant(kept), "x1": x, "x2": constant(np.zeros(()), dtype=dtype)}
    return pointwise(at.builder, "where", operands, dtype=dtype, name=at.name)


def _dtype(one: Constant) -> str:
    return {"f": "float32", "b": "bool"}.get(one.array.dtype.kind, "int32")
