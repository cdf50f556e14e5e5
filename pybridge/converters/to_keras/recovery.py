"""The Keras model that a TF.js model came from, made again of its record and of the weights that it has now.

Weights are found by converting a fresh model of the recorded config once more: where the result has the same layers as the model
at hand, the rewrites of that conversion, inverted, say which number belongs where. A model that was changed since is noticed in
the same way.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

# Registers our own classes.
import pybridge.converters.to_keras.custom_objects  # noqa: F401
from pybridge.converters.keras.conversion import Conversion
from pybridge.converters.keras.expressions import scatter
from pybridge.converters.keras.record import decoded, recorded
from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.topology import parse_topology
from pybridge.tfjs.topology.compare import same_layers


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
    if not same_layers(parse_topology(container.topology()), parse_topology(layers_model.topology)):
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
