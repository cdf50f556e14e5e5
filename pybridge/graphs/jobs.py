"""The jobs of the TensorFlow process: tracing programs, and running them as the reference that Node is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pybridge.data.preprocessing import Preprocessing
from pybridge.graphs import tracing
from pybridge.graphs.program import Program
from pybridge.tfjs.layers_model import LayersModel


def trace(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Traces, for each item, its preprocessing or the model in its folder, into ``program`` there."""
    for item in arguments["items"]:
        place = folder / item["folder"]
        if item["preprocessing"] is not None:
            tracing.trace_preprocessing(Preprocessing.from_dict(item["preprocessing"]), place / "program")
        else:
            tracing.trace_model(LayersModel.read(place / "model"), place / "program")
    return {}


def run_programs(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Runs a chain of programs over batches, and leaves each stage's output as ``stage-N.npy``.

    Each program runs in a session over its SavedModel, which is how Node's TensorFlow runs it too.
    """
    stages = [Program.from_dict(description) for description in arguments["stages"]]
    sessions = [_session(stage) for stage in stages]
    outputs: list[list[NDArray[Any]]] = [[] for _ in stages]
    for batch in range(arguments["batches"]):
        with np.load(folder / f"batch-{batch}.npz", allow_pickle=False) as arrays:
            feeds = [arrays[name] for name in arrays["order"]]
        if "lengths" in arguments:
            feeds[0] = _split(feeds[0], arguments["lengths"][batch])
        names = [arguments["signature"], *["default"] * (len(stages) - 1)]
        for position, (stage, session, name) in enumerate(zip(stages, sessions, names, strict=True)):
            signature = stage.signatures[name]
            feed = {spec.tensor: value for spec, value in zip(signature.inputs, feeds, strict=True)}
            result = session.run(signature.output.tensor, feed)
            outputs[position].append(result)
            feeds = [result]
    for position, parts in enumerate(outputs):
        if position in arguments["keep"]:
            np.save(folder / f"stage-{position}.npy", np.concatenate(parts))
    return {"tensorflow": tf.__version__}


def _session(program: Program) -> Any:
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        tf.compat.v1.saved_model.loader.load(session, ["serve"], str(program.folder))
    return session


def _split(data: NDArray[np.uint8], lengths: list[int]) -> NDArray[np.object_]:
    ends = np.cumsum(lengths)
    files = np.empty(len(lengths), dtype=object)
    for index, (end, length) in enumerate(zip(ends, lengths, strict=True)):
        files[index] = data[end - length : end].tobytes()
    return files
