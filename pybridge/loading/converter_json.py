"""A ``model.json`` as converters of Keras models really write it, which TF.js itself cannot load.

What Keras 3 describes, operations of TensorFlow and layers that TF.js does not have are known to Keras: such a file is rebuilt
there and converted like any Keras model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pybridge.converters.to_keras.layer_options import OPTIONS
from pybridge.errors import ModelFormatError
from pybridge.loading.keras_files import convert_cached
from pybridge.storage.hashes import sha256_of
from pybridge.storage.private_copy import PrivateCopy
from pybridge.tfjs.custom_layers import OWN
from pybridge.tfjs.layers_model import LayersModel, layers_topology, parse_model_json, read_bounded
from pybridge.tfjs.topology.layers import CONTAINERS
from pybridge.tfjs.weights import parse_manifest

_DEPTH = 20


def read_converted(file: Path) -> LayersModel:
    """Read a ``model.json`` of layers, whoever wrote it.

    Args:
        file: The ``model.json``.

    Raises:
        ModelFormatError: It is damaged or unsafe, or has layers that nobody but its author knows.
    """
    document = parse_model_json(read_bounded(file), str(file))
    topology = layers_topology(document, str(file))
    if not any(map(_is_beyond_tfjs, _layers(topology))):
        return _with_plain_names(LayersModel.read(file))
    groups = parse_manifest(document.get("weightsManifest"), str(file))
    names = {"model.json": file, **{path: file.parent / path for group in groups for path in group.paths}}
    missing = [name for name, place in names.items() if not place.is_file()]
    if missing:
        raise ModelFormatError(f"{file}: {missing[0]!r} is missing beside it", hint="Download all files of the model.")
    copy = PrivateCopy(names)
    copied = copy.folder / "model.json"
    identity = [sha256_of(*(copy.folder / name for name in names))]
    arguments = {"file": str(copied), "shown": str(file)}
    model = convert_cached("pybridge.loading.keras_reader:open_model_json", arguments, identity, str(file), copy.folder)
    assert isinstance(model, LayersModel)
    metadata = document.get("userDefinedMetadata")
    return replace(model, user_metadata={**model.user_metadata, **(metadata if isinstance(metadata, dict) else {})})


def _is_beyond_tfjs(layer: dict[str, Any]) -> bool:
    name = layer.get("class_name", layer.get("className"))
    config = layer.get("config")
    if not isinstance(name, str) or not isinstance(config, dict | list):
        return False
    if isinstance(config, dict) and ("batch_shape" in config or isinstance(config.get("dtype"), dict)):
        return True
    nodes = layer.get("inbound_nodes")
    if isinstance(nodes, list) and any(isinstance(node, dict) for node in nodes):
        return True
    return name not in OPTIONS and name not in CONTAINERS and name != "InputLayer" and not name.startswith(OWN)


def _layers(described: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The layers of a model and of the models in it."""
    config = described.get("config") if isinstance(described, dict) else None
    listed = config if isinstance(config, list) else config.get("layers") if isinstance(config, dict) else None
    for layer in listed if isinstance(listed, list) and depth < _DEPTH else ():
        if isinstance(layer, dict):
            yield layer
            yield from _layers(layer, depth + 1)


def _with_plain_names(model: LayersModel) -> LayersModel:
    """Weights of some converters are called after the model too: ``sequential/dense/kernel``."""
    layers = {str(_name(layer)) for layer in _layers(model.topology)}
    renamed = {}
    for name, value in model.weights.items():
        first, _, rest = name.partition("/")
        is_prefixed = first not in layers and rest.partition("/")[0] in layers
        renamed[rest if is_prefixed else name] = value
    return (
        replace(model, weights=renamed) if len(renamed) == len(model.weights) and list(renamed) != list(model.weights) else model
    )


def _name(layer: dict[str, Any]) -> object:
    config = layer.get("config")
    return layer.get("name") or (config.get("name") if isinstance(config, dict) else None)
