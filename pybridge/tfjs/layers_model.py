"""A TF.js layers model in memory: read it, write it, name its content."""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pybridge.errors import ModelFormatError
from pybridge.storage.files import PARTIAL_SUFFIX, replace_file
from pybridge.tfjs.custom_layers import FILE_NAME, custom_classes, javascript_for
from pybridge.tfjs.precision import Precision
from pybridge.tfjs.topology import CONTAINERS, check_topology
from pybridge.tfjs.weights import encode_weights, named_shards, parse_manifest, read_weights, tfjs_dtype

MODEL_JSON_LIMIT = 64 * 2**20
"""The largest ``model.json`` that is read, in bytes; those of large image models have about 1 MB."""

SHARD_BYTES = 4 * 2**20
"""The size of a weight file, as TensorFlow.js chooses it so that browsers cache each."""

_DAMAGED = "The model is damaged or incomplete: export or download it again."


@dataclass(eq=False)
class LayersModel:
    """Topology and weights of a TF.js layers model.

    Attributes:
        topology: ``{"class_name": "Functional" | "Model" | "Sequential", "config": {...}}`` in the style of Keras 2.
        weights: Arrays by weight name, in the order of the manifest, dequantized.
        user_metadata: The ``userDefinedMetadata`` of ``model.json``.
        training_config: Its ``trainingConfig``: optimizer, loss and metrics with which ``tf.loadLayersModel`` compiles the model.

    Example:
        >>> model = LayersModel.read(Path("mobilenet/model.json"))
        >>> model.write(Path("copy"))
    """

    topology: dict[str, Any]
    weights: dict[str, NDArray[Any]]
    user_metadata: dict[str, Any] = field(default_factory=dict)
    training_config: dict[str, Any] | None = None

    @classmethod
    def read(cls, path: Path) -> LayersModel:
        """Read a ``model.json`` and its weights.

        Args:
            path: The ``model.json``, or the folder that holds it.

        Raises:
            ModelFormatError: If a file is missing, damaged or unsafe, or holds another kind of model.
        """
        file = path / "model.json" if path.is_dir() else path
        document = parse_model_json(read_bounded(file), str(file))
        topology = layers_topology(document, str(file))
        metadata = document.get("userDefinedMetadata")
        check_topology(topology)
        groups = parse_manifest(document.get("weightsManifest"), str(file))
        compiled = document.get("trainingConfig")
        return cls(
            topology,
            read_weights(groups, file.parent),
            metadata if isinstance(metadata, dict) else {},
            compiled if isinstance(compiled, dict) else None,
        )

    def write(self, folder: Path, *, precision: Precision = "float32") -> None:
        """Write ``model.json`` and its weight files, at most 4 MB each.

        Where the model uses layer classes of our own, ``pybridge-layers.js`` is written beside them, which makes these known to
        any TF.js.

        Equal models give equal bytes. A model that is already in ``folder`` stays readable until the last step
        replaces its ``model.json``: weight files carry a part of their hash in their names, so that old and new
        ones never mix.

        Args:
            folder: Made if need be.
            precision: How the weights are stored: ``"float32"``, ``"float16"``, ``"uint16"`` or ``"uint8"``; TF.js makes float32
                of them when it loads the model (``weights.encode_weights``).

        Raises:
            ModelFormatError: If a weight's type has no counterpart in TF.js, or its numbers do not fit the precision.
            OSError: If the disk refuses.
        """
        described, shards = encode_weights(self.weights, SHARD_BYTES, precision)
        classes = custom_classes(self.topology)
        script = javascript_for(classes).encode() if classes else None
        files = named_shards(shards)
        document: dict[str, Any] = {
            "format": "layers-model",
            "generatedBy": "pybridge",
            "convertedBy": None,
            "modelTopology": {"keras_version": "2.15.0", "backend": "tensorflow", "model_config": self.topology},
            "weightsManifest": [{"paths": list(files), "weights": described}],
        }
        if self.user_metadata:
            document["userDefinedMetadata"] = self.user_metadata
        if self.training_config is not None:
            document["trainingConfig"] = self.training_config
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            replace_file(folder / name, content)
        if script is not None:
            replace_file(folder / FILE_NAME, script)
        replace_file(folder / "model.json", json.dumps(document, separators=(",", ":"), sort_keys=True).encode())
        known = {folder / name for name in files}
        for stale in {*folder.glob("group1-shard*of*-*.bin"), *folder.glob(f"group1-shard*of*-*.bin{PARTIAL_SUFFIX}")} - known:
            stale.unlink(missing_ok=True)
        if script is None:
            (folder / FILE_NAME).unlink(missing_ok=True)

    def sha256(self) -> str:
        """Hash topology and weights, whatever files and order they came in."""
        digest = hashlib.sha256(json.dumps(self.topology, sort_keys=True, separators=(",", ":")).encode())
        for name in sorted(self.weights):
            value = self.weights[name]
            digest.update(f"\n{name} {tfjs_dtype(value, name)} {list(value.shape)}\n".encode())
            digest.update(repr(value.tolist()).encode() if value.dtype.kind == "O" else value.tobytes())
        return digest.hexdigest()

    @property
    def parameters(self) -> int:
        """How many numbers the weights hold, statistics of batch normalization included."""
        return sum(value.size for value in self.weights.values())


def parse_model_json(data: bytes, where: str) -> dict[str, Any]:
    """Parse the bytes of a ``model.json``.

    Raises:
        ModelFormatError: If they are not a JSON object.
    """
    try:
        document = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if data[:64].lstrip().startswith(b"<"):
            raise ModelFormatError(
                f"{where}: a web page, not a model", hint="Give the address of the model.json itself."
            ) from error
        raise ModelFormatError(f"{where}: not valid JSON ({error})", hint=_DAMAGED) from error
    if not isinstance(document, dict):
        raise ModelFormatError(f"{where}: not a JSON object", hint=_DAMAGED)
    return document


def layers_topology(document: dict[str, Any], where: str) -> dict[str, Any]:
    """Find the layers topology in a parsed ``model.json``.

    Raises:
        ModelFormatError: If it holds a graph model or no model at all.
    """
    topology = document.get("modelTopology")
    if document.get("format") == "graph-model" or (isinstance(topology, dict) and "node" in topology):
        raise ModelFormatError(
            f"{where}: a TF.js graph model; its layers are fused into one graph, so that no head can be put on it",
            hint="Use its layers version (format layers-model) as a base; a graph model can be loaded to predict.",
        )
    if not isinstance(topology, dict):
        raise ModelFormatError(
            f"{where}: has no modelTopology",
            hint="Give the model.json of a TF.js layers model, or the folder that holds it.",
        )
    model = topology.get("model_config", topology)
    if not isinstance(model, dict) or model.get("class_name") not in CONTAINERS:
        found = model.get("class_name") if isinstance(model, dict) else None
        raise ModelFormatError(
            f"{where}: modelTopology is of class {str(found)[:80]!r}, not Sequential or Functional",
            hint="Only models made of layers can be a base; export the model as a TF.js layers model.",
        )
    return {"class_name": model["class_name"], "config": model.get("config")}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def read_bounded(file: Path) -> bytes:
    """Read a ``model.json`` that is a regular file of a usable size.

    Raises:
        ModelFormatError: It is none, or cannot be read.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelFormatError(f"{file}: not a regular file", hint="Give a model.json or the folder that holds it.")
        if status.st_size > MODEL_JSON_LIMIT:
            raise ModelFormatError(
                f"{file}: {status.st_size} bytes are more than a model.json may have ({MODEL_JSON_LIMIT})",
                hint="Give the model.json, not a weight file.",
            )
        return file.read_bytes()
    except (OSError, ValueError) as error:
        raise ModelFormatError(
            f"{file}: cannot be read ({error})", hint="Give the path of a model.json or of the folder that holds it."
        ) from error
