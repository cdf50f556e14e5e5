"""Sums, products and what else works element by element or reduces axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.building import pooling
from pybridge.converters.building.activations import activation, rescale
from pybridge.converters.building.builder import Builder
from pybridge.converters.building.layout import constant_like, padded_rank, together
from pybridge.converters.building.values import Constant, Operand, Value, as_value, broadcast_shape, shown
from pybridge.converters.building.windows import images
from pybridge.converters.refusals import Refused

_FOLD: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": np.power,
}
_MERGE = {"add": "Add", "multiply": "Multiply", "maximum": "Maximum", "minimum": "Minimum"}
_UNARY = frozenset(
    {
        "abs",
        "arccos",
        "arccosh",
        "arcsin",
        "arcsinh",
        "arctan",
        "arctanh",
        "ceil",
        "cos",
        "cosh",
        "erf",
        "exp",
        "expm1",
        "floor",
        "log",
        "log1p",
        "round",
        "rsqrt",
        "sign",
        "sin",
        "sinh",
        "sqrt",
        "square",
        "tan",
        "tanh",
    }
)


def binary(b: Builder, kind: str, x: Operand, y: Operand, *, name: str) -> Operand:
    """Combine two operands element by element, with the broadcasting of numpy.

    Args:
        b: The builder.
        kind: add, subtract, multiply, divide, maximum, minimum or power.
        x: The first operand.
        y: The second operand; two constants give a constant.
        name: The name of the layer.

    Raises:
        Refused: If there is no exact counterpart.
    """
    if kind not in _FOLD:
        raise Refused(f"the operation {kind} is not known")
    if isinstance(x, Constant):
        if isinstance(y, Constant):
            return _folded(kind, x, y)
        return _constant_first(b, kind, x, y, name)
    if isinstance(y, Constant):
        return _constant_second(b, kind, x, y, name)
    if kind == "subtract":
        return binary(b, "add", x, rescale(b, y, -1.0, 0.0, name=f"{name}_negative"), name=name)
    if kind in ("add", "multiply") and x.tensor == y.tensor and x.axes == y.axes:
        return unary(b, "square", x, name=name) if kind == "multiply" else rescale(b, x, 2.0, 0.0, name=name)
    left, right = together(b, x, y, name=name)
    physical = tuple(max(sizes) for sizes in zip(left.physical, right.physical, strict=True))
    axes = [one or other for one, other in zip(left.axes, right.axes, strict=True)]
    positive = left.nonnegative and right.nonnegative
    if kind in _MERGE:
        return b.layer(_MERGE[kind], {}, [left, right], name=name, physical=physical, axes=axes, nonnegative=positive)
    return b.operation(kind, {"x1": left, "x2": right}, name=name, physical=physical, axes=axes, nonnegative=positive)


def unary(b: Builder, kind: str, x: Operand, *, name: str) -> Operand:
    """Apply a function of one operand: negative, reciprocal, square, sqrt, rsqrt, exp, log, abs, erf, sin, cos, sign.

    Raises:
        Refused: If there is no exact counterpart.
    """
    if isinstance(x, Constant):
        return Constant(_unary_array(kind, x.array), x.name, False, x.expanded)
    if kind == "negative":
        return rescale(b, x, -1.0, 0.0, name=name)
    if kind == "reciprocal":
        return b.operation("reciprocal", {"x": x}, name=name, nonnegative=x.nonnegative)
    if kind not in _UNARY:
        raise Refused(f"the function {kind} is not known")
    positive = kind in ("abs", "exp", "sqrt", "rsqrt", "square")
    return b.operation(kind, {"x": x}, name=name, nonnegative=positive)


def reduce(b: Builder, kind: str, x: Value, axes: Sequence[int] | None, keepdims: bool, *, name: str) -> Value:
    """Take the mean, sum, max or min over some axes.

    Args:
        b: The builder.
        kind: mean, sum, max or min.
        x: Any value.
        axes: Logical axes; None takes all of them, the batch too.
        keepdims: Whether they stay, with size 1.
        name: The name of the layer.

    Raises:
        Refused: If the batch is among them.
    """
    chosen = sorted({x.axis(axis) for axis in (range(x.rank) if axes is None else axes)})
    if any(0 in x.axes[axis] for axis in chosen):
        raise Refused("it reduces the batch axis")
    if kind == "min":
        negative = rescale(b, x, -1.0, 0.0, name=f"{name}_negative")
        return rescale(b, reduce(b, "max", negative, chosen, keepdims, name=f"{name}_max"), -1.0, 0.0, name=name)
    if kind == "sum":
        count = math.prod(x.shape[axis] for axis in chosen)
        mean = reduce(b, "mean", x, chosen, keepdims, name=f"{name}_mean")
        return rescale(b, mean, float(count), 0.0, name=name)
    if kind not in ("mean", "max"):
        raise Refused(f"the reduction {kind} is not known")
    parts = [part for axis in chosen for part in x.axes[axis]]
    pooled = "Average" if kind == "mean" else "Max"
    if not parts:
        value = x
    elif _is_image(x, chosen):
        channels = next(axis for axis in range(1, 4) if axis not in chosen)
        source = images(b, x, channels, name=name)
        value = pooling.whole(b, source, f"Global{pooled}Pooling2D", name=name)
    else:
        rest = [part for part in range(1, len(x.physical)) if part not in parts and x.physical[part] != 1]
        tensor, physical = b.regroup(x, [[0], sorted(parts), rest], name=name)
        arranged = Value(tensor, physical, ((0,), (1,), (2,)), x.nonnegative)
        out = (physical[0], physical[2])
        value = b.layer(f"Global{pooled}Pooling1D", {}, [arranged], name=name, physical=out, axes=[(0,), (), (1,)])
        split = (physical[0], *(x.physical[part] for part in rest))
        places = {0: 0, **{part: place for place, part in enumerate(rest, 1)}}
        kept = [() if axis in chosen else tuple(places[part] for part in group) for axis, group in enumerate(x.axes)]
        tensor = b.reshaped(value.tensor, out, split, name=name)
        value = Value(tensor, split, tuple(kept), x.nonnegative)
    remaining = value.axes if keepdims else tuple(group for axis, group in enumerate(value.axes) if axis not in chosen)
    return Value(value.tensor, value.physical, remaining, x.nonnegative)


def _is_image(x: Value, chosen: Sequence[int]) -> bool:
    return x.rank == 4 and len(chosen) == 2 and x.axes[0] == (0,) and len(x.physical) == 4 and 0 not in chosen


def _folded(kind: str, x: Constant, y: Constant) -> Constant:
    array = _FOLD[kind](x.array, y.array)
    shape = broadcast_shape(x.shape, y.shape)
    trained = [one for one in (x, y) if one.trainable]
    return Constant(np.asarray(array), trained[0].name if trained else "", bool(trained), shape if shape != array.shape else None)


def _constant_first(b: Builder, kind: str, x: Constant, y: Value, name: str) -> Operand:
    if kind in ("add", "multiply", "maximum", "minimum"):
        return binary(b, kind, y, x, name=name)
    if kind == "subtract":
        return binary(b, "add", rescale(b, y, -1.0, 0.0, name=f"{name}_negative"), x, name=name)
    if kind == "divide":
        inverse = b.operation("reciprocal", {"x": y}, name=f"{name}_reciprocal")
        return binary(b, "multiply", inverse, x, name=name)
    raise Refused(f"a constant to the {kind} of a tensor")


def _constant_second(b: Builder, kind: str, x: Value, y: Constant, name: str) -> Operand:
    number = y.scalar()
    if number is not None and y.rank <= x.rank and math.prod(y.shape) == 1:
        return _with_number(b, kind, padded_rank(x, max(x.rank, y.rank)), number, name)
    if kind == "subtract" and not y.trainable:
        kind, y = "add", y.with_array(-y.array)
    if kind == "divide":
        # Training then moves the inverse of the parameter.
        kind, y = "multiply", y.with_array(1 / np.asarray(y.array, np.float64))
    if kind == "subtract":
        negative = rescale(b, x, -1.0, 0.0, name=f"{name}_negative")
        return rescale(b, as_value(binary(b, "add", negative, y, name=name)), -1.0, 0.0, name=f"{name}_difference")
    if kind not in ("add", "multiply"):
        raise Refused(f"the {kind} of a tensor and {'a parameter' if y.trainable else 'constants'} of shape {shown(y.shape)}")
    x = padded_rank(x, max(x.rank, y.rank))
    return parameter(b, kind, x, y.with_array(constant_like(x, y)), name=name)


def parameter(b: Builder, mode: str, x: Value, weight: Constant, *, name: str) -> Value:
    """Add or multiply by a tensor of numbers that lies as the value does, without the batch."""
    array = weight.array
    if mode == "multiply" and len(x.physical) == 4 and array.size == x.physical[3] and array.shape[-1] == x.physical[3]:
        # A scale for each channel is what a depthwise convolution with a kernel of one pixel computes.
        kernel = weight.with_array(array.reshape(1, 1, -1, 1))
        config = {
            "kernel_size": [1, 1],
            "strides": [1, 1],
            "padding": "valid",
            "data_format": "channels_last",
            "dilation_rate": [1, 1],
            "depth_multiplier": 1,
            "activation": "linear",
            "use_bias": False,
        }
        return b.layer("DepthwiseConv2D", config, [x], name=name, weights={"depthwise_kernel": kernel})
    config = {"mode": mode, "shape": list(array.shape)}
    return b.layer("PybridgeParameter", config, [x], name=name, weights={"value": weight})


def _with_number(b: Builder, kind: str, x: Value, number: float, name: str) -> Value:
    if kind in ("add", "subtract"):
        return rescale(b, x, 1.0, number if kind == "add" else -number, name=name)
    if kind == "multiply":
        return rescale(b, x, number, 0.0, name=name)
    if kind == "divide":
        return rescale(b, x, 1 / number, 0.0, name=name)
    if kind == "maximum":
        return activation(b, x, "clip", name=name, minimum=number)
    if kind == "minimum":
        return activation(b, x, "clip", name=name, maximum=number)
    if number == 2:
        return as_value(unary(b, "square", x, name=name))
    if number == 0.5:
        return as_value(unary(b, "sqrt", x, name=name))
    return b.operation("power", {"x1": x}, {"x2": number}, name=name)


def _unary_array(kind: str, array: NDArray[Any]) -> NDArray[Any]:
    functions: dict[str, Callable[[Any], Any]] = {
        "negative": np.negative,
        "reciprocal": np.reciprocal,
        "rsqrt": lambda value: 1 / np.sqrt(value),
        "erf": np.vectorize(math.erf, otypes=[np.float32]),
    }
    function = functions.get(kind) or (getattr(np, kind) if kind in _UNARY else None)
    if function is None:
        raise Refused(f"the function {kind} is not known")
    return np.asarray(function(array))
