"""What Keras 2 wrote otherwise than Keras 3 reads it. Imports TensorFlow, so it runs in the TensorFlow process only.

Keras 3 opens files of Keras 2 by a path of its own, which does not know options that Keras 3 has dropped, layers that say the
shape of their input themselves, and the ``.keras`` files of Keras 2.12 to 2.15. Here their configuration is written as Keras 3
reads it.
"""

from __future__ import annotations

import copy
import inspect
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
from keras.src import ops as keras_operations
from keras.src.legacy.saving import saving_utils
from keras.src.saving import serialization_lib
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.utils.naming import to_snake_case

from pybridge.errors import ModelFormatError

_CONTAINERS = ("Sequential", "Functional", "Model")
# Of every layer; Keras 3 takes them out of the configuration before the layer sees it.
_COMMON = frozenset(
    {"name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape", "input_dtype", "activity_regularizer"}
)
# They say how a result is computed, not which.
_MEANINGLESS = frozenset({"implementation", "experimental_autocast", "fused"})
_OLD_ROOT = "_layer_checkpoint_dependencies"


def is_of_keras2(version: object) -> bool:
    """Whether a file says that Keras 2 or 1 wrote it."""
    return isinstance(version, str) and version.split(".")[0] in ("1", "2")


def modern_config(described: dict[str, Any], shown: Path) -> dict[str, Any]:
    """Rewrite the description of a model of Keras 2.

    Raises:
        ModelFormatError: An option that Keras 3 does not have is in use.
    """
    model: dict[str, Any] = _without_modules(copy.deepcopy(described))
    _rewrite(model, shown)
    return model


def with_operations(described: dict[str, Any]) -> dict[str, Any] | None:
    """Say of the operations of ``keras.ops`` what they are: ``.h5`` files of Keras 3 name them as if they were layers.

    Returns:
        The description so completed; None where it has no operations.
    """
    completed = copy.deepcopy(described)
    found = False
    for layer in _layers_of(completed):
        config = layer["config"] if isinstance(layer.get("config"), dict) else {}
        made = _operation(str(layer.get("class_name")))
        # Subtract is a layer and an operation; layers have a type of their own.
        if made is not None and "module" not in layer and not {"dtype", "trainable"} & config.keys():
            layer.update(module=made.__module__, registered_name=made.__name__)
            found = True
    return completed if found else None


def load_packed(file: Path, described: dict[str, Any], scratch: Path, *, allow_lambda: bool) -> keras.Model:
    """Load a ``.keras`` file of Keras 2.

    Args:
        file: The file, whose content has been checked.
        described: Its ``config.json``, rewritten by `modern_config`.
        scratch: A folder to write in.
        allow_lambda: Run the Python code of Lambda layers.
    """
    model = legacy_model(copy.deepcopy(described), safe_mode=not allow_lambda)
    weights = scratch / "of-keras2.weights.h5"
    with zipfile.ZipFile(file) as archive, archive.open("model.weights.h5") as source, weights.open("wb") as target:
        shutil.copyfileobj(source, target)
    try:
        with h5py.File(weights, "r+") as content:
            _arrange(content, model)
        model.load_weights(weights)
    finally:
        weights.unlink()
    return model


def load_rewritten(file: Path, described: dict[str, Any], scratch: Path, *, compiled: bool, safe_mode: bool) -> Any:
    """Load an ``.h5`` file with another description of its model."""
    changed = scratch / "rewritten.h5"
    shutil.copyfile(file, changed)
    changed.chmod(0o600)
    try:
        with h5py.File(changed, "r+") as content:
            del content.attrs["model_config"]
            content.attrs["model_config"] = json.dumps(described)
        return keras.saving.load_model(changed, compile=compiled, safe_mode=safe_mode)
    finally:
        changed.unlink()


def legacy_model(described: dict[str, Any], *, safe_mode: bool) -> keras.Model:
    """Build the model of a description in the style of Keras 2, with fresh weights."""
    from keras.src.legacy.saving.saving_options import keras_option_scope

    with keras_option_scope(use_legacy_config=True), serialization_lib.SafeModeScope(safe_mode):
        return saving_utils.model_from_config(described)


def _without_modules(value: Any) -> Any:
    """Take out where Keras 2.12 and later kept its classes, which have moved since."""
    if isinstance(value, list):
        return [_without_modules(one) for one in value]
    if not isinstance(value, dict):
        return value
    is_operation = str(value.get("module", "")).startswith("keras.src.ops")
    dropped = (
        {"module", "registered_name", "build_config", "compile_config"} if "class_name" in value and not is_operation else set()
    )
    return {key: _without_modules(one) for key, one in value.items() if key not in dropped}


def _rewrite(described: Any, shown: Path) -> None:
    """Rewrite a model or layer, and what is in it."""
    if not isinstance(described, dict) or not isinstance(described.get("config"), dict | list):
        return
    name, config = described.get("class_name"), described["config"]
    if name in _CONTAINERS:
        # The oldest files hold the list of layers itself.
        layers = config if isinstance(config, list) else config.get("layers", [])
        for layer in layers:
            _rewrite(layer, shown)
        if name == "Sequential":
            _with_input(layers)
        return
    for inner in ("layer", "backward_layer", "cell"):
        _rewrite(config.get(inner), shown)
    for cell in config.get("cells", []) or []:
        _rewrite(cell, shown)
    dtype = config.get("dtype")
    if isinstance(dtype, dict) and isinstance(dtype.get("config"), dict):
        config["dtype"] = dtype["config"].get("name", "float32")
    made = getattr(keras.layers, str(name), None)
    if isinstance(made, type):
        _drop_unknown(made, config, shown)


def _drop_unknown(made: type, config: dict[str, Any], shown: Path) -> None:
    """Take out options that the class does not have any more, as long as they say what it does anyway."""
    accepted = set(_COMMON)
    for base in made.__mro__:
        if base is not object and "__init__" in vars(base):
            accepted.update(inspect.signature(vars(base)["__init__"]).parameters)
    # LeakyReLU and ELU rename what they get under the older name.
    accepted.update({"alpha"} if made.__name__ in ("LeakyReLU", "ELU") else ())
    for key in [key for key in config if key not in accepted]:
        is_neutral = config[key] is not True and config[key] in (None, False, 1, [], {})
        if key not in _MEANINGLESS and not is_neutral:
            raise ModelFormatError(
                f"{shown}: the layer {str(config.get('name'))[:80]!r} ({made.__name__}) has the option {key[:40]!r} of Keras 2 "
                f"with the value {str(config[key])[:40]}, which Keras 3 does not have",
                hint="Rebuild the model without it, or export it with Keras 2 as a SavedModel and give the folder.",
            )
        del config[key]


def _with_input(layers: list[Any]) -> None:
    """Give a Sequential model the InputLayer that its first layer stands for."""
    first = layers[0] if layers and isinstance(layers[0], dict) else {}
    config = first.get("config")
    if not isinstance(config, dict):
        return
    if first.get("class_name") == "InputLayer":
        # Later layers say it once more, which would make another input.
        for layer in layers[1:]:
            if isinstance(layer, dict) and isinstance(layer.get("config"), dict) and layer.get("class_name") not in _CONTAINERS:
                layer["config"].pop("batch_input_shape", None)
        return
    shape = config.pop("batch_input_shape", None)
    if shape is not None:
        dtype = "int32" if first.get("class_name") == "Embedding" else config.get("dtype") or "float32"
        given = {"batch_input_shape": shape, "dtype": dtype, "sparse": False, "name": f"{config.get('name', 'model')}_input"}
        layers.insert(0, {"class_name": "InputLayer", "config": given})


def _layers_of(described: Any) -> list[dict[str, Any]]:
    if not isinstance(described, dict) or not isinstance(described.get("config"), dict):
        return []
    found = []
    for layer in described["config"].get("layers", []) if described.get("class_name") in _CONTAINERS else []:
        if isinstance(layer, dict):
            found += [layer, *_layers_of(layer)]
    return found


def _operation(name: str) -> type | None:
    for module in (
        keras_operations.numpy,
        keras_operations.nn,
        keras_operations.math,
        keras_operations.core,
        keras_operations.image,
    ):
        made = getattr(module, name, None)
        if isinstance(made, type) and issubclass(made, keras.Operation):
            return made
    return None


def _arrange(group: h5py.Group, model: Any) -> None:
    """Name the weights of a ``.keras`` file of Keras 2 as Keras 3 looks for them: after the classes of the layers."""
    for name in [name for name in group if "\\" in name]:
        group.move(name, name.replace("\\", "/"))
    if _OLD_ROOT in group and "layers" not in group:
        group.move(_OLD_ROOT, "layers")
    if "layers" not in group:
        return
    layers, used = group["layers"], dict[str, int]()
    expected: list[tuple[Any, str]] = []
    for layer in model.layers:
        name = to_snake_case(type(layer).__name__)
        count = used[name] = used.get(name, -1) + 1
        expected.append((layer, f"{name}_{count}" if count else name))
    if not all(name in layers for layer, name in expected if layer.weights):
        moved = [(layer.name, f"pybridge_{place}", name) for place, (layer, name) in enumerate(expected) if layer.name in layers]
        for name, between, _ in moved:
            layers.move(name, between)
        for _, between, name in moved:
            if name not in layers:
                layers.move(between, name)
    for layer, name in expected:
        if isinstance(layer, keras.Model) and isinstance(layer, KerasSaveable) and name in layers:
            _arrange(layers[name], layer)
