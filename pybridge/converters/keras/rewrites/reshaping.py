"""Layers that merge or reshape, where TF.js lacks them or computes them otherwise."""

from __future__ import annotations

from typing import Any

from pybridge.converters.keras.call import Call, Symbol
from pybridge.converters.keras.registry import DECLINED, rewrite


@rewrite("Subtract")
def subtract(call: Call) -> Symbol:
    """The sum of a and -b, which rounds as a - b does."""
    first, second = call.inputs
    negative = call.emit("Rescaling", {"scale": -1.0, "offset": 0.0}, second, part="negative")
    return call.emit("Add", {}, [first, negative], shape=call.output_shape)


@rewrite("Flatten")
def flatten(call: Call) -> Any:
    """With the channels first Keras moves them to the end before it flattens."""
    rank = len(call.input.shape)
    if call.config.get("data_format") != "channels_first" or rank < 3:
        return DECLINED
    shape = call.input.shape
    moved = (shape[0], *shape[2:], shape[1])
    last = call.emit("Permute", {"dims": [*range(2, rank), 1]}, part="permute", shape=moved)
    return call.emit("Flatten", {}, last, shape=call.output_shape)


@rewrite("Reshape")
def reshape(call: Call) -> Any:
    """Without a -1 where the size is known: that of TF.js makes an unknown size of it if the batch is open."""
    static = call.output_shape[1:]
    if -1 not in call.config["target_shape"] or None in static:
        return DECLINED
    return call.emit("Reshape", {"target_shape": list(static)}, shape=call.output_shape)


@rewrite("Parameter")
def parameter(call: Call) -> Symbol:
    """The twin of our own class."""
    config = {"mode": call.layer.mode, "shape": list(call.layer.shape)}
    return call.emit("PybridgeParameter", config, weights={"value": call.weight(call.layer.value)}, shape=call.output_shape)
