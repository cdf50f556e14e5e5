"""Layers that hold other layers: TimeDistributed, Bidirectional, RNN."""

from __future__ import annotations

from typing import Any

from pybridge.converters.keras.call import Call, Symbol, Weight
from pybridge.converters.keras.common_layers import COMMON, common_config
from pybridge.converters.keras.configs import plain_config
from pybridge.converters.keras.registry import rewrite
from pybridge.converters.refusals import Refused
from pybridge.tfjs.topology.names import tfjs_name

_CELLS = ("SimpleRNNCell", "LSTMCell", "GRUCell")
_RNN_OPTIONS = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")


@rewrite("TimeDistributed")
def time_distributed(call: Call) -> list[Symbol]:
    """``TimeDistributed``: the inner layer for each step."""
    _no_mask(call)
    if getattr(call.layer.layer, "_call_has_mask_arg", False):
        call.walk.note_unmasked(call.layer)
    shape = call.input.shape
    entry, weights, inner = call.nested(call.layer.layer, (shape[0], *shape[2:]), call.input.dtype)
    return call.emit_inner("TimeDistributed", {"layer": entry}, call.inputs, weights=weights, inner=inner)


@rewrite("Bidirectional")
def bidirectional(call: Call) -> list[Symbol]:
    """``Bidirectional``: TF.js makes the backward layer from the forward layer."""
    _no_mask(call)
    forward, backward = call.layer.forward_layer, call.layer.backward_layer
    config, mirrored = plain_config(forward), plain_config(backward)
    flipped = {**mirrored, "name": config["name"], "go_backwards": not mirrored.get("go_backwards")}
    if {**config, "seed": None} != {**flipped, "seed": None}:
        raise Refused("has a backward layer that is not the mirror of its forward layer")
    entry, weights, inner = call.nested(forward, call.input.shape, call.input.dtype)
    _, weights_back, inner_back = call.nested(backward, call.input.shape, call.input.dtype)
    if inner is not None or inner_back is not None:
        raise Refused(f"holds {forward.name!r}, which is no single recurrent layer in TF.js")
    name = tfjs_name(str(forward.name).removeprefix("forward_"))
    entry = {"class_name": entry["class_name"], "config": {**entry["config"], "name": name}}
    named = {f"forward_{name}/{key}": weight for key, weight in weights.items()}
    named.update({f"backward_{name}/{key}": weight for key, weight in weights_back.items()})
    merge = call.config["merge_mode"]
    return call.emit_inner("Bidirectional", {"layer": entry, "merge_mode": merge}, call.inputs, weights=named)


@rewrite("RNN")
def rnn(call: Call) -> list[Symbol]:
    """``RNN`` around one cell or several."""
    _no_mask(call)
    entry, weights = _cell(call, call.layer.cell)
    config = {key: call.config[key] for key in _RNN_OPTIONS}
    return call.emit_inner("RNN", {"cell": entry, **config}, call.inputs, weights=weights)


def _cell(call: Call, cell: Any) -> tuple[dict[str, Any], dict[str, Weight]]:
    class_name = type(cell).__name__
    if not type(cell).__module__.startswith("keras."):
        raise Refused(f"has the cell {cell.name!r}, a class of your own")
    if class_name == "StackedRNNCells":
        entries, weights = [], {}
        for number, inner in enumerate(cell.cells):
            entry, found = _cell(call, inner)
            entries.append(entry)
            weights.update({f"RNNCell_{number}/{key}": weight for key, weight in found.items()})
        return {"class_name": class_name, "config": {"name": tfjs_name(str(cell.name)), "cells": entries}}, weights
    if class_name not in _CELLS or class_name not in COMMON:
        raise Refused(f"has a cell of the class {class_name}, which TF.js does not have")
    config = {**common_config(class_name, plain_config(cell)), "name": tfjs_name(str(cell.name)), "trainable": call.trainable}
    weights = {variable.name: call.weight(variable) for variable in cell.weights}
    return {"class_name": class_name, "config": config}, weights


def _no_mask(call: Call) -> None:
    if isinstance(call.kwargs.get("mask"), Symbol):
        raise Refused("is given a mask as a tensor, which TF.js does not take")
