"""Rebuilds in Keras what a ``model.json`` describes. Imports TensorFlow, so it runs in the TensorFlow process only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pybridge.errors import ModelFormatError
from pybridge.loading.keras2_files import legacy_model, modern_config
from pybridge.loading.keras_safety import check_config
from pybridge.loading.tensorflow_operations import LAYERS, translated
from pybridge.tfjs.topology.layers import CONTAINERS

_DAMAGED = "The model is damaged or incomplete: export or download it again."
# Keras 2 and 3 call the same weight otherwise.
_SAME = {"depthwise_kernel": "kernel"}


def model_of_json(described: dict[str, Any], weights: Mapping[str, NDArray[Any]], shown: Path) -> keras.Model:
    """Build a model and give it its weights.

    Args:
        described: ``{"class_name": ..., "config": ...}``, in the style of Keras 2 or 3.
        weights: By name.
        shown: The file's name for errors.

    Raises:
        ModelFormatError: It is unsafe, a layer or operation is not known, or a weight is missing.
    """
    check_config(described, shown)
    if _is_of_keras3(described):
        whole = {"module": "keras", "registered_name": described["class_name"], **described}
        if described["class_name"] != "Sequential":
            whole["module"] = "keras.src.models.functional"
        model = keras.saving.deserialize_keras_object(whole, safe_mode=True)
    else:
        model = legacy_model(modern_config(_with_operations(described, shown), shown), safe_mode=True)
    if not isinstance(model, keras.Model):
        raise ModelFormatError(f"{shown}: describes no model", hint=_DAMAGED)
    _assign(model, weights, shown)
    return model


def _is_of_keras3(described: Any) -> bool:
    config = described.get("config") if isinstance(described, dict) else None
    layers = config.get("layers", []) if isinstance(config, dict) else []
    for layer in layers if isinstance(layers, list) else []:
        inner = layer.get("config") if isinstance(layer, dict) else None
        if isinstance(inner, dict) and ("batch_shape" in inner or "module" in layer or _is_of_keras3(layer)):
            return True
    return False


def _with_operations(described: Any, shown: Path) -> Any:
    """Describe operations of TensorFlow as those of Keras, in the models inside too."""
    if not isinstance(described, dict) or described.get("class_name") not in CONTAINERS:
        return described
    config = described.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        return described
    layers = [
        translated(layer, shown)
        if isinstance(layer, dict) and layer.get("class_name") in LAYERS
        else _with_operations(layer, shown)
        for layer in config["layers"]
    ]
    return {**described, "config": {**config, "layers": layers}}


def _assign(model: keras.Model, weights: Mapping[str, NDArray[Any]], shown: Path) -> None:
    """Give each variable the weight that its name means; converters put other things before and between the same names."""
    left = dict(weights)
    for variable in model.variables:
        if "seed_generator" in variable.path:
            continue
        name = _best(variable.path.split("/"), tuple(variable.shape), left)
        if name is not None:
            variable.assign(left.pop(name))
        # How many examples the statistics of a Normalization were taken of means nothing to it.
        elif not variable.path.endswith("/count"):
            raise ModelFormatError(f"{shown}: has no weight for {variable.path!r}", hint=_DAMAGED)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _best(path: list[str], shape: tuple[int, ...], weights: Mapping[str, NDArray[Any]]) -> str | None:
    """The name that has most in common with a variable's path, the first of them in the file."""
    best, score = None, 0.0
    for name, value in weights.items():
        parts = name.split("/")
        if _plain(parts[-1]) != _plain(path[-1]) or np.shape(value) != shape:
            continue
        common = len(set(parts[:-1]) & set(path[:-1]))
        # Of names with the same words, the one with nothing else.
        closeness = common - 0.01 * len(set(parts) ^ set(path))
        if common and closeness > score:
            best, score = name, closeness
    return best


def _plain(name: str) -> str:
    name = name.removesuffix(":0")
    return _SAME.get(name, name)
