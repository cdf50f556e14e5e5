"""Activations, arithmetic and reductions of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybridge.converters.building import arithmetic
from pybridge.converters.building.activations import activation
from pybridge.converters.building.pointwise import pointwise
from pybridge.converters.building.reductions import cumulative, extremum, reduction
from pybridge.converters.building.values import Constant, Operand, Value, as_value
from pybridge.converters.refusals import Refused
from pybridge.converters.torch.registry import Node, operation

_ACTIVATIONS = {
    **{name: name for name in ("mish", "relu", "relu6", "selu", "sigmoid", "silu", "softsign", "tanh")},
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish",
}
_UNARY = {
    **{
        name: name
        for name in (
            "abs",
            "ceil",
            "cos",
            "cosh",
            "erf",
            "exp",
            "expm1",
            "floor",
            "log",
            "log1p",
            "reciprocal",
            "round",
            "rsqrt",
            "sign",
            "sin",
            "sinh",
            "sqrt",
            "tan",
        )
    },
    "neg": "negative",
    "square": "square",
}
_BINARY = {"add": "add", "maximum": "maximum", "minimum": "minimum", "mul": "multiply", "pow": "power", "sub": "subtract"}


@operation(*_ACTIVATIONS)
def _activation(at: Node, x: Any) -> Value:
    return activation(at.builder, as_value(x), _ACTIVATIONS[at.kind], name=at.name)


@operation("gelu")
def _gelu(at: Node, x: Any, *, approximate: str = "none") -> Value:
    return activation(at.builder, as_value(x), "gelu" if approximate == "none" else "gelu_tanh", name=at.name)


@operation("softplus")
def _softplus(at: Node, x: Any, beta: float = 1, threshold: float = 20) -> Value:
    # Beyond the threshold PyTorch returns x itself; log(1 + exp(20)) differs from 20 by less than float32 tells.
    if beta != 1 or threshold < 17:
        raise Refused(f"softplus with beta {beta} and threshold {threshold}")
    return activation(at.builder, as_value(x), "softplus", name=at.name)


@operation("leaky_relu")
def _leaky_relu(at: Node, x: Any, slope: float = 0.01) -> Value:
    return activation(at.builder, as_value(x), "leaky_relu", alpha=slope, name=at.name)


@operation("elu")
def _elu(at: Node, x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Value:
    if scale != 1 or input_scale != 1:
        raise Refused("ELU with scales")
    return activation(at.builder, as_value(x), "elu", alpha=alpha, name=at.name)


@operation("celu")
def _celu(at: Node, x: Any, alpha: float = 1) -> Value:
    return activation(at.builder, as_value(x), "celu", alpha=alpha, name=at.name)


@operation("softshrink", "hardshrink")
def _shrink(at: Node, x: Any, limit: float = 0.5) -> Value:
    kind = "soft_shrink" if at.kind == "softshrink" else "hard_shrink"
    return at.builder.operation(kind, {"x": as_value(x)}, {"threshold": limit}, name=at.name)


@operation("hardtanh")
def _hardtanh(at: Node, x: Any, minimum: float = -1, maximum: float = 1) -> Value:
    return activation(at.builder, as_value(x), "clip", minimum=minimum, maximum=maximum, name=at.name)


@operation("clamp")
def _clamp(at: Node, x: Any, minimum: Any = None, maximum: Any = None) -> Value:
    limits = [limit.scalar() if isinstance(limit, Constant) else limit for limit in (minimum, maximum)]
    return activation(at.builder, as_value(x), "clip", minimum=limits[0], maximum=limits[1], name=at.name)


@operation("clamp_min")
def _clamp_min(at: Node, x: Any, minimum: Any) -> Value:
    return _clamp(at, x, minimum)


@operation("clamp_max")
def _clamp_max(at: Node, x: Any, maximum: Any) -> Value:
    return _clamp(at, x, None, maximum)


@operation("softmax")
def _softmax(at: Node, x: Any, axis: int, *_: Any, **__: Any) -> Value:
    return activation(at.builder, as_value(x), "softmax", axis=axis, name=at.name)


@operation("log_softmax")
def _log_softmax(at: Node, x: Any, axis: int, *_: Any, **__: Any) -> Value:
    return activation(at.builder, as_value(x), "log_softmax", axis=axis, name=at.name)


@operation(*_UNARY)
def _unary(at: Node, x: Any) -> Operand:
    return arithmetic.unary(at.builder, _UNARY[at.kind], x, name=at.name)


@operation(*_BINARY)
def _binary(at: Node, x: Any, y: Any, alpha: float = 1) -> Operand:
    return _combined(at, _BINARY[at.kind], x, y, alpha)


@operation("rsub")
def _reversed_subtract(at: Node, x: Any, y: Any, alpha: float = 1) -> Operand:
    if alpha != 1:
        raise Refused("rsub with a factor")
    return _combined(at, "subtract", y, x)


@operation("div")
def _div(at: Node, x: Any, y: Any, *, rounding_mode: str | None = None) -> Operand:
    if rounding_mode is not None:
        raise Refused("a division that rounds")
    return _combined(at, "divide", x, y)


def _combined(at: Node, kind: str, x: Any, y: Any, alpha: float = 1) -> Operand:
    left, right = _operand(x), _operand(y)
    if alpha != 1:
        right = arithmetic.binary(at.builder, "multiply", right, _operand(alpha), name=f"{at.name}_scaled")
    return arithmetic.binary(at.builder, kind, left, right, name=at.name)


@operation("mean")
def _mean(at: Node, x: Any, axes: Any = None, keepdims: bool = False, **_: Any) -> Value:
    return arithmetic.reduce(at.builder, "mean", as_value(x), axes, keepdims, name=at.name)


@operation("sum")
def _sum(at: Node, x: Any, axes: Any = None, keepdims: bool = False, **_: Any) -> Value:
    return arithmetic.reduce(at.builder, "sum", as_value(x), axes, keepdims, name=at.name)


@operation("amax")
def _amax(at: Node, x: Any, axes: Any = (), keepdims: bool = False) -> Value:
    return arithmetic.reduce(at.builder, "max", as_value(x), axes or None, keepdims, name=at.name)


@operation("amin")
def _amin(at: Node, x: Any, axes: Any = (), keepdims: bool = False) -> Value:
    return arithmetic.reduce(at.builder, "min", as_value(x), axes or None, keepdims, name=at.name)


@operation("max", "min")
def _extreme(at: Node, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    if not isinstance(axis, int):
        raise Refused(f"a {at.kind}imum of all elements")
    return [arithmetic.reduce(at.builder, at.kind, as_value(x), [axis], keepdims, name=at.name)]


@operation("linalg_vector_norm")
def _norm(at: Node, x: Any, order: float = 2, axes: Any = None, keepdims: bool = False, **_: Any) -> Operand:
    if order != 2:
        raise Refused(f"a norm of order {order}")
    squares = arithmetic.unary(at.builder, "square", as_value(x), name=f"{at.name}_square")
    total = arithmetic.reduce(at.builder, "sum", as_value(squares), axes, keepdims, name=f"{at.name}_sum")
    return arithmetic.unary(at.builder, "sqrt", total, name=at.name)


_COMPARISONS = {
    "eq": "equal",
    "ge": "greater_equal",
    "gt": "greater",
    "le": "less_equal",
    "lt": "less",
    "ne": "not_equal",
    "logical_and": "logical_and",
    "logical_or": "logical_or",
    "logical_xor": "logical_xor",
}


@operation(*_COMPARISONS)
def _compare(at: Node, x: Any, y: Any) -> Value:
    return pointwise(at.builder, _COMPARISONS[at.kind], {"x1": _operand(x), "x2": _operand(y)}, dtype="bool", name=at.name)


@operation("logical_not")
def _not(at: Node, x: Any) -> Value:
    return pointwise(at.builder, "logical_not", {"x": as_value(x)}, dtype="bool", name=at.name)


@operation("where")
def _where(at: Node, condition: Any, x: Any, y: Any) -> Value:
    operands = {"condition": condition, "x1": _operand(x), "x2": _operand(y)}
    dtypes = {at.builder.dtype(one) for one in (x, y) if isinstance(one, Value)} or {"float32"}
    if len(dtypes) > 1:
        raise Refused("a choice between values of different types")
    return pointwise(at.builder, "where", operands, dtype=dtypes.pop(), name=at.name)


@operation("argmax", "argmin")
def _extremum(at: Node, x: Any, axis: int | None = None, keepdims: bool = False) -> Value:
    if axis is None:
        raise Refused(f"the {at.kind} of all elements, those of other examples among them")
    return extremum(at.builder, at.kind, as_value(x), axis, keepdims=keepdims, name=at.name)


@operation("cumsum")
def _cumulative(at: Node, x: Any, axis: int, **_: Any) -> Value:
    return cumulative(at.builder, as_value(x), axis, name=at.name)


@operation("logsumexp", "prod")
def _reduction(at: Node, x: Any, axes: Any, keepdims: bool = False, **_: Any) -> Value:
    chosen = [axes] if isinstance(axes, int) else list(axes)
    return reduction(at.builder, at.kind, as_value(x), chosen, keepdims, name=at.name)


def _operand(given: Any) -> Operand:
    return given if isinstance(given, Value | Constant) else Constant(np.asarray(given, np.float32))
