"""Writes models in each format; the work that needs TensorFlow happens in processes of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import BridgeError, ModelFormatError, SetupError
from pybridge.graphs import shared_tensorflow
from pybridge.loading import OpenedModel, SavedModel
from pybridge.loading.saved_model import content_files
from pybridge.runtime import ensure
from pybridge.runtime.commands import python_module
from pybridge.storage.folders import scratch_beside
from pybridge.tfjs.graph_model import GraphModel, write_graph_model
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.precision import Precision

_JOBS = "pybridge.saving.keras_export"


def write_saved_model(model: LayersModel, folder: Path) -> None:
    """Write a SavedModel whose signature names the inputs as the model does, and the outputs ``output_0``, ``output_1``, ...

    Raises:
        ModelFormatError: The model has a layer that Keras does not have.
    """
    with scratch_beside(folder) as scratch:
        model.write(scratch / "model")
        _run(scratch, "export_saved_model", {})
        (scratch / "saved_model").rename(folder)


def write_keras(model: LayersModel, file: Path, inputs: list[NDArray[Any]], *, compress: bool = False) -> list[NDArray[Any]]:
    """Write a ``.keras`` file, and open it again.

    Args:
        model: What to write.
        file: Must end in ``.keras``.
        inputs: Examples, in the order of the model's inputs.
        compress: Deflate the weights, which pays where they were rounded.

    Returns:
        What the file's model gives for the examples.

    Raises:
        ModelFormatError: The model has a layer that Keras does not have.
    """
    with scratch_beside(file) as scratch:
        model.write(scratch / "model")
        for position, value in enumerate(inputs):
            np.save(scratch / f"input-{position}.npy", value, allow_pickle=False)
        result = _run(scratch, "write_keras", {"inputs": len(inputs), "compress": compress})
        outputs = [np.load(scratch / f"output-{position}.npy") for position in range(result["outputs"])]
        (scratch / "model.keras").rename(file)
    return outputs


def write_graph(model: OpenedModel, folder: Path, precision: Precision) -> None:
    """Write a TF.js graph model.

    Layers, and graphs that can be lifted into layers, are written by us: with folded batch normalization, and with biases and
    activations fused. Other SavedModels need ``tensorflowjs``.

    Raises:
        SetupError: ``tensorflowjs`` is needed and not installed.
        ModelFormatError: The model cannot be written as one.
    """
    if isinstance(model, GraphModel):
        if precision != "float32":
            raise ModelFormatError(
                "the weights of a graph model are copied as they are", hint="Save it as tfjs_layers in that precision."
            )
        model.copy_to(folder)
        return
    with scratch_beside(folder) as scratch:
        if isinstance(model, SavedModel):
            _need_tensorflowjs()
            _run_converter(model.folder, model.signature, scratch / "graph", precision)
            (scratch / "graph").rename(folder)
            return
        model.write(scratch / "model")
        names = _run(scratch, "export_graph", {}, "pybridge.saving.graph_export")["weights"]
        graph = json.loads((scratch / "graph.json").read_text("utf-8"))
        with np.load(scratch / "weights.npz", allow_pickle=False) as values:
            weights = {name: values[str(position)] for position, name in enumerate(names)}
    write_graph_model(folder, graph["topology"], graph["signature"], weights, precision)


def copy_saved_model(model: SavedModel, folder: Path) -> None:
    """Copy a SavedModel.

    Raises:
        ModelFormatError: One of its files lies out of its folder.
    """
    for file in content_files(model.folder):
        target = folder / file.relative_to(model.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _run(scratch: Path, job: str, arguments: dict[str, Any], module: str = _JOBS) -> dict[str, Any]:
    with shared_tensorflow(ensure().environment()) as process:
        return process.run(scratch, f"{module}:{job}", arguments)


def _need_tensorflowjs() -> None:
    if importlib.util.find_spec("tensorflowjs") is None:
        raise SetupError(
            "the format tfjs_graph needs the Python package tensorflowjs",
            hint="pip install 'pybridge[tensorflowjs]' (it works with TensorFlow 2.19, in an environment of its own).",
        )


def _run_converter(source: Path, signature: str, target: Path, precision: Precision) -> None:
    # A process of its own: the package imports half of the ecosystem, and prints.
    arguments = json.dumps({"source": str(source), "signature": signature, "target": str(target), "precision": precision})
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        python_module("pybridge.saving.graph_converter", arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        check=False,
    )
    if done.returncode == 0 and (target / "model.json").is_file():
        return
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    described = "\n".join(lines[-12:])
    if "ImportError" in described or "ModuleNotFoundError" in described or "VersionError" in described:
        raise SetupError(
            f"tensorflowjs is installed, but cannot be imported:\n{described}",
            hint="pip install 'pybridge[tensorflowjs]' has the versions that work together.",
        )
    if done.returncode < 0:
        raise BridgeError(f"the converter of tensorflowjs ended with signal {-done.returncode}:\n{described}")
    raise ModelFormatError(
        f"tensorflowjs cannot convert the model:\n{described}", hint="Save it as saved_model or tfjs_layers instead."
    )
