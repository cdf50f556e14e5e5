"""Operations of Functional graphs for which a plain layer of TF.js does the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pybridge.converters.keras.activations import activate
from pybridge.converters.keras.call import Call, Symbol
from pybridge.converters.keras.registry import DECLINED, rewrite_operation
from pybridge.tfjs.topology.names import snake


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
    return activate(call, snake(call.class_name), call.input)


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


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, str)) or value is None or isinstance(value, Symbol):
        return None
    array = np.asarray(value)
    if array.size != 1 or array.ndim or array.dtype.kind not in "fiu" or not np.isfinite(array):
        return None
    return float(array)


def _listed(value: Any) -> Sequence[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
