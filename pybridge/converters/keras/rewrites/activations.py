"""Activation functions and activation layers, as layers of plain TF.js where a short exact way exists."""

from __future__ import annotations

from typing import Any

from pybridge.converters.keras.call import Call, Symbol
from pybridge.converters.keras.own_layers import known_activation, own
from pybridge.converters.keras.registry import DECLINED, rewrite, rewrite_activation
from pybridge.converters.refusals import Refused


@rewrite_activation("hard_sigmoid")
def hard_sigmoid(call: Call, x: Symbol) -> Symbol:
    """relu6(x + 3) / 6, as x / 6 + 1/2 between 0 and 1."""
    scaled = call.emit("Rescaling", {"scale": 1 / 6, "offset": 0.5}, x, part="gate_scale")
    return call.emit("ReLU", {"max_value": 1.0}, scaled, part="gate")


@rewrite_activation("hard_silu")
def hard_silu(call: Call, x: Symbol) -> Symbol:
    """The input times its hard sigmoid."""
    return call.emit("Multiply", {}, [x, hard_sigmoid(call, x)], part="hard_silu")


@rewrite_activation("leaky_relu")
def leaky_relu(call: Call, x: Symbol) -> Symbol:
    """Keras's function has another default slope than both layers."""
    return call.emit("LeakyReLU", {"alpha": 0.2}, x, part="leaky_relu")


@rewrite_activation(
    *("celu", "exponential", "glu", "hard_shrink", "hard_tanh", "log_sigmoid", "soft_shrink", "sparse_plus", "sparse_sigmoid"),
    *("sparsemax", "squareplus", "tanh_shrink", "threshold"),
)
def by_name(call: Call, x: Symbol) -> Symbol:
    """The function of the same name in our Activation."""
    name = call.config.get("activation")
    if not known_activation(name):
        raise Refused(f"has the activation {name!r}, which is not one of Keras's own")
    shape = call.output_shape if name == "glu" else x.shape
    return call.emit("PybridgeActivation", {"activation": name}, x, part="activation", shape=shape)


@rewrite("ReLU")
def relu(call: Call) -> Any:
    """TF.js ignores the slope and the threshold; with a slope alone it is its LeakyReLU."""
    slope, threshold, limit = (call.config.get(key) or 0.0 for key in ("negative_slope", "threshold", "max_value"))
    if not slope and not threshold:
        return DECLINED
    if not threshold and not limit:
        return call.emit("LeakyReLU", {"alpha": slope})
    return own(call)


@rewrite("ELU")
def elu(call: Call) -> Any:
    """TF.js ignores alpha."""
    return DECLINED if call.config.get("alpha", 1.0) == 1.0 else own(call)


@rewrite("Softmax")
def softmax(call: Call) -> Any:
    """TF.js has it along the last axis only, and without a mask."""
    last = call.config["axis"] in (-1, len(call.input.shape) - 1)
    return DECLINED if last and len(call.inputs) == 1 else own(call)


@rewrite("PReLU")
def prelu(call: Call) -> Any:
    """TF.js multiplies by a slope that is shared along its axes, but gives no gradient for it."""
    return own(call) if call.config.get("shared_axes") else DECLINED


@rewrite("Identity")
def identity(call: Call) -> Symbol:
    """What TF.js calls a linear activation."""
    return call.emit("Activation", {"activation": "linear"})
