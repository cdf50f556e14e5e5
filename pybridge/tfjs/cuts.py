"""Where a model can be divided into a frozen part and a part that trains."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pybridge.errors import ModelFormatError
from pybridge.text import suggest
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.topology import parse_flat
from pybridge.tfjs.weight_names import weights_by_layer


@dataclass(frozen=True)
class CutPoint:
    """A layer through which all data of a model pass.

    Attributes:
        layer: Its name; a cut lies behind it.
        position: Its place among all layers of the model, the input being 0.
        layers_before: Layers with weights up to and including it.
        layers_after: Layers with weights behind it.
        parameters_before: Numbers in the weights of the former.
        parameters_after: Numbers in the weights of the latter.
    """

    layer: str
    position: int
    layers_before: int
    layers_after: int
    parameters_before: int
    parameters_after: int


def cut_points(model: LayersModel) -> list[CutPoint]:
    """List the places where a flat model can be cut in two, from the first layer behind the input to the last.

    Raises:
        ModelFormatError: If the model is not flat or damaged.
    """
    flat = parse_flat(model.topology)
    owned = weights_by_layer(model.weights, flat.names)
    sizes = [sum(model.weights[weight].size for weight in owned.get(name, [])) for name in flat.names]
    total, layers = sum(sizes), len(owned)
    points: list[CutPoint] = []
    narrow = set(flat.cut_positions())
    parameters = weighted = 0
    for position, name in enumerate(flat.names):
        parameters += sizes[position]
        weighted += name in owned
        if position > 0 and position in narrow:
            points.append(CutPoint(name, position, weighted, layers - weighted, parameters, total - parameters))
    return points


def choose_cut(model: LayersModel, unfreeze: int | float | str) -> str | None:
    """Choose the cut behind which a flat model trains, keeping as much as possible frozen.

    Args:
        model: A flat model, usually a feature extractor.
        unfreeze: How much trains:

            - an int ``n``: the last ``n`` layers with weights (a convolution and its batch normalization are two);
              0 is none;
            - a float from 0 to 1: that share of the layers with weights, so 1/3 is the last third;
            - a layer's name: everything behind that layer;
            - ``"all"``: everything.

            Where data flow around the exact place (inside a residual block), more is unfrozen: up to the cut point
            before it.

    Returns:
        The name of the last frozen layer (a cut point), or None where everything trains.

    Raises:
        ModelFormatError: If there is no such layer or the amount makes no sense.

    Example:
        >>> choose_cut(mobilenet_features, 1 / 3)
        'conv_dw_9_relu'
    """
    points = cut_points(model)
    if isinstance(unfreeze, str):
        return None if unfreeze == "all" else _cut_by_name(model, points, unfreeze)
    total = points[-1].layers_before + points[-1].layers_after if points else 0
    if isinstance(unfreeze, bool) or not isinstance(unfreeze, (int, float)):
        raise ModelFormatError(f"unfreeze={unfreeze!r} is neither a number nor a layer", hint=_HINT)
    if isinstance(unfreeze, float):
        if not 0 <= unfreeze <= 1:
            raise ModelFormatError(f"unfreeze={unfreeze} is not a share between 0 and 1", hint=_HINT)
        # Without the tolerance 0.07 of 100 layers would be 8: the product is 7.000000000000001 in floating point.
        wanted = math.ceil(unfreeze * total - 1e-9)
    else:
        wanted = unfreeze
    if wanted < 0:
        raise ModelFormatError(f"unfreeze={unfreeze} is negative", hint=_HINT)
    if wanted >= total and wanted > 0:
        return None
    fitting = [point for point in points if point.layers_after >= wanted]
    return fitting[-1].layer if fitting and fitting[-1].layers_before > 0 else None


def fixed_layers(model: LayersModel, cut: str | None) -> list[str]:
    """Name the layers with weights behind a cut that are marked as not trainable, and so stay as they are.

    They are tables that the model computes with, such as those of a resizing; or their author froze them.

    Args:
        model: A flat model.
        cut: A layer of it; None for the whole model.
    """
    flat = parse_flat(model.topology)
    owned = weights_by_layer(model.weights, flat.names)
    behind = flat.layers if cut is None else flat.layers[flat.index(cut) + 1 :]
    return [layer.name for layer in behind if layer.name in owned and layer.config.get("trainable") is False]


_HINT = 'Give a number of layers (20), a share (0.3), the name of the last frozen layer, or "all".'


def _cut_by_name(model: LayersModel, points: list[CutPoint], layer: str) -> str | None:
    names = parse_flat(model.topology).names
    if layer not in names:
        raise ModelFormatError(f"unfreeze={layer!r}: the model has no such layer", hint=suggest(layer, names))
    position = names.index(layer)
    fitting = [point for point in points if point.position <= position and point.layers_before > 0]
    return fitting[-1].layer if fitting else None
