"""TF.js graph models: how one is told from a layers model, what it takes and gives, and which files it has."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import MODEL_JSON_LIMIT, SHARD_BYTES, parse_model_json
from pybridge.tfjs.port import Port
from pybridge.tfjs.precision import Precision
from pybridge.tfjs.weights import encode_weights, named_shards, parse_manifest

# tensorflow/core/framework/types.proto; the other types differ from numpy's names in nothing but the prefix.
_DTYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}


@dataclass(frozen=True)
class GraphModel:
    """A TF.js graph model on disk: one graph of operations, as ``tf.loadGraphModel`` takes it.

    It predicts as it is. To be trained, or to be a base, it is lifted back into layers
    (`pybridge.converters.tensorflow.conversion.from_graph_model`).

    Attributes:
        file: Its ``model.json``; absolute, as a model may be loaded anew when the working directory is another.
        inputs: As its signature lists them; none where it has no signature.
        outputs: Likewise; of the shape ``(None,)`` where nothing is known of one.

    Example:
        >>> GraphModel.read(Path("mobilenet_v2_graph/model.json")).inputs[0].shape
        (None, 224, 224, 3)
    """

    file: Path
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()

    @classmethod
    def read(cls, file: Path) -> GraphModel:
        """Read what a ``model.json`` says of its graph model; the graph itself is checked by what runs or lifts it.

        Raises:
            ModelFormatError: It is larger than such a file may be, or no JSON object.
        """
        signature = _signature(read_document(file))
        return cls(file.absolute(), tuple(_ports(signature, "inputs")), tuple(_ports(signature, "outputs")))

    @property
    def folder(self) -> Path:
        """Where its ``model.json`` and its weight files are."""
        return self.file.parent

    def copy_to(self, folder: Path) -> None:
        """Copy ``model.json`` and the weight files that this names, nothing else, into a new folder.

        Raises:
            ModelFormatError: A weight file lies out of its folder.
        """
        groups = parse_manifest(read_document(self.file).get("weightsManifest"), str(self.file))
        home = self.file.resolve().parent
        folder.mkdir()
        for path in [path for group in groups for path in group.paths]:
            if not (self.folder / path).resolve().is_relative_to(home):
                raise ModelFormatError(f"{path} is a link out of the model's folder", hint="Copy the model with cp -rL first.")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / path, folder / path)
        shutil.copyfile(self.file, folder / "model.json")


def write_graph_model(
    folder: Path,
    topology: dict[str, Any],
    signature: dict[str, Any],
    weights: Mapping[str, NDArray[Any]],
    precision: Precision = "float32",
) -> None:
    """Write ``model.json`` and its weight files into a new folder.

    Args:
        folder: Where to; its parent exists.
        topology: A ``GraphDef`` in JSON, whose constants have no content.
        signature: The inputs and outputs by name, as `GraphModel.read` finds them.
        weights: The content of the constants by their names.
        precision: How float32 is stored; see `pybridge.tfjs.weights.encode_weights`.

    Raises:
        ModelFormatError: A weight's type has no counterpart in TF.js, or its numbers do not fit the precision.
    """
    described, shards = encode_weights(weights, SHARD_BYTES, precision)
    files = named_shards(shards)
    document = {
        "format": "graph-model",
        "generatedBy": "pybridge",
        "convertedBy": None,
        "signature": signature,
        "modelTopology": topology,
        "weightsManifest": [{"paths": list(files), "weights": described}],
    }
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "model.json").write_text(json.dumps(document, separators=(",", ":")), "utf-8")


def is_graph_model(document: dict[str, Any]) -> bool:
    """Tell whether a parsed ``model.json`` is that of a graph model."""
    topology = document.get("modelTopology")
    return document.get("format") == "graph-model" or (isinstance(topology, dict) and "node" in topology)


def is_graph_model_file(file: Path) -> bool:
    """Tell whether a ``model.json`` is that of a graph model.

    Raises:
        ModelFormatError: It is no JSON object.
    """
    if file.stat().st_size > MODEL_JSON_LIMIT:
        return False
    return is_graph_model(parse_model_json(file.read_bytes(), str(file)))


def read_document(file: Path) -> dict[str, Any]:
    """Parse the ``model.json`` of a graph model.

    Raises:
        ModelFormatError: It is larger than such a file may be, or no JSON object.
    """
    if file.stat().st_size > MODEL_JSON_LIMIT:
        raise ModelFormatError(f"{file}: more than {MODEL_JSON_LIMIT} bytes", hint="Give the model.json, not a weight file.")
    return parse_model_json(file.read_bytes(), str(file))


def _signature(document: dict[str, Any]) -> dict[str, Any]:
    metadata = document.get("userDefinedMetadata")
    for found in (document.get("signature"), metadata.get("signature") if isinstance(metadata, dict) else None):
        if isinstance(found, dict) and found:
            return found
    return {}


def _ports(signature: dict[str, Any], side: str) -> Iterator[Port]:
    listed = signature.get(side)
    for name, entry in listed.items() if isinstance(listed, dict) else ():
        if isinstance(entry, dict):
            dtype = str(entry.get("dtype"))
            known = _DTYPES.get(dtype, dtype.removeprefix("DT_").lower())
            yield Port(name, _shape(entry.get("tensorShape")), known, str(entry.get("name")))


def _shape(written: object) -> tuple[int | None, ...]:
    """The sizes of a ``TensorShapeProto``, which JSON holds as text; -1 is a free one."""
    if not isinstance(written, dict) or written.get("unknownRank"):
        return (None,)
    listed = written.get("dim", [])
    return tuple(_size(entry) for entry in listed) if isinstance(listed, list) else (None,)


def _size(dimension: object) -> int | None:
    size = str(dimension.get("size")) if isinstance(dimension, dict) else ""
    return int(size) if size.isdecimal() and len(size) < 20 else None
