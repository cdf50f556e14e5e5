"""Dropout, with shapes of its noise that TF.js throws at in training."""

from __future__ import annotations

from typing import Any

from pybridge.converters.keras.call import Call, Symbol
from pybridge.converters.keras.own_layers import own
from pybridge.converters.keras.registry import DECLINED, rewrite


@rewrite("Dropout", priority=1)
def dropout_of_examples(call: Call) -> Any:
    """``noise_shape=(None, 1, ..., 1)``: the noise is the same for a whole example, as residual networks drop blocks."""
    noise = call.config.get("noise_shape")
    if noise is None or len(noise) != len(call.input.shape) or any(size != 1 for size in noise[1:]) or len(noise) < 2:
        return DECLINED
    return DECLINED if noise[0] not in (None, call.input.shape[0]) else drop_examples(call, float(call.config["rate"]))


def drop_examples(call: Call, rate: float) -> Symbol:
    """Drop whole examples while training: a dropout of one 1 for each example, times the input.

    The 1 is made of the input itself, since a TF.js layer must have one: any mean of it, times 0, plus 1.
    """
    rank = len(call.input.shape)
    flat = call.emit("Reshape", {"target_shape": [-1, 1]}, part="steps", shape=(call.input.shape[0], None, 1))
    mean = call.emit("GlobalAveragePooling1D", {}, flat, part="mean", shape=(call.input.shape[0], 1))
    one = call.emit("Rescaling", {"scale": 0.0, "offset": 1.0}, mean, part="one")
    noise = call.emit("Dropout", {"rate": rate}, one, part="noise")
    shape = (call.input.shape[0], *(1 for _ in range(rank - 1)))
    spread = call.emit("Reshape", {"target_shape": [1] * (rank - 1)}, noise, part="spread", shape=shape)
    return call.emit("Multiply", {}, [call.input, spread], shape=call.input.shape)


@rewrite("Dropout")
def dropout(call: Call) -> Any:
    """With a shape of its noise that of TF.js throws in training."""
    return DECLINED if call.config.get("noise_shape") is None else own(call)


@rewrite("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
def spatial_dropout(call: Call) -> Any:
    """TF.js has the first of these, which throws in training."""
    return own(call)


@rewrite("ActivityRegularization")
def activity_regularization(call: Call) -> Any:
    """TF.js has no losses of activations."""
    return own(call)
