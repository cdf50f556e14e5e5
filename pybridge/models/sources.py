"""Finds the model that a user names: whole, with its classifier, for prediction and further training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from pybridge.errors import ModelFormatError
from pybridge.models import zoo
from pybridge.models.base_model import zoo_model
from pybridge.models.download import fetch_model
from pybridge.models.graph import suggest
from pybridge.models.layers_model import MODEL_JSON_LIMIT, LayersModel, parse_model_json


def open_model(source: str | Path | LayersModel, *, progress: Callable[[int, int], None] | None = None) -> LayersModel | Path:
    """Finds a TF.js model.

    Args:
        source: A name of the zoo; an http(s) address of a ``model.json``; its path or folder; or a model in memory.
        progress: Told ``(done_bytes, total_bytes)`` while something is downloaded.

    Returns:
        A layers model, or the path of a graph model's ``model.json``.

    Raises:
        ModelFormatError: There is no such model, it is damaged, or of a kind that Node cannot load.
    """
    if isinstance(source, LayersModel):
        return source
    text = str(source)
    entry = zoo.find(text) if isinstance(source, str) else None
    if entry is not None:
        return zoo_model(entry, progress)
    if urlsplit(text).scheme in ("http", "https"):
        return LayersModel.read(fetch_model(text, progress=progress))
    path = Path(source).expanduser()
    if not path.exists():
        raise ModelFormatError(
            f"{text!r} is neither a model of the zoo nor a path that exists",
            hint=suggest(text, [known.name for known in zoo.list()]),
        )
    file = path / "model.json" if path.is_dir() else path
    if file.suffix != ".json" or not file.is_file():
        raise ModelFormatError(
            f"{path} is no TF.js model", hint="Give a model.json or the folder that holds it; see also `pybridge zoo`."
        )
    return file if _is_graph_model(file) else LayersModel.read(file)


def _is_graph_model(file: Path) -> bool:
    if file.stat().st_size > MODEL_JSON_LIMIT:
        return False
    document = parse_model_json(file.read_bytes(), str(file))
    topology = document.get("modelTopology")
    return document.get("format") == "graph-model" or (isinstance(topology, dict) and "node" in topology)
