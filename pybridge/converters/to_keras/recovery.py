"""The Keras model that a TF.js model came from, made again of its record and of the weights that it has now.

Weights are found by converting a fresh model of the recorded config once more: where the result has the same layers as the model
at hand, the rewrites of that conversion, inverted, say which number belongs where. A model that was changed since is noticed in
the same way.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

# Registers our own classes.
import pybridge.converters.to_keras.custom_objects  # noqa: F401
from pybridge.converters.keras.conversion import Conversion
from pybridge.converters.keras.expressions import scatter
from pybridge.converters.keras.record import decoded, recorded
from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel

# What changes in training or in saving without making another model of it.
_INCIDENTAL = ("trainable", "name", "seed", "dtype", "implementation", "sparse", "ragged", "batch_size", "input_dtype")
_INCIDENTAL_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def recover(layers_model: LayersModel) -> Any | None:
    """Make the Keras model again that a TF.js model came from, with the weights that it has now.

    Returns:
        The ``keras.Model``: the architecture that was converted, its weights bit for bit those of TF.js, compiled if it was. None
        where there is no record, it is not of a kind that we trust (classes of Keras only, never code), or the model has been
        changed since: other layers, other options, other shapes of weights.

    Example:
        >>> recover(from_keras(model)).get_config() == model.get_config()
        True
    """
    record = recorded(layers_model)
    if record is None:
        return None
    try:
        model = _rebuilt(record.config)
        _restore_kept(model, record.kept)
        return model if _fill(model, layers_model) else None
    except ModelFormatError:
        return None


def _rebuilt(config: dict[str, Any]) -> Any:
    import keras
    from keras.src.applications.convnext import LayerScale, StochasticDepth

    # Keras does not register these two itself.
    known = {"LayerScale": LayerScale, "StochasticDepth": StochasticDepth}
    try:
        # Keras empties the config that it reads.
        model = keras.saving.deserialize_keras_object(copy.deepcopy(config), custom_objects=known, safe_mode=True)
    except Exception as error:
        raise ModelFormatError(f"the recorded Keras model cannot be built ({type(error).__name__}: {error})") from error
    if not isinstance(model, keras.Model):
        raise ModelFormatError("the record is not that of a Keras model")
    return model


def _fill(model: Any, layers_model: LayersModel) -> bool:
    conversion = Conversion(model)
    container = conversion.run()
    weights = container.all_weights()
    if not _same(container.topology(), layers_model.topology):
        return False
    if {name: weight.shape for name, weight in weights.items()} != {
        name: tuple(value.shape) for name, value in layers_model.weights.items()
    }:
        return False
    shapes = [tuple(variable.shape) for variable in conversion.variables.all]
    expressions = {name: weight.expression for name, weight in weights.items()}
    values = scatter(expressions, layers_model.weights, shapes)
    for index, (variable, value) in enumerate(zip(conversion.variables.all, values, strict=True)):
        if value is None and index not in conversion.variables.kept:
            return False
        if value is not None:
            variable.assign(value.astype(str(variable.dtype)))
    _finalize(model)
    return True


def _restore_kept(model: Any, kept: Mapping[str, object]) -> None:
    variables = list(model.weights)
    for place, entry in kept.items():
        index = int(place) if isinstance(place, str) and place.isdecimal() and len(place) < 9 else -1
        if not 0 <= index < len(variables):
            raise ModelFormatError("the record keeps a weight that the model does not have")
        variable = variables[index]
        variable.assign(decoded(entry, tuple(variable.shape)).astype(str(variable.dtype)))
    _finalize(model)


def _finalize(model: Any) -> None:
    """Let Normalization layers read their weights, from which they compute what they use."""
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _same(wanted: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether two topologies describe the same layers, up to what TF.js changes when it saves."""
    first, second = _layers_of(wanted), _layers_of(found)
    if first is None or second is None or first[0].keys() != second[0].keys() or first[1:] != second[1:]:
        return False
    for name, (class_name, config, nodes) in first[0].items():
        other_class, other_config, other_nodes = second[0][name]
        if nodes != other_nodes:
            return False
        if _is_model(class_name) and _is_model(other_class):
            if not _same({"class_name": class_name, "config": config}, {"class_name": other_class, "config": other_config}):
                return False
        elif class_name != other_class or not _agrees(config, other_config):
            return False
    return True


_Nodes = list[list[list[Any]]]


def _layers_of(topology: dict[str, Any]) -> tuple[dict[str, tuple[str, dict[str, Any], _Nodes]], Any, Any] | None:
    """Layers by name with their nodes; the inputs; the outputs. A Sequential is written out as the chain that it is."""
    config = topology.get("config")
    if topology.get("class_name") == "Sequential":
        listed = config.get("layers") if isinstance(config, dict) else config
        config = _chain(listed) if isinstance(listed, list) else None
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        return None
    layers: dict[str, tuple[str, dict[str, Any], _Nodes]] = {}
    for entry in config["layers"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
            return None
        name = entry.get("name", entry["config"].get("name"))
        nodes = [[list(reference[:3]) for reference in node] for node in entry.get("inbound_nodes", []) if node]
        layers[str(name)] = (str(entry.get("class_name")), entry["config"], nodes)
    ends = [[list(reference[:3]) for reference in config.get(key, [])] for key in ("input_layers", "output_layers")]
    return layers, ends[0], ends[1]


def _chain(entries: list[Any]) -> dict[str, Any] | None:
    if not entries or not all(isinstance(entry, dict) and isinstance(entry.get("config"), dict) for entry in entries):
        return None
    listed = list(entries)
    first = listed[0]
    if first.get("class_name") != "InputLayer":
        shape = first["config"].get("batch_input_shape")
        name = f"{first['config'].get('name')}_input"
        listed.insert(0, {"class_name": "InputLayer", "config": {"name": name, "batch_input_shape": shape}})
    layers: list[dict[str, Any]] = []
    before: list[Any] | None = None
    for entry in listed:
        name = entry["config"].get("name")
        nodes = [[before]] if before is not None else []
        layers.append({"class_name": entry.get("class_name"), "name": name, "config": entry["config"], "inbound_nodes": nodes})
        before = [name, 1 if _is_model(str(entry.get("class_name"))) else 0, 0]
    return {"layers": layers, "input_layers": [[layers[0]["name"], 0, 0]], "output_layers": [before]}


def _is_model(class_name: str) -> bool:
    return class_name in ("Functional", "Model", "Sequential")


def _agrees(wanted: Any, found: Any, key: str = "") -> bool:
    if isinstance(wanted, dict) and isinstance(found, dict):
        known = {_snake(name): value for name, value in found.items()}
        return all(
            _agrees(value, known[_snake(name)], _snake(name))
            for name, value in wanted.items()
            if _snake(name) in known and name not in _INCIDENTAL and not name.endswith(_INCIDENTAL_ENDINGS)
        )
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(wanted) == len(found) and all(_agrees(one, other, key) for one, other in zip(wanted, found, strict=True))
    if isinstance(wanted, (int, float)) and isinstance(found, (int, float)):
        return math.isclose(wanted, found, rel_tol=1e-6, abs_tol=1e-12)
    if isinstance(wanted, str) and isinstance(found, str):
        return _snake(wanted) == _snake(found)
    if key == "target_shape":
        # TF.js saves the -1 of a Reshape as null.
        return {wanted, found} <= {None, -1}
    # A scalar that TF.js spreads over the axes, or null for an option that it does not keep.
    if isinstance(found, list) and isinstance(wanted, (int, float)):
        return all(_agrees(wanted, item) for item in found)
    if isinstance(wanted, list) and isinstance(found, (int, float)):
        return all(_agrees(item, found) for item in wanted)
    return wanted == found or found is None


def _snake(text: str) -> str:
    """As TF.js writes names: ``channelsLast`` and ``channels_last`` are the same."""
    letters: list[str] = []
    for index, letter in enumerate(text):
        if letter.isupper() and index and text[index - 1].islower():
            letters.append("_")
        letters.append(letter.lower())
    return "".join(letters)
