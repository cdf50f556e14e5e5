"""Writes what only Keras can write. Imports TensorFlow, so it runs in the TensorFlow process only."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pybridge.loading.keras_reader import load_keras_file
from pybridge.models import to_keras
from pybridge.tfjs.layers_model import LayersModel


def export_saved_model(folder: Path, _arguments: dict[str, Any]) -> dict[str, Any]:
    """Exports the layers model in ``folder / "model"`` as a SavedModel in ``folder / "saved_model"``."""
    model = to_keras(LayersModel.read(folder / "model"))
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in model.inputs]

    def serve(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {f"output_{position}": output for position, output in enumerate(_call(model, list(inputs)))}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", serve, input_signature=specs)
    archive.write_out(str(folder / "saved_model"), verbose=False)
    return {}


def write_keras(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Writes the layers model in ``folder / "model"`` as ``model.keras``; opens that and runs it on ``input-N.npy``."""
    file = folder / "model.keras"
    to_keras(LayersModel.read(folder / "model")).save(file)
    if arguments["compress"]:
        _deflate(file)
    reopened = load_keras_file(file, folder)
    inputs = [np.load(folder / f"input-{position}.npy") for position in range(arguments["inputs"])]
    outputs = _call(reopened, inputs)
    for position, output in enumerate(outputs):
        np.save(folder / f"output-{position}.npy", np.asarray(output), allow_pickle=False)
    return {"outputs": len(outputs)}


def _call(model: keras.Model, inputs: list[Any]) -> list[Any]:
    # Its inputs and outputs may be dicts, or nested; flattened, they are in the order of model.inputs and model.outputs. A
    # Sequential model has one of each, and Keras does not tell them apart before it is called.
    given = inputs[0] if isinstance(model, keras.Sequential) else keras.tree.pack_sequence_as(model.input, inputs)
    outputs = model(given, training=False)
    return list(keras.tree.flatten(outputs))


def _deflate(file: Path) -> None:
    packed = file.with_suffix(".packed")
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    packed.replace(file)
