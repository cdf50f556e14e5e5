"""Normalization layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from pybridge.converters.keras.call import Call, Symbol
from pybridge.converters.keras.common_layers import emit_common
from pybridge.converters.keras.own_layers import own, serves
from pybridge.converters.keras.registry import DECLINED, rewrite
from pybridge.converters.keras.rewrites.regularization import drop_examples
from pybridge.converters.refusals import Refused

_EPSILON = 1e-7
"""``keras.backend.epsilon()``, below which Normalization does not let a deviation fall."""


@rewrite("LayerNormalization")
def layer_normalization(call: Call) -> Any:
    """TF.js computes it along the last axes; the rest is ours."""
    rank = len(call.input.shape)
    axes = call.config["axis"] if isinstance(call.config["axis"], list) else [call.config["axis"]]
    last = sorted(axis % rank for axis in axes) == list(range(rank - len(axes), rank))
    # Without gamma or beta TF.js has no gradient.
    complete = call.config["scale"] and call.config["center"]
    if not (last and complete and serves(call)):
        return own(call)
    # TF.js counts the axes from the first when it saves the model.
    return emit_common(call, {**call.config, "axis": sorted(axis % rank for axis in axes)})


@rewrite("GroupNormalization", "RMSNormalization", "UnitNormalization")
def own_normalization(call: Call) -> Any:
    """TF.js has none of these."""
    return own(call)


@rewrite("BatchNormalization")
def batch_normalization(call: Call) -> Any:
    """That of TF.js serves where it trains, along the last axis of two to four, with both of its weights.

    Along another axis its gradient is wrong in shape; without gamma or beta it throws in training; with more axes it throws; and
    where it does not train it takes the statistics of the batch all the same, and moves its own.
    """
    if call.config.get("renorm"):
        raise Refused("has renorm=True, which TF.js does not know", "Train it without renorm.")
    rank = len(call.input.shape)
    last = call.config["axis"] in (-1, rank - 1) and rank <= 4
    complete = call.config["scale"] and call.config["center"]
    return DECLINED if last and complete and call.trainable and serves(call) else own(call)


@rewrite("SpectralNormalization")
def spectral_normalization(call: Call) -> Any:
    """Our wrapper around the layer inside, where that is one layer of TF.js."""
    entry, weights, inner = call.nested(call.layer.layer, call.input.shape, call.input.dtype)
    if inner is not None:
        raise Refused("holds a layer that becomes several in TF.js", "Put its activation behind it as a layer.")
    weights = {**weights, "vector_u": call.weight(call.layer.vector_u)}
    config = {"layer": entry, "power_iterations": call.config["power_iterations"]}
    return call.emit("PybridgeSpectralNormalization", config, weights=weights, shape=call.output_shape)


@rewrite("Normalization")
def normalization(call: Call) -> Any:
    """A Rescaling, with a list of factors where each channel has its own; its statistics stay in the record."""
    layer = call.layer
    if call.config.get("invert") or call.input.dtype != "float32":
        return own(call)
    mean, variance = np.asarray(layer.mean, np.float64), np.asarray(layer.variance, np.float64)
    if mean.size not in (1, mean.shape[-1] if mean.ndim else 1):
        return own(call)
    scale = 1.0 / np.maximum(np.sqrt(variance), _EPSILON)
    for variable in layer.weights:
        call.keep(variable)
    return call.emit("Rescaling", {"scale": _numbers(scale), "offset": _numbers(-mean * scale)})


@rewrite("Rescaling")
def rescaling(call: Call) -> Any:
    """The Rescaling of TF.js takes a list of numbers for the last axis as well, though its types do not say so."""
    scale, offset = (np.asarray(_plain(call.config[key]), np.float64) for key in ("scale", "offset"))
    if max(scale.ndim, offset.ndim) > 1:
        raise Refused("has a scale or offset over several axes, which TF.js does not take")
    return call.emit("Rescaling", {"scale": _numbers(scale), "offset": _numbers(offset)})


@rewrite("LayerScale")
def layer_scale(call: Call) -> Symbol:
    """A factor for each channel that trains: the kernel of a depthwise convolution of one pixel."""
    gamma = call.weight(call.layer.gamma)
    channels = int(call.layer.gamma.shape[0])
    config = {"kernel_size": [1, 1], "strides": [1, 1], "padding": "valid", "depth_multiplier": 1, "use_bias": False}
    return call.emit("DepthwiseConv2D", config, weights={"depthwise_kernel": gamma.reshape((1, 1, channels, 1))})


@rewrite("StochasticDepth")
def stochastic_depth(call: Call) -> Symbol:
    """Drops whole examples while training: a dropout whose noise is the same in a whole example."""
    return drop_examples(call, float(call.layer.drop_path_rate))


@rewrite("CustomScaleLayer")
def custom_scale(call: Call) -> Symbol:
    """The first input and the scaled second one, added."""
    scaled = call.emit("Rescaling", {"scale": float(call.layer.scale), "offset": 0.0}, call.inputs[1], part="scale")
    return call.emit("Add", {}, [call.inputs[0], scaled])


def _numbers(values: Any) -> float | list[float]:
    flat = [float(value) for value in np.asarray(values).ravel()]
    return flat[0] if len(flat) == 1 else flat


def _plain(value: Any) -> Any:
    return value["config"]["value"] if isinstance(value, dict) else value
