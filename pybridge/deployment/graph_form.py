"""The fused form of a package's model: a graph that other backends than TensorFlow's own run in about half of the time."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from pybridge._version import __version__
from pybridge.errors import ModelFormatError, ParityError
from pybridge.graphs.cache import tracing_folder
from pybridge.loading import OpenedModel
from pybridge.node.inputs import examples_of
from pybridge.node.model import Model
from pybridge.progress import progress
from pybridge.saving.saving import save_model
from pybridge.session import Session
from pybridge.storage.cache import cache_part, check_cached, keep_in_cache
from pybridge.tfjs.graph_model import GraphModel
from pybridge.tfjs.layers_model import LayersModel

GRAPH_FILE: Final = "graph/model.json"

_VERSION = 1
"""Raise it when the same model becomes another graph."""

logger = logging.getLogger(__name__)


def write_graph_form(model: LayersModel, folder: Path, session: Session) -> dict[str, Any] | None:
    """Write the graph of a model into ``graph/`` of a package, once it has answered in Node as the model does.

    It is made once for each model, and kept in the cache.

    Args:
        model: What the package has as layers, in float32.
        folder: The package's.
        session: Traces and compares.

    Returns:
        What the manifest says of it; None where TensorFlow.js cannot run the model as a graph, or not with the same answers.
    """
    identity = [_VERSION, __version__, session.runtime.tensorflow_version, model.sha256()]
    kept = cache_part("programs") / f"graph-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]}"
    check_cached(kept)
    if not (kept / "model.json").is_file():
        try:
            with tracing_folder() as scratch, session.tensorflow(), progress(1, "Fusing the model (once)", "job") as bar:
                _make(model, scratch / "graph", session)
                bar.update()
                keep_in_cache(scratch / "graph", kept)
        except (ModelFormatError, ParityError) as error:
            logger.info("The package has no fused form: %s", error.message)
            return None
    (folder / "graph").mkdir()
    for file in kept.iterdir():
        shutil.copyfile(file, folder / "graph" / file.name)
    return {"file": GRAPH_FILE}


def _make(model: LayersModel, target: Path, session: Session) -> None:
    def answer(source: OpenedModel, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        assert isinstance(source, LayersModel | GraphModel)
        loaded = Model(session.runner, source)
        try:
            outputs = loaded.predict(inputs)
        finally:
            loaded.dispose()
        return outputs if isinstance(outputs, list) else [outputs]

    ports = Model(session.runner, model)
    try:
        inputs = examples_of(ports.inputs)
    finally:
        ports.dispose()
    save_model(model, target, format="tfjs_graph", precision="float32", inputs=inputs, answer=answer)
