"""Activations and arithmetic of ONNX."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pybridge.converters.building import arithmetic, reshaping
from pybridge.converters.building.activations import activation, prelu, rescale
from pybridge.converters.building.pointwise import cast, infinite, pointwise
from pybridge.converters.building.reductions import extremum
from pybridge.converters.building.values import Constant, Operand, Value, as_constant, as_value, constant
from pybridge.converters.onnx.registry import Node, operation
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
    "Abs": "abs",
    "Ceil": "ceil",
    "Cos": "cos",
    "Cosh": "cosh",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "Log": "log",
    "Reciprocal": "reciprocal",
    "Round": "round",
    "Sign": "sign",
    "Sin": "sin",
    "Sinh": "sinh",
    "Sqrt": "sqrt",
    "Tan": "tan",
    "Acos": "arccos",
    "Acosh": "arccosh",
    "Asin": "arcsin",
    "Asinh": "arcsinh",
    "Atan": "arctan",
    "Atanh": "arctanh",
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


@operation("Celu")
def _celu(at: Node, x: Any) -> Value:
    return activation(at.builder, as_value(x), "celu", alpha=at.get("alpha", 1.0), name=at.name)


@operation("Selu")
def _selu(at: Node, x: Any) -> Value:
    alpha, gamma = at.get("alpha", 1.6732632), at.get("gamma", 1.050701)
    if abs(alpha - 1.6732632) < 1e-5 and abs(gamma - 1.050701) < 1e-5:
        return activation(at.builder, as_value(x), "selu", name=at.name)
    curve = activation(at.builder, as_value(x), "elu", alpha=alpha, name=f"{at.name}_elu")
    return rescale(at.builder, curve, gamma, 0.0, name=at.name)


@operation("ThresholdedRelu")
def _thresholded_relu(at: Node, x: Any) -> Value:
    return at.builder.layer("ThresholdedReLU", {"theta": at.get("alpha", 1.0)}, [as_value(x)], name=at.name)


@operation("Shrink")
def _shrink(at: Node, x: Any) -> Value:
    limit, bias = at.get("lambd", 0.5), at.get("bias", 0.0)
    if limit >= 0 and bias in (0, limit):
        kind = "soft_shrink" if bias else "hard_shrink"
        return at.builder.operation(kind, {"x": as_value(x)}, {"threshold": limit}, name=at.name)
    raise Refused(f"a shrinking by {bias} beyond {limit}")


@operation("Swish")
def _swish(at: Node, x: Any) -> Value:
    x, alpha = as_value(x), at.get("alpha", 1.0)
    if alpha == 1:
        return activation(at.builder, x, "silu", name=at.name)
    gate = activation(at.builder, rescale(at.builder, x, alpha, 0.0, name=f"{at.name}_scale"), "sigmoid", name=f"{at.name}_gate")
    return at.builder.layer("Multiply", {}, [x, gate], name=at.name)


@operation("Gelu")
def _gelu(at: Node, x: Any) -> Value:
    return activation(at.builder, as_value(x), "gelu" if at.get("approximate", "none") == "none" else "gelu_tanh", name=at.name)


@operation("HardSigmoid")
def _hard_sigmoid(at: Node, x: Any) -> Value:
    scaled = rescale(at.builder, as_value(x), at.get("alpha", 0.2), at.get("beta", 0.5), name=f"{at.name}_scale")
    return activation(at.builder, scaled, "clip", minimum=0, maximum=1, name=at.name)


@operation("Clip")
def _clip(at: Node, x: Any, minimum: Any = None, maximum: Any = None) -> Operand:
    b, x = at.builder, as_value(x)
    given = {"maximum": minimum, "minimum": maximum}
    if b.dtype(x) != "float32" or any(isinstance(one, Value) for one in given.values()):
        result: Operand = x
        for kind, limit in given.items():
            if limit is not None:
                result = pointwise(b, kind, {"x1": result, "x2": limit}, dtype=b.dtype(x), name=f"{at.name}_{kind}")
        return result
    limits = [
        at.get(key, None) if limit is None else as_constant(limit).array.reshape(-1)[0]
        for key, limit in (("min", minimum), ("max", maximum))
    ]
    low, high = (None if limit is None or abs(limit) > 1e38 else float(limit) for limit in limits)
    return activation(b, x, "clip", minimum=low, maximum=high, name=at.name)


@operation("PRelu")
def _prelu(at: Node, x: Any, slope: Any) -> Value:
    b, x = at.builder, as_value(x)
    if isinstance(slope, Constant) and x.rank > 1 and slope.array.size in (1, x.shape[1]):
        shape = (1,) * (x.rank - slope.rank) + slope.shape
        if slope.array.size == 1 or (len(shape) == x.rank and shape[1] == x.shape[1]):
            return prelu(b, x, slope.reshape(-1), 1, name=at.name)
    positive = activation(b, x, "relu", name=f"{at.name}_positive")
    negative = pointwise(
        b, "minimum", {"x1": x, "x2": constant(0.0, dtype="float32")}, dtype="float32", name=f"{at.name}_negative"
    )
    sloped = pointwise(b, "multiply", {"x1": negative, "x2": slope}, dtype="float32", name=f"{at.name}_slope")
    return as_value(arithmetic.binary(b, "add", positive, sloped, name=at.name))


@operation("Softmax", "LogSoftmax", since=13)
def _softmax(at: Node, x: Any, axis: int | None = None) -> Value:
    x = as_value(x)
    chosen = x.axis(at.get("axis", -1)) if axis is None else axis
    return activation(at.builder, x, "softmax" if at.kind == "Softmax" else "log_softmax", axis=chosen, name=at.name)


@operation("Softmax", "LogSoftmax", until=12)
def _softmax_over_all_that_follow(at: Node, x: Any) -> Value:
    x = as_value(x)
    axis = x.axis(at.get("axis", 1))
    if axis == x.rank - 1 or math.prod(x.shape[axis + 1 :]) == 1:
        return _softmax(at, x, axis)
    flat = reshaping.reshape(at.builder, x, (*x.shape[:axis], math.prod(x.shape[axis:])), name=f"{at.name}_flat")
    return reshaping.reshape(at.builder, _softmax(at, flat, axis), x.shape, name=at.name)


@operation("Hardmax", since=13)
def _hardmax(at: Node, x: Any) -> Value:
    b, x = at.builder, as_value(x)
    axis = x.axis(at.get("axis", -1))
    best = extremum(b, "argmax", x, axis, keepdims=False, name=f"{at.name}_best")
    physical = (*best.physical, x.shape[axis])
    axes = [*best.axes, (len(best.physical),)]
    marked = b.operation("one_hot", {"x": best}, {"num_classes": x.shape[axis]}, name=at.name, physical=physical, axes=axes)
    order = [*range(axis), x.rank - 1, *range(axis, x.rank - 1)]
    return reshaping.transpose(marked, order)


@operation(*_UNARY, "Neg")
def _unary(at: Node, x: Any) -> Operand:
    b, kind = at.builder, _UNARY.get(at.kind, "negative")
    if b.dtype(as_value(x)) != "float32":
        return b.operation(kind, {"x": as_value(x)}, name=at.name, dtype=b.dtype(as_value(x)))
    return arithmetic.unary(b, kind, x, name=at.name)


@operation("IsNaN")
def _is_nan(at: Node, x: Any) -> Value:
    return at.builder.operation("isnan", {"x": as_value(x)}, name=at.name, dtype="bool")


@operation("IsInf")
def _is_inf(at: Node, x: Any) -> Value:
    b, x = at.builder, as_value(x)
    below, above = bool(at.get("detect_negative", 1)), bool(at.get("detect_positive", 1))
    if below and above:
        return b.operation("isinf", {"x": x}, name=at.name, dtype="bool")
    if not below and not above:
        raise Refused("it looks for no infinity at all")
    return infinite(b, x, above=above, name=at.name)


@operation(*_BINARY)
def _binary(at: Node, *operands: Any) -> Operand:
    b = at.builder
    result: Operand = operands[0]
    for operand in operands[1:]:
        kind = _BINARY[at.kind]
        dtypes = {b.dtype(one) for one in (result, operand) if isinstance(one, Value)}
        if at.kind in ("Sub", "Div") and isinstance(operand, Constant):
            # A mean and a deviation of the data, as far as anyone subtracts or divides by constants: settings, not parameters.
            operand = Constant(operand.array, operand.name, False, operand.expanded)
        if dtypes == {"float32"}:
            result = _binary_of_floats(at, kind, result, operand)
        elif kind == "power" and isinstance(result, Value) and b.dtype(result) == "float32":
            result = _binary_of_floats(at, kind, result, cast(b, operand, "float32", name=f"{at.name}_exponent"))
        elif "bool" in dtypes or len(dtypes) > 1 or not all(_is_whole(one) for one in (result, operand)):
            raise Refused(f"the {kind} of whole numbers and others")
        elif kind == "divide":
            result = _divided(at, result, operand)
        else:
            result = pointwise(b, kind, {"x1": result, "x2": operand}, dtype="int32", name=at.name)
    return result


def _is_whole(one: Operand) -> bool:
    return isinstance(one, Value) or one.array.dtype.kind in "iu"


def _divided(at: Node, x: Operand, y: Operand) -> Value:
    """Divide whole numbers, towards zero."""
    share = pointwise(at.builder, "floor_divide", {"x1": _size(at, x), "x2": _size(at, y)}, dtype="int32", name=f"{at.name}_size")
    signs = pointwise(at.builder, "multiply", {"x1": _sign(at, x), "x2": _sign(at, y)}, dtype="int32", name=f"{at.name}_signs")
    return pointwise(at.builder, "multiply", {"x1": share, "x2": signs}, dtype="int32", name=at.name)


def _size(at: Node, x: Operand) -> Operand:
    if isinstance(x, Constant):
        return x.with_array(np.abs(x.array))
    return at.builder.operation("abs", {"x": x}, name=f"{at.name}_abs", dtype=at.builder.dtype(x))


def _sign(at: Node, x: Operand) -> Operand:
    if isinstance(x, Constant):
        return x.with_array(np.sign(x.array))
    return at.builder.operation("sign", {"x": x}, name=f"{at.name}_sign", dtype=at.builder.dtype(x))


def _binary_of_floats(at: Node, kind: str, x: Operand, y: Operand) -> Operand:
    if isinstance(x, Constant) and isinstance(y, Constant):
        return arithmetic.binary(at.builder, kind, x, y, name=at.name)
    try:
        return arithmetic.binary(at.builder, kind, x, y, name=at.name)
    except Refused:
        if any(isinstance(one, Constant) and one.trainable and one.array.size > 1 for one in (x, y)):
            raise
        return pointwise(at.builder, kind, {"x1": x, "x2": y}, dtype="float32", name=at.name)


@operation("Mean")
def _mean(at: Node, *operands: Any) -> Operand:
    total = operands[0]
    for operand in operands[1:]:
        total = _binary_of_floats(at, "add", total, operand)
    return rescale(at.builder, as_value(total), 1 / len(operands), 0.0, name=f"{at.name}_mean")


@operation("Mod")
def _mod(at: Node, x: Any, y: Any) -> Value:
    dtypes = {at.builder.dtype(one) for one in (x, y) if isinstance(one, Value)}
    if len(dtypes) > 1 or "bool" in dtypes:
        raise Refused("a remainder of different types")
    if at.get("fmod", 0):
        dtype = dtypes.pop()
        size = pointwise(at.builder, "mod", {"x1": _size(at, x), "x2": _size(at, y)}, dtype=dtype, name=f"{at.name}_size")
        return pointwise(at.builder, "multiply", {"x1": size, "x2": _sign(at, x)}, dtype=dtype, name=at.name)
    if dtypes != {"int32"}:
        raise Refused("a remainder of fractions with the sign of the divisor")
    return pointwise(at.builder, "mod", {"x1": x, "x2": y}, dtype="int32", name=at.name)


@operation("Identity")
def _identity(_: Node, x: Any) -> Any:
    return x


@operation("Cast")
def _cast(at: Node, x: Any, *_: Any) -> Any:
    # By the numbers of TensorProto.DataType; all floating types are computed as float32.
    dtype = {1: "float32", 10: "float32", 11: "float32", 6: "int32", 7: "int32", 9: "bool"}.get(at.get("to", 1))
    if dtype is None:
        raise Refused("a conversion to this type")
    return cast(at.builder, as_value(x), dtype, name=at.name)


@operation("CastLike")
def _cast_like(at: Node, x: Any, like: Any) -> Any:
    if isinstance(like, Constant):
        dtypes = {"f4": "float32", "f8": "float32", "i4": "int32", "i8": "int32", "b1": "bool"}
        dtype = dtypes.get(like.array.dtype.str[1:])
    else:
        dtype = at.builder.dtype(as_value(like))
    if dtype is None:
        raise Refused("a conversion to this type")
    if isinstance(x, Constant):
        return Constant(x.array.astype(dtype), x.name, x.trainable, x.expanded)
    return cast(at.builder, as_value(x), dtype, name=at.name)
