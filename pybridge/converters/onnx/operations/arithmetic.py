"""Activations, arithmetic and reductions of ONNX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pybridge.converters.building import arithmetic
from pybridge.converters.building.activations import activation, prelu, rescale
from pybridge.converters.building.values import Constant, Operand, Value, as_constant, as_value
from pybridge.converters.onnx.registry import Node, operation, whole_numbers
from pybridge.converters.refusals import Refused

_ACTIVATIONS = {
    "HardSwish": "hard_swish",
    "Mish": "mish",
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}


_UNARY = {
    name: name.lower() for name in ("Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "Log", "Reciprocal", "Sign", "Sin", "Sqrt")
}


_BINARY = {
    "Add": "add",
    "Div": "divide",
    "Max": "maximum",
    "Min": "minimum",
    "Mul": "multiply",
    "Pow": "power",
    "Sub": "subtract",
    "Sum": "add",
}


@operation(*_ACTIVATIONS)
def _activation(at: Node, x: Any) -> Value:
    return activation(at.builder, as_value(x), _ACTIVATIONS[at.kind], name=at.name)


@operation("LeakyRelu")
def _leaky_relu(at: Node, x: Any) -> Value:
    return activation(at.builder, as_value(x), "leaky_relu", alpha=at.get("alpha", 0.01), name=at.name)


@operation("Elu")
def _elu(at: Node, x: Any) -> Value:
    return activation(at.builder, as_value(x), "elu", alpha=at.get("alpha", 1.0), name=at.name)


@operation("Selu")
def _selu(at: Node, x: Any) -> Value:
    known = abs(at.get("alpha", 1.6732632) - 1.6732632) < 1e-5 and abs(at.get("gamma", 1.050701) - 1.050701) < 1e-5
    if not known:
        raise Refused("SELU with factors of its own")
    return activation(at.builder, as_value(x), "selu", name=at.name)


@operation("Gelu")
def _gelu(at: Node, x: Any) -> Value:
    return activation(at.builder, as_value(x), "gelu" if at.get("approximate", "none") == "none" else "gelu_tanh", name=at.name)


@operation("HardSigmoid")
def _hard_sigmoid(at: Node, x: Any) -> Value:
    scaled = rescale(at.builder, as_value(x), at.get("alpha", 0.2), at.get("beta", 0.5), name=f"{at.name}_scale")
    return activation(at.builder, scaled, "clip", minimum=0, maximum=1, name=at.name)


@operation("Clip")
def _clip(at: Node, x: Any, minimum: Any = None, maximum: Any = None) -> Value:
    limits = [
        at.get(key, None) if given is None else as_constant(given).array.reshape(-1)[0]
        for key, given in (("min", minimum), ("max", maximum))
    ]
    low, high = (None if limit is None or abs(limit) > 1e38 else float(limit) for limit in limits)
    return activation(at.builder, as_value(x), "clip", minimum=low, maximum=high, name=at.name)


@operation("PRelu")
def _prelu(at: Node, x: Any, slope: Any) -> Value:
    x, slope = as_value(x), as_constant(slope)
    if slope.array.size not in (1, x.shape[1]):
        raise Refused(f"slopes of shape {slope.array.shape}")
    return prelu(at.builder, x, slope.reshape(-1), 1, name=at.name)


@operation("Softmax", "LogSoftmax", since=13)
def _softmax(at: Node, x: Any, axis: int | None = None) -> Value:
    x = as_value(x)
    chosen = x.axis(at.get("axis", -1)) if axis is None else axis
    return activation(at.builder, x, "softmax" if at.kind == "Softmax" else "log_softmax", axis=chosen, name=at.name)


@operation("Softmax", "LogSoftmax", until=12)
def _softmax_over_all_that_follow(at: Node, x: Any) -> Value:
    x = as_value(x)
    axis = x.axis(at.get("axis", 1))
    if axis != x.rank - 1 and math.prod(x.shape[axis + 1 :]) != 1:
        raise Refused("a softmax over several axes, as before opset 13")
    return _softmax(at, x, axis)


@operation(*_UNARY, "Neg")
def _unary(at: Node, x: Any) -> Operand:
    return arithmetic.unary(at.builder, _UNARY.get(at.kind, "negative"), x, name=at.name)


@operation(*_BINARY)
def _binary(at: Node, *operands: Any) -> Operand:
    result: Operand = operands[0]
    for operand in operands[1:]:
        if at.kind in ("Sub", "Div") and isinstance(operand, Constant):
            # A mean and a deviation of the data, as far as anyone subtracts or divides by constants: settings, not parameters.
            operand = Constant(operand.array, operand.name, False, operand.expanded)
        result = arithmetic.binary(at.builder, _BINARY[at.kind], result, operand, name=at.name)
    return result


def reduced_axes(at: Node, x: Value, axes: Any) -> Sequence[int]:
    """The axes of a reduction: those that are named, else all of them, or none where ``noop_with_empty_axes`` says so."""
    named = whole_numbers(axes) if axes is not None else at.get("axes", None)
    if named:
        return list(named)
    return [] if at.get("noop_with_empty_axes", 0) else range(x.rank)


@operation("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare")
def _reduce(at: Node, x: Any, axes: Any = None) -> Operand:
    b, value = at.builder, as_value(x)
    chosen = reduced_axes(at, value, axes)
    keepdims = bool(at.get("keepdims", 1))
    kinds = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ReduceMin": "min"}
    if at.kind in kinds:
        return arithmetic.reduce(b, kinds[at.kind], value, chosen, keepdims, name=at.name) if chosen else value
    squares = as_value(arithmetic.unary(b, "square", value, name=f"{at.name}_square"))
    total = arithmetic.reduce(b, "sum", squares, chosen, keepdims, name=f"{at.name}_sum") if chosen else squares
    return arithmetic.unary(b, "sqrt", total, name=at.name) if at.kind == "ReduceL2" else total


@operation("Identity")
def _identity(_: Node, x: Any) -> Any:
    return x


@operation("Cast")
def _cast(at: Node, x: Any) -> Any:
    # 1, 10 and 11 of TensorProto.DataType are the floating types; all are computed as float32.
    if at.get("to", 1) not in (1, 10, 11):
        raise Refused("a conversion to whole numbers")
    return x
