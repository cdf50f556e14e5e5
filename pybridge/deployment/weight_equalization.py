"""Kernels whose channels are of one range, so that one step of eight bits fits them all."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.topology import FlatTopology, parse_flat

# A channel that is nearly zero stays so.
_MOST = 1024.0


def equalized(model: LayersModel) -> LayersModel:
    """A model that computes the same, whose convolutions have output channels of similar range.

    The TF.js format has one step for a whole weight; a channel of small range next to one of large range would be left with few
    of the 256 values. Where batch normalization follows a convolution without bias, channel ``c`` of the kernel can be multiplied
    by any ``s``, if the moving mean is multiplied by ``s`` too and the variance becomes ``s^2 (variance + epsilon) - epsilon``:
    what is normalized is the same. (The idea is that of Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization
    and Bias Correction", who scale pairs of layers.)

    Args:
        model: A trained model. It stays as it is. Models that are not flat come back unchanged.

    Example:
        >>> equalized(model).write(folder, precision="uint8")
    """
    try:
        graph = parse_flat(model.topology)
    except ModelFormatError:
        return model
    weights = dict(model.weights)
    for convolution, norm, epsilon in _pairs(graph, model):
        kernel = weights[f"{convolution}/kernel"]
        scale = _scale(kernel)
        wide = scale.astype(np.float64)
        variance = wide**2 * (weights[f"{norm}/moving_variance"].astype(np.float64) + epsilon) - epsilon
        weights[f"{convolution}/kernel"] = kernel * scale
        weights[f"{norm}/moving_mean"] = weights[f"{norm}/moving_mean"] * scale
        weights[f"{norm}/moving_variance"] = variance.astype(np.float32)
    return replace(model, weights=weights)


def _pairs(graph: FlatTopology, model: LayersModel) -> list[tuple[str, str, float]]:
    """Convolutions whose only reader is a batch normalization of their channels, with its epsilon."""
    layers = {layer.name: layer for layer in graph.layers}
    readers = Counter(source for layer in graph.layers for source in layer.inputs)
    shared = {*graph.copies, *graph.copies.values()}
    found = []
    for norm in graph.layers:
        if norm.class_name != "BatchNormalization" or len(norm.inputs) != 1 or norm.name in shared:
            continue
        source = layers[norm.inputs[0]]
        if source.class_name != "Conv2D" or readers[source.name] != 1 or source.name in shared:
            continue
        plain = not source.config.get("use_bias", True) and source.config.get("activation", "linear") in (None, "linear")
        last = source.config.get("data_format", "channels_last") in (None, "channels_last") and _axis(norm.config) in (-1, 3)
        names = {f"{source.name}/kernel", f"{norm.name}/moving_mean", f"{norm.name}/moving_variance"}
        if plain and last and names <= set(model.weights):
            found.append((source.name, norm.name, float(norm.config.get("epsilon", 1e-3))))
    return found


def _axis(config: dict[str, Any]) -> Any:
    axis = config.get("axis", -1)
    return axis[0] if isinstance(axis, list) and len(axis) == 1 else axis


def _scale(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each output channel the largest factor that keeps it within the range of the whole kernel, zero included."""
    channels = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
    scale = np.full(channels.shape[1], _MOST)
    for sign in (1, -1):
        largest = (sign * channels).max(axis=0).clip(min=0)
        np.minimum(scale, np.divide(largest.max(), largest, out=scale.copy(), where=largest > 0), out=scale)
    found: NDArray[np.float32] = scale.clip(min=1).astype(np.float32)
    return found
