"""Makes an npm package of a model that is no classifier: it takes tensors and gives tensors, by the names of its signatures."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge import zoo
from pybridge._version import __version__
from pybridge.deployment.destination import check_destination
from pybridge.deployment.documents import model_readme, package_json
from pybridge.deployment.javascript import BROWSER_FILE, package_sources
from pybridge.deployment.manifest import CHECK_TOLERANCE, DESCRIPTION_FILE, FORMAT, MANIFEST_FILE, description, file_hashes
from pybridge.errors import DataError, ModelFormatError
from pybridge.loading import OpenedModel, SavedModel, lift
from pybridge.loading.keras_files import run_job
from pybridge.loading.saved_model import is_saved_model, read_signatures
from pybridge.node import Node
from pybridge.node.model import Model
from pybridge.runtime import ensure
from pybridge.storage.folders import staged_folder
from pybridge.text import printable
from pybridge.tfjs.custom_layers import FILE_NAME as LAYERS_FILE
from pybridge.tfjs.graph_model import GraphModel
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.port import Port
from pybridge.tfjs.precision import PackagePrecision
from pybridge.training.run_directory import RUN_FILE

_DEFAULT = "serving_default"
_MOST_CHECKED = 64
_INTEGERS = ("int32", "int64", "uint8")
# Of the formats that a path may name; a folder of another kind is a run or nothing.
_FILES = (".keras", ".h5", ".hdf5", ".onnx", ".json")


def is_model(source: Any) -> bool:
    """Whether something names a model by itself, as `Node.load_model` takes it, and neither a run nor a package.

    Example:
        >>> is_model("saved_model/"), is_model("runs/1")
        (True, False)
    """
    if not isinstance(source, str | Path):
        return True
    path, text = Path(source), str(source)
    if path.is_dir():
        return not (path / RUN_FILE).exists() and (is_saved_model(path) or (path / "model.json").is_file())
    if path.is_file():
        return path.suffix.lower() in _FILES
    return text.startswith(("http://", "https://", "keras.applications.", "keras:")) or zoo.find(text) is not None


def newest_saved_model(folder: Path) -> Path | None:
    """The SavedModel with the highest number in a folder of versions, as TensorFlow Serving has them; None without any."""
    if not folder.is_dir():
        return None
    versions = [each for each in folder.iterdir() if each.name.isdecimal() and is_saved_model(each)]
    return max(versions, key=lambda each: int(each.name), default=None)


def write_model_package(
    source: Any, dest: Path, *, precision: PackagePrecision, name: str, version: str, node: Node | None
) -> dict[str, Any]:
    """Writes the package of a model that `Node.load_model` opens.

    Models of layers and TF.js graphs are stored as they are. Of a SavedModel all signatures that Node can feed are frozen into
    one graph, which runs on the TensorFlow of Python; where its layers can be found, it runs on any TensorFlow.js too.

    Args:
        source: The model.
        dest: A new or empty folder, or one with an earlier package.
        precision: Of the weights of a model of layers.
        name: For npm.
        version: For npm.
        node: A `Node` to work in; by default one is started.

    Returns:
        What its ``manifest.json`` says.

    Raises:
        ModelFormatError: There is no such model, or it cannot be stored.
        DataError: The precision cannot be had.
    """
    if node is None:
        with Node() as started:
            return write_model_package(source, dest, precision=precision, name=name, version=version, node=started)
    model = node.load_model(source)
    try:
        with staged_folder(dest, replace=True) as folder:
            manifest = _write(model, folder, precision, name, version)
            check_destination(dest)
    finally:
        model.dispose()
    return manifest


def _write(model: Model, folder: Path, precision: PackagePrecision, name: str, version: str) -> dict[str, Any]:
    for file_name, content in package_sources().items():
        if file_name.startswith("demo"):
            continue
        file = folder / file_name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.replace(b"Promise<Classifier>", b"Promise<Predictor>") if "index.d." in file_name else content)
    opened = model.source
    stored = _write_layers(opened, folder / "model", precision)
    signatures = {_DEFAULT: (tuple(model.inputs), tuple(model.outputs))}
    frozen = None
    if isinstance(opened, SavedModel):
        signatures = read_signatures(opened)
        frozen = _freeze(opened, signatures, folder / "saved_model")
    default = opened.signature if isinstance(opened, SavedModel) else _DEFAULT
    (folder / "model").mkdir(exist_ok=True)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": 1,
        "kind": "model",
        "signatures": {
            each: {"inputs": _described(inputs), "outputs": _described(outputs)} for each, (inputs, outputs) in signatures.items()
        },
        "default_signature": default,
        "model": stored,
        "saved_model": frozen,
        "check": _check(model),
        "versions": {"pybridge": __version__},
    }
    (folder / DESCRIPTION_FILE).write_bytes(description(manifest))
    (folder / "README.md").write_bytes(model_readme(name, manifest))
    manifest["files"] = file_hashes(folder)
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
    layers = None if stored is None else stored["layers"]
    document = json.loads(package_json(name, version, "A model that takes tensors", layers))
    # Web pages load such a model with TensorFlow.js itself.
    for each in (document, document["exports"]["."]):
        each.pop("browser")
    document["files"].remove(BROWSER_FILE)
    del document["scripts"]["demo"]
    (folder / "package.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return manifest


def _write_layers(opened: OpenedModel, folder: Path, precision: PackagePrecision) -> dict[str, Any] | None:
    """The form for any TensorFlow.js; None where there is none."""
    if isinstance(opened, GraphModel):
        if precision != "float32":
            raise DataError(f"A TF.js graph model is stored as it is, and not as {precision}")
        if not opened.inputs or not opened.outputs:
            raise ModelFormatError(
                f"{opened.file}: does not say what it takes and gives", hint="Convert it first: pybridge convert MODEL DEST"
            )
        opened.copy_to(folder)
        tensors = {"inputs": [port.tensor for port in opened.inputs], "outputs": [port.tensor for port in opened.outputs]}
        return {"form": "graph", "file": "model/model.json", "layers": None, "precision": "float32", **tensors}
    try:
        layers = lift(opened)
    except ModelFormatError:
        if isinstance(opened, SavedModel):
            return None
        raise
    layers.write(folder, precision=precision)
    layers_file = f"model/{LAYERS_FILE}" if (folder / LAYERS_FILE).exists() else None
    names = _names(layers, opened)
    return {"form": "layers", "file": "model/model.json", "layers": layers_file, "precision": precision, **names}


def _names(layers: LayersModel, opened: OpenedModel) -> dict[str, list[str]]:
    from pybridge.tfjs.topology import parse_topology

    topology = parse_topology(layers.topology)
    found = {"inputs": [each.layer for each in topology.inputs], "outputs": [each.layer for each in topology.outputs]}
    if isinstance(opened, SavedModel) and [len(found["inputs"]), len(found["outputs"])] != [
        len(opened.inputs),
        len(opened.outputs),
    ]:
        raise ModelFormatError(f"{opened.source}: has other inputs or outputs as layers")
    return found


def _freeze(opened: SavedModel, signatures: dict[str, tuple[tuple[Port, ...], tuple[Port, ...]]], folder: Path) -> dict[str, Any]:
    """All signatures as one graph without variables."""
    asked = {
        name: {"inputs": [port.to_dict() for port in inputs], "outputs": [port.to_dict() for port in outputs]}
        for name, (inputs, outputs) in signatures.items()
    }
    with tempfile.TemporaryDirectory(prefix="pybridge-freeze-") as scratch:
        arguments = {"folder": str(opened.folder), "source": str(opened.source), "signatures": asked}
        made = run_job(
            Path(scratch), "pybridge.loading.freezing:freeze_signatures", arguments, str(opened.source), reads=opened.folder
        )
        folder.mkdir()
        shutil.copyfile(Path(scratch) / "frozen" / "saved_model.pb", folder / "saved_model.pb")
    return {"tensorflow": ensure().tensorflow_version, "folder": "saved_model", "signatures": made["signatures"]}


def _described(ports: tuple[Port, ...]) -> list[dict[str, Any]]:
    # Of a tensor that may have any number of dimensions there is no shape.
    return [{"name": port.name, "dtype": port.dtype, "shape": None if port.any_rank else list(port.shape)} for port in ports]


def _check(model: Model) -> dict[str, Any] | None:
    """Inputs that the package makes too, and what the model answers, to be compared when the package is loaded."""
    shapes = [
        [size or (1 if at == 0 else 64 if len(port.shape) == 4 else 8) for at, size in enumerate(port.shape)]
        for port in model.inputs
    ]
    inputs = {port.name: _waves(shape, port.dtype) for port, shape in zip(model.inputs, shapes, strict=True)}
    found = model.predict(inputs)
    outputs = found if isinstance(found, list) else [found]
    if any(output.dtype.kind not in "fiub" or not np.isfinite(output.astype(np.float64)).all() for output in outputs):
        return None
    first = [{"shape": list(output.shape), "values": output.ravel()[:_MOST_CHECKED].astype(float).tolist()} for output in outputs]
    return {"inputs": shapes, "outputs": first, "tolerance": CHECK_TOLERANCE}


def _waves(shape: list[int], dtype: str) -> NDArray[Any]:
    count = np.arange(int(np.prod(shape)))
    values = count % 2 if dtype in _INTEGERS or dtype == "bool" else (count * 7919 % 1000 / 1000).astype(np.float32)
    return values.reshape(shape)


def shown_signatures(manifest: dict[str, Any]) -> list[str]:
    """The signatures of a package's model, for people.

    Example:
        >>> shown_signatures(package.manifest)
        ['serving_default: x float32 [any] -> y float32 [any]']
    """

    def shown(ports: list[dict[str, Any]]) -> str:
        sizes = (", ".join("any" if size is None else str(size) for size in port["shape"] or ["..."]) for port in ports)
        return ", ".join(f"{printable(port['name'])} {port['dtype']} [{size}]" for port, size in zip(ports, sizes, strict=True))

    return [
        f"{printable(name)}: {shown(each['inputs'])} -> {shown(each['outputs'])}" for name, each in manifest["signatures"].items()
    ]
