"""The jobs of the TensorFlow process that concern training: tracing one, and running one as the reference for Node's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pybridge.graphs.training import tracing as training_tracing
from pybridge.graphs.training.program import TrainingProgram, TrainingRecipe


def trace_training(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Traces a training into ``program``."""
    recipe = TrainingRecipe(**arguments["recipe"])
    training_tracing.trace_training(arguments["topology"], arguments["weights"], recipe, folder / "program")
    return {}


def run_training(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Runs epochs of a traced training; takes ``training.npz``, leaves the weights as ``weights.npz``.

    ``training.npz`` holds the weights by position (``weights/0``...), ``x``, ``targets``, ``example_weights`` of the examples
    of ``x``, and for each epoch ``rows/0``..., ``rates/0``... and ``mixing/0``...
    """
    program = TrainingProgram.read(Path(arguments["program"]))
    with np.load(folder / "training.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    state = [arrays[f"weights/{i}"] for i in range(len(program.weights))]
    state += [np.zeros(shape, np.float32) for shape in program.slots]
    signature = program.signatures["steps"]
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        tf.compat.v1.saved_model.loader.load(session, ["serve"], str(program.folder))
    step = 0
    losses: list[NDArray[np.float32]] = []
    for epoch in range(arguments["epochs"]):
        rows, rates = arrays[f"rows/{epoch}"], arrays[f"rates/{epoch}"]
        given = [
            *state,
            *(arrays["x"], arrays["targets"], rows, rows, arrays["example_weights"][rows], rates, arrays[f"mixing/{epoch}"]),
            *(arguments["numbers"], arguments["seed"], step, arguments["batch_size"]),
        ]
        feed = {spec.tensor: value for spec, value in zip(signature.inputs, given, strict=True)}
        outputs = session.run([spec.tensor for spec in signature.outputs], feed)
        for position, value in zip(program.updated, outputs, strict=False):
            state[position] = value
        losses.append(outputs[-2])
        step += len(rates)
    weights = {f"weights/{i}": value for i, value in enumerate(state[: len(program.weights)])}
    np.savez(folder / "weights.npz", allow_pickle=False, losses=np.concatenate(losses), **weights)
    return {"steps": step}
