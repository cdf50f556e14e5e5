"""Activations: their names in Keras and in TF.js, and how one is put behind a tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybridge.converters.keras.call import Call
from pybridge.converters.keras.emitter import Symbol
from pybridge.converters.keras.registry import ACTIVATIONS
from pybridge.converters.refusals import Refused

_IN_TFJS = {
    **{name: name for name in ("elu", "gelu", "log_softmax", "mish", "relu", "relu6", "selu")},
    **{name: name for name in ("sigmoid", "softmax", "softplus", "softsign", "tanh", "linear")},
    "silu": "swish",
    # What to_keras makes of these activations of TF.js.
    "<pybridge>hard_sigmoid_tfjs>": "hard_sigmoid",
    "<pybridge>gelu_new>": "gelu_new",
}


def activate(call: Call, activation: Any, symbol: Symbol, *, part: str = "activation") -> Symbol:
    """Apply a Keras activation, by its name or its config, behind a symbol.

    Raises:
        Refused: TF.js has none that is equal, and no rewrite is known.
    """
    name = activation_name(activation)
    if name == "linear":
        return symbol
    same = tfjs_activation(name)
    if same is not None:
        return call.emit("Activation", {"activation": same}, symbol, part=part)
    for candidate in ACTIVATIONS.handlers(name):
        result = candidate(call, symbol)
        if isinstance(result, Symbol):
            return result
    raise Refused(f"has the activation {name!r}, which TF.js does not have")


def activation_name(activation: Any) -> str:
    """The Keras name of an activation; of a function of the user's own its name in angle brackets."""
    if activation is None:
        return "linear"
    if isinstance(activation, str):
        return {"swish": "silu"}.get(activation, activation)
    found = activation.get("config") if isinstance(activation, Mapping) else None
    if isinstance(activation, Mapping) and isinstance(found, Mapping):
        found = activation.get("class_name")
    return f"<{found or type(activation).__name__}>"


def tfjs_activation(name: str) -> str | None:
    """The TF.js name of the activation that computes the same as the Keras one of this name, or None."""
    return _IN_TFJS.get(name)
