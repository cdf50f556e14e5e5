"""Surgery on models: flatten, truncate, split, extend and join them, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.metadata import without_keras_record
from pybridge.tfjs.topology import FlatLayer, FlatTopology, parse_flat, parse_nested
from pybridge.tfjs.topology.names import first_free, underscored
from pybridge.tfjs.weight_names import owner_of, weights_by_layer

_REDUCERS = ("GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten")


def flatten(model: LayersModel) -> LayersModel:
    """Lift the layers of nested models to the top: one ``Functional``, one input, one output.

    Layers that the output does not need are dropped, as are weights that belong to no layer. Weights are renamed to
    ``layer/weight`` where nesting had put scopes before it. A layer that is used several times becomes one layer for each
    use, with the same weights; if they are trained, each goes its own way.

    Args:
        model: A Functional or Sequential model whose layers may be models themselves, such as Teachable Machine's.

    Raises:
        ModelFormatError: If it is damaged, has several inputs or outputs, or a nested model that is used several times.
    """
    flat, renamed = parse_nested(model.topology)
    weights = _renamed_weights(model.weights, renamed)
    owned = weights_by_layer(weights, renamed.values())
    for copy, original in flat.copies.items():
        weights.update({copy + name.removeprefix(original): weights[name] for name in owned.get(original, [])})
    return _build(flat, weights, model.user_metadata)


def layer_names(model: LayersModel) -> list[str]:
    """Name the layers of a flat model in the order in which data flow, the input first."""
    return parse_flat(model.topology).names


def weight_names_of(model: LayersModel, layer: str) -> list[str]:
    """Name the weights of one layer of a flat model, in the order of the manifest."""
    return weights_by_layer(model.weights, layer_names(model)).get(layer, [])


def input_shape(model: LayersModel) -> tuple[int | None, ...]:
    """Give the shape of one example, such as ``(224, 224, 3)``; None where a size is left open."""
    first = parse_nested(model.topology)[0].layers[0]
    return tuple(first.config["batch_input_shape"][1:])


def feature_layer(model: LayersModel) -> str:
    """Find the last feature map (rank 4) before the classification head of a flat model.

    It is what feeds the first pooling over the whole image, or the first flattening, that all data pass through. In
    a model that ends in a feature map it is the last layer. (Squeeze-and-excite blocks also pool over the whole image,
    but there is a way around them.)

    Raises:
        ModelFormatError: If there is none.
    """
    flat = parse_flat(model.topology)
    narrow = set(flat.cut_positions())
    for position, layer in enumerate(flat.layers):
        if position in narrow and (layer.class_name in _REDUCERS or _flattens(layer)):
            source = layer.inputs[0]
            if flat.layers[0].name == source:
                break
            return source
    if not any(layer.class_name == "Dense" for layer in flat.layers):
        return flat.layers[-1].name
    raise ModelFormatError(
        f"the model {flat.name!r} has no feature map of images that a new head could be put on",
        hint="A base needs convolutions followed by GlobalAveragePooling2D, GlobalMaxPooling2D or Flatten.",
    )


def truncate(model: LayersModel, layer: str) -> LayersModel:
    """Keep a flat model up to and including ``layer``, which becomes its output.

    Raises:
        ModelFormatError: If there is no such layer.
    """
    flat = parse_flat(model.topology)
    flat.index(layer)
    return _build(FlatTopology(flat.name, flat.up_to(layer)), model.weights, model.user_metadata)


def split(model: LayersModel, cut_layer: str, cut_shape: Sequence[int | None]) -> tuple[LayersModel, LayersModel]:
    """Cut a flat model in two behind a layer that all data pass through.

    Args:
        model: A flat model.
        cut_layer: A cut point (``cuts.cut_points``); the last layer of the first part.
        cut_shape: The shape of one example of its output, such as ``(7, 7, 1280)``.

    Returns:
        The part up to the cut, and the rest behind a new InputLayer named ``<cut_layer>_output``.

    Raises:
        ModelFormatError: If data flow around ``cut_layer``, or nothing follows it.
    """
    flat = parse_flat(model.topology)
    position = flat.index(cut_layer)
    if position not in flat.cut_positions():
        raise ModelFormatError(
            f"the model cannot be cut behind {cut_layer!r}: data also flow around it",
            hint="Use one of cuts.cut_points.",
        )
    if position == len(flat.layers) - 1:
        raise ModelFormatError(f"nothing follows {cut_layer!r} in the model", hint="Cut at an earlier layer.")
    entrance = first_free(underscored(f"{cut_layer}_output"), flat.names)
    config = {"name": entrance, "batch_input_shape": [None, *cut_shape], "dtype": "float32", "sparse": False}
    rest = [_rewired(layer, cut_layer, entrance) for layer in flat.layers[position + 1 :]]
    tail = FlatTopology(f"{flat.name}_tail", [FlatLayer(entrance, "InputLayer", config), *rest])
    return truncate(model, cut_layer), _build(tail, model.weights, model.user_metadata)


def join(front: LayersModel, tail: LayersModel) -> LayersModel:
    """Put two flat models together: the output of ``front`` becomes the input of ``tail``.

    Raises:
        ModelFormatError: If both have a layer of the same name.
    """
    first, second = parse_flat(front.topology), parse_flat(tail.topology)
    entrance, exit_name = second.layers[0].name, first.layers[-1].name
    rest = [_rewired(layer, entrance, exit_name) for layer in second.layers[1:]]
    clash = set(first.names) & {layer.name for layer in rest}
    if clash:
        raise ModelFormatError(f"both models have a layer {min(clash)!r}", hint="Rename the layers of one of them.")
    name = first.name if second.name == f"{first.name}_tail" else f"{first.name}_{second.name}"
    weights = {**front.weights, **tail.weights}
    return _build(FlatTopology(name, [*first.layers, *rest]), weights, {**front.user_metadata, **tail.user_metadata})


def append_head(model: LayersModel, head: Sequence[Mapping[str, Any]], weights: Mapping[str, NDArray[Any]]) -> LayersModel:
    """Put a chain of layers behind the output of a flat model.

    Args:
        model: A flat model.
        head: ``{"class_name": ..., "config": {"name": ..., ...}}`` for each layer, in order.
        weights: The weights of the new layers by name, such as ``"probabilities/kernel"``.

    Raises:
        ModelFormatError: If a layer has no name, or one that is taken.

    Example:
        >>> pool = {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool", "data_format": "channels_last"}}
        >>> append_head(base, [pool], {})
    """
    flat = parse_flat(model.topology)
    for entry in head:
        config = dict(entry["config"])
        name = config.get("name")
        if not isinstance(name, str) or not name or name in flat.names:
            raise ModelFormatError(f"the head's layer {name!r} has no name or one that is taken", hint="Choose another.")
        flat.layers.append(FlatLayer(name, str(entry["class_name"]), config, (flat.layers[-1].name,)))
    return _build(flat, {**model.weights, **weights}, model.user_metadata)


def with_options(model: LayersModel, class_name: str, **options: Any) -> LayersModel:
    """Give all layers of a class other options, those in nested models included; the model stays as it is.

    Args:
        model: Any model of layers.
        class_name: Such as ``"Dropout"``.
        **options: Keys of its config, with their new values.

    Example:
        >>> with_options(model, "Dropout", rate=0.0)
    """

    def changed(entry: dict[str, Any]) -> dict[str, Any]:
        config = entry["config"]
        if isinstance(config, list):
            return {**entry, "config": [changed(one) for one in config]}
        if "layers" in config:
            return {**entry, "config": {**config, "layers": [changed(one) for one in config["layers"]]}}
        return {**entry, "config": {**config, **options}} if entry["class_name"] == class_name else entry

    return LayersModel(changed(model.topology), model.weights)


def _build(flat: FlatTopology, weights: Mapping[str, NDArray[Any]], metadata: dict[str, Any]) -> LayersModel:
    owned = weights_by_layer(weights, flat.names)
    kept = {name for names in owned.values() for name in names}
    left = {name: value for name, value in weights.items() if name in kept}
    return LayersModel(flat.to_dict(), left, without_keras_record(metadata))


def _rewired(layer: FlatLayer, old: str, new: str) -> FlatLayer:
    return replace(layer, inputs=tuple(new if source == old else source for source in layer.inputs))


def _flattens(layer: FlatLayer) -> bool:
    target = layer.config.get("target_shape", layer.config.get("targetShape"))
    return layer.class_name == "Reshape" and isinstance(target, list) and len(target) == 1


def _renamed_weights(weights: Mapping[str, NDArray[Any]], renamed: Mapping[tuple[str, ...], str]) -> dict[str, NDArray[Any]]:
    """Give each weight the name ``layer/weight`` with the layer's name in the flat model.

    A weight may be written with the containers of its layer before it or, as TF.js does, without.
    """
    by_path = {"/".join(path): name for path, name in renamed.items()}
    by_layer: dict[str, list[str]] = {}
    for path, name in renamed.items():
        by_layer.setdefault(path[-1], []).append(name)
    result: dict[str, NDArray[Any]] = {}
    for weight, value in weights.items():
        owner, rest = owner_of(weight, by_path)
        candidates = [by_path[owner]] if owner is not None else []
        if owner is None:
            owner, rest = owner_of(weight, by_layer)
            candidates = by_layer.get(owner or "", [])
        if len(candidates) > 1 or (candidates and f"{candidates[0]}/{rest}" in result):
            raise ModelFormatError(
                f"the weight {weight!r} may belong to several layers of the model",
                hint="Give the layers different names.",
            )
        if candidates:
            result[f"{candidates[0]}/{rest}"] = value
    return result
