"""Activations, arithmetic and reductions of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybridge.converters.building import arithmetic
from pybridge.converters.building.activations import activation
from pybridge.converters.building.values import Constant, Operand, Refused, Value, as_value
from pybridge.converters.torch.registry import HANDLERS, Place, bound, handles


def _activation(kind: str, at: Place, x: Any) -> Value:
    return activation(at.builder, as_value(x), kind, name=at.name)


@handles("gelu")
def _gelu(at: Place, x: Any, *, approximate: str = "none") -> Value:
    return activation(at.builder, as_value(x), "gelu" if approximate == "none" else "gelu_tanh", name=at.name)


@handles("softplus")
def _softplus(at: Place, x: Any, beta: float = 1, threshold: float = 20) -> Value:
    # Beyond the threshold PyTorch returns x itself; log(1 + exp(20)) differs from 20 by less than float32 tells.
    if beta != 1 or threshold < 17:
        raise Refused(f"softplus with beta {beta} and threshold {threshold}")
    return activation(at.builder, as_value(x), "softplus", name=at.name)


@handles("leaky_relu")
def _leaky_relu(at: Place, x: Any, slope: float = 0.01) -> Value:
    return activation(at.builder, as_value(x), "leaky_relu", alpha=slope, name=at.name)


@handles("elu")
def _elu(at: Place, x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Value:
    if scale != 1 or input_scale != 1:
        raise Refused("ELU with scales")
    return activation(at.builder, as_value(x), "elu", alpha=alpha, name=at.name)


@handles("hardtanh")
def _hardtanh(at: Place, x: Any, minimum: float = -1, maximum: float = 1) -> Value:
    return activation(at.builder, as_value(x), "clip", minimum=minimum, maximum=maximum, name=at.name)


@handles("clamp", "clip")
def _clamp(at: Place, x: Any, minimum: Any = None, maximum: Any = None) -> Value:
    limits = [limit.scalar() if isinstance(limit, Constant) else limit for limit in (minimum, maximum)]
    return activation(at.builder, as_value(x), "clip", minimum=limits[0], maximum=limits[1], name=at.name)


@handles("clamp_min")
def _clamp_min(at: Place, x: Any, minimum: Any) -> Value:
    return _clamp(at, x, minimum)


@handles("clamp_max")
def _clamp_max(at: Place, x: Any, maximum: Any) -> Value:
    return _clamp(at, x, None, maximum)


@handles("softmax", "_softmax")
def _softmax(at: Place, x: Any, axis: int, *_: Any, **__: Any) -> Value:
    return activation(at.builder, as_value(x), "softmax", axis=axis, name=at.name)


@handles("log_softmax", "_log_softmax")
def _log_softmax(at: Place, x: Any, axis: int, *_: Any, **__: Any) -> Value:
    return activation(at.builder, as_value(x), "log_softmax", axis=axis, name=at.name)


def _binary(kind: str, at: Place, x: Any, y: Any, alpha: float = 1) -> Operand:
    left, right = _operand(x), _operand(y)
    if alpha != 1:
        right = arithmetic.binary(at.builder, "multiply", right, _operand(alpha), name=f"{at.name}_scaled")
    return arithmetic.binary(at.builder, kind, left, right, name=at.name)


def _reversed_subtract(at: Place, x: Any, y: Any, alpha: float = 1) -> Operand:
    return _binary("subtract", at, y, x) if alpha == 1 else _refuse("rsub with a factor")


def _div(at: Place, x: Any, y: Any, *, rounding_mode: str | None = None) -> Operand:
    return _binary("divide", at, x, y) if rounding_mode is None else _refuse("a division that rounds")


def _unary(kind: str, at: Place, x: Any) -> Operand:
    return arithmetic.unary(at.builder, kind, x, name=at.name)


@handles("mean")
def _mean(at: Place, x: Any, axes: Any = None, keepdims: bool = False, **_: Any) -> Value:
    return arithmetic.reduce(at.builder, "mean", as_value(x), axes, keepdims, name=at.name)


@handles("sum")
def _sum(at: Place, x: Any, axes: Any = None, keepdims: bool = False, **_: Any) -> Value:
    return arithmetic.reduce(at.builder, "sum", as_value(x), axes, keepdims, name=at.name)


@handles("amax")
def _amax(at: Place, x: Any, axes: Any = (), keepdims: bool = False) -> Value:
    return arithmetic.reduce(at.builder, "max", as_value(x), axes or None, keepdims, name=at.name)


@handles("amin")
def _amin(at: Place, x: Any, axes: Any = (), keepdims: bool = False) -> Value:
    return arithmetic.reduce(at.builder, "min", as_value(x), axes or None, keepdims, name=at.name)


@handles("max", "min")
def _max(at: Place, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    if not isinstance(axis, int):
        raise Refused("a maximum of all elements")
    return [arithmetic.reduce(at.builder, "max", as_value(x), [axis], keepdims, name=at.name)]


@handles("linalg_vector_norm")
def _norm(at: Place, x: Any, order: float = 2, axes: Any = None, keepdims: bool = False, **_: Any) -> Operand:
    if order != 2:
        raise Refused(f"a norm of order {order}")
    squares = arithmetic.unary(at.builder, "square", as_value(x), name=f"{at.name}_square")
    total = arithmetic.reduce(at.builder, "sum", as_value(squares), axes, keepdims, name=f"{at.name}_sum")
    return arithmetic.unary(at.builder, "sqrt", total, name=at.name)


def _operand(given: Any) -> Operand:
    return given if isinstance(given, Value | Constant) else Constant(np.asarray(given, np.float32))


def _refuse(reason: str) -> Any:
    raise Refused(reason)


_BINARY = {"add": "add", "sub": "subtract", "mul": "multiply", "maximum": "maximum", "minimum": "minimum", "pow": "power"}
_UNARY = ("abs", "ceil", "cos", "erf", "exp", "floor", "log", "reciprocal", "rsqrt", "sign", "sin", "sqrt", "square")
_ACTIVATIONS = ("relu", "relu6", "sigmoid", "tanh", "silu", "mish", "selu", "softsign")

HANDLERS |= {name: bound(_binary, kind) for name, kind in _BINARY.items()}
HANDLERS |= {name: bound(_unary, name) for name in _UNARY}
HANDLERS |= {name: bound(_activation, name) for name in _ACTIVATIONS}
HANDLERS |= {
    "div": _div,
    "hardsigmoid": bound(_activation, "hard_sigmoid"),
    "hardswish": bound(_activation, "hard_swish"),
    "neg": bound(_unary, "negative"),
    "rsub": _reversed_subtract,
}
