"""TF.js graph models: how one is told from a layers model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pybridge.tfjs.layers_model import MODEL_JSON_LIMIT, parse_model_json


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
