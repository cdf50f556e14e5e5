"""What runs in the TensorFlow process: models in Keras, whole and layer by layer. Imports TensorFlow there only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.parity.arrays import load_list, save_list
from pybridge.parity.keras_steps import keras_outputs, keras_steps, write_steps
from pybridge.tfjs.layers_model import LayersModel


def run_program(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Runs a program with all its outputs over batches ``inputs-N.npz``, as Node's TensorFlow does; leaves ``outputs-N.npz``."""
    import tensorflow as tf

    from pybridge.graphs.program import Program

    program = Program.from_dict(arguments["program"])
    signature = program.signatures["default"]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        tf.compat.v1.saved_model.loader.load(session, ["serve"], str(program.folder))
        for batch in range(arguments["batches"]):
            values = load_list(folder / f"inputs-{batch}.npz")
            feed = {spec.tensor: value for spec, value in zip(signature.inputs, values, strict=True)}
            save_list(folder / f"outputs-{batch}.npz", session.run([spec.tensor for spec in signature.outputs], feed))
    return {}


def run_saved_model(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """The same with the tensors of a user's SavedModel."""
    import tensorflow as tf

    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        tf.compat.v1.saved_model.loader.load(session, ["serve"], arguments["folder"])
        for batch in range(arguments["batches"]):
            values = load_list(folder / f"inputs-{batch}.npz")
            feed = dict(zip(arguments["inputs"], values, strict=True))
            save_list(folder / f"outputs-{batch}.npz", session.run(arguments["outputs"], feed))
    return {}


def run_keras(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Runs the layers model in ``model`` in Keras, operation by operation, over batches."""
    from pybridge.models import to_keras

    model = to_keras(LayersModel.read(folder / "model"))
    for batch in range(arguments["batches"]):
        save_list(folder / f"outputs-{batch}.npz", keras_outputs(model, load_list(folder / f"inputs-{batch}.npz")))
    return {}


def walk(folder: Path, _arguments: dict[str, Any]) -> dict[str, Any]:
    """Leaves in ``steps`` what each layer of the model in ``model`` gives for ``inputs.npz``."""
    from pybridge.models import to_keras

    model = to_keras(LayersModel.read(folder / "model"))
    write_steps(folder / "steps", keras_steps(model, load_list(folder / "inputs.npz")))
    return {}


def describe_layer(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """The Keras config of the layer ``path`` of the model in ``model``; its weights go to ``weights.npz``."""
    from pybridge.models import to_keras
    from pybridge.parity.keras_steps import find_layer

    layer = find_layer(to_keras(LayersModel.read(folder / "model")), arguments["path"])
    if layer is None:
        return {"config": None}
    save_list(folder / "weights.npz", [np.asarray(value) for value in layer.get_weights()])
    return {"config": json.loads(json.dumps(layer.get_config(), default=str)), "class_name": type(layer).__name__}


def explain(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Searches for what makes a layer of the reference give what the other side gave."""
    from pybridge.parity.causes import Evidence, guess

    def optional(name: str) -> list[NDArray[Any]] | None:
        return load_list(folder / f"{name}.npz") if (folder / f"{name}.npz").exists() else None

    evidence = Evidence(
        class_name=arguments["class_name"],
        config=arguments["config"],
        weights=load_list(folder / "weights.npz"),
        inputs=load_list(folder / "inputs.npz"),
        found=load_list(folder / "found.npz"),
        other_config=arguments["other_config"],
        other_weights=optional("other_weights"),
        tolerance=arguments["tolerance"],
    )
    return {"causes": guess(evidence)}
