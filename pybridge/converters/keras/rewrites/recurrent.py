"""Recurrent layers with options that TF.js lacks or computes otherwise."""

from __future__ import annotations

from typing import Any

from pybridge.converters.keras.call import Call
from pybridge.converters.keras.configs import plain_config
from pybridge.converters.keras.own_layers import own, serves
from pybridge.converters.keras.registry import DECLINED, rewrite


@rewrite("SimpleRNN", "GRU", "LSTM", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def recurrent(call: Call) -> Any:
    """GRU with reset_after, hard sigmoid gates, and convolutions in one and three dimensions are ours."""
    # Bidirectional sets this in all layers inside it; it matters only where something is masked.
    zeros = call.config.get("zero_output_for_mask") and call.config.get("return_sequences") and call.walk.has_masks
    return DECLINED if serves(call) and not zeros else own(call)


@rewrite("RNN", priority=1)
def gru_cell(call: Call) -> Any:
    """An RNN around one GRUCell with reset_after, which the cell of TF.js lacks, is a GRU."""
    cell = call.layer.cell
    if type(cell).__name__ != "GRUCell" or not cell.reset_after:
        return DECLINED
    options = {key: call.config[key] for key in ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")}
    return own(call, class_name="GRU", config={**plain_config(cell), **options})
