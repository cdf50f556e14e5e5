"""Activation functions as layers of TF.js."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import Constant, Value
from pybridge.converters.refusals import Refused

# What TF.js calls the functions that its Activation layer computes as the sources do.
_STOCK = {
    "gelu": "gelu",
    "mish": "mish",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "silu": "swish",
    "softplus": "softplus",
    "softsign": "softsign",
    "tanh": "tanh",
}
_NONNEGATIVE = {"sigmoid", "softplus"}


def activation(b: Builder, x: Value, kind: str, *, name: str, **options: Any) -> Value:
    """Apply an activation function.

    Args:
        b: The builder.
        x: Its input.
        kind: relu, relu6, leaky_relu (alpha), elu (alpha), celu (alpha), clip (minimum, maximum), softmax (axis),
            log_softmax (axis), hard_sigmoid and hard_swish with a slope of 1/6, gelu, gelu_tanh, mish, selu, sigmoid, silu,
            softplus, softsign, tanh.
        name: The name of its layer.
        options: As above.

    Raises:
        Refused: If there is no exact counterpart.
    """
    if kind in _STOCK:
        return b.layer("Activation", {"activation": _STOCK[kind]}, [x], name=name, nonnegative=kind in _NONNEGATIVE)
    if kind not in _BUILT:
        raise Refused(f"the activation {kind} is not known")
    return _BUILT[kind](b, x, name, **options)


def rescale(b: Builder, x: Value, scale: float, offset: float, *, name: str) -> Value:
    """Compute ``x * scale + offset`` with two numbers."""
    if scale == 1 and offset == 0:
        return x
    positive = x.nonnegative and scale >= 0 and offset >= 0
    return b.layer("Rescaling", {"scale": scale, "offset": offset}, [x], name=name, nonnegative=positive)


def prelu(b: Builder, x: Value, weight: Constant, channels: int, *, name: str) -> Value:
    """Apply a leaky ReLU whose slope is learned, one for each channel or one for all."""
    channels = x.axis(channels)
    x = b.ordered(x, [axis for axis in range(x.rank) if axis != channels] + [channels], name=name)
    spread = list(range(1, len(x.physical) - 1))
    if weight.array.size == 1 and x.physical[-1] != 1:
        spread.append(len(x.physical) - 1)
    shape = [1 if axis in spread else size for axis, size in enumerate(x.physical)][1:]
    return b.layer("PReLU", {"shared_axes": spread or None}, [x], name=name, weights={"alpha": weight.reshape(*shape)})


def _relu(b: Builder, x: Value, name: str) -> Value:
    return b.layer("ReLU", {}, [x], name=name, nonnegative=True)


def _clip(b: Builder, x: Value, name: str, minimum: float | None = None, maximum: float | None = None) -> Value:
    if minimum == 0 and (maximum is None or maximum > 0):
        config = {} if maximum is None else {"max_value": maximum}
        return b.layer("ReLU", config, [x], name=name, nonnegative=True)
    if minimum is None:
        return x if maximum is None else b.operation("minimum", {"x1": x}, {"x2": maximum}, name=name)
    if maximum is None:
        return b.operation("maximum", {"x1": x}, {"x2": minimum}, name=name, nonnegative=minimum >= 0)
    return b.operation("clip", {"x": x}, {"x_min": minimum, "x_max": maximum}, name=name, nonnegative=minimum >= 0)


def _leaky_relu(b: Builder, x: Value, name: str, alpha: float = 0.01) -> Value:
    return b.layer("LeakyReLU", {"alpha": alpha}, [x], name=name)


def _elu(b: Builder, x: Value, name: str, alpha: float = 1.0) -> Value:
    if alpha != 1:
        # The Activation layer of TF.js computes with 1 only.
        return b.operation("elu", {"x": x}, {"alpha": alpha}, name=name)
    return b.layer("Activation", {"activation": "elu"}, [x], name=name)


def _hard_sigmoid(b: Builder, x: Value, name: str) -> Value:
    shifted = rescale(b, x, 1.0, 3.0, name=f"{name}_shift")
    clipped = b.layer("ReLU", {"max_value": 6}, [shifted], name=f"{name}_relu6", nonnegative=True)
    return rescale(b, clipped, 1 / 6, 0.0, name=name)


def _hard_swish(b: Builder, x: Value, name: str) -> Value:
    gate = _hard_sigmoid(b, x, f"{name}_gate")
    return b.layer("Multiply", {}, [x, gate], name=name)


def _softmax(b: Builder, x: Value, name: str, axis: int = -1, kind: str = "softmax") -> Value:
    axis = x.axis(axis)
    if x.axes[axis] != (len(x.physical) - 1,):
        rest = [(part,) for part in range(len(x.physical)) if part not in x.axes[axis]]
        slots = [*rest, x.axes[axis]]
        tensor, physical = b.regroup(x, slots, name=name)
        axes = [tuple(rest.index((part,)) for part in group) for at, group in enumerate(x.axes) if at != axis]
        axes.insert(axis, (len(slots) - 1,))
        x = Value(tensor, physical, tuple(axes))
    if kind == "softmax":
        return b.layer("Softmax", {"axis": -1}, [x], name=name, nonnegative=True)
    return b.layer("Activation", {"activation": "log_softmax"}, [x], name=name)


def _log_softmax(b: Builder, x: Value, name: str, axis: int = -1) -> Value:
    return _softmax(b, x, name, axis, "log_softmax")


_BUILT: dict[str, Callable[..., Value]] = {
    "celu": lambda b, x, name, alpha=1.0: b.operation("celu", {"x": x}, {"alpha": alpha}, name=name),
    "clip": _clip,
    "elu": _elu,
    # TF.js has it as gelu_new, but cannot load that name from a model.json.
    "gelu_tanh": lambda b, x, name: b.operation("gelu", {"x": x}, {"approximate": True}, name=name),
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": _hard_swish,
    "leaky_relu": _leaky_relu,
    "log_softmax": _log_softmax,
    "relu": _relu,
    "relu6": lambda b, x, name: b.layer("ReLU", {"max_value": 6}, [x], name=name, nonnegative=True),
    "softmax": _softmax,
}
