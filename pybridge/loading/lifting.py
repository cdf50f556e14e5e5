"""From a graph back to layers, where each of its operations has a counterpart."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pybridge.graphs import TensorFlowProcess
from pybridge.loading.finding import OpenedModel
from pybridge.loading.keras_files import run_job
from pybridge.tfjs.graph_model import GraphModel
from pybridge.tfjs.layers_model import LayersModel


def lift(model: OpenedModel, tensorflow: TensorFlowProcess | None = None) -> LayersModel:
    """Make a model of layers out of whatever was opened.

    Args:
        model: A layers model stays as it is. The graph of a TF.js graph model is read in this process, that of a SavedModel is
            frozen in the TensorFlow process.
        tensorflow: A process that runs already.

    Raises:
        ModelFormatError: The graph has operations without a counterpart; the message names them all.
    """
    if isinstance(model, LayersModel):
        return model
    if isinstance(model, GraphModel):
        from pybridge.converters.tensorflow.conversion import from_graph_model

        return from_graph_model(model)
    with tempfile.TemporaryDirectory(prefix="pybridge-lift-") as name:
        scratch = Path(name)
        run_job(
            scratch,
            "pybridge.loading.freezing:lift_saved_model",
            model.to_dict(),
            str(model.source),
            tensorflow,
            reads=model.folder,
        )
        return LayersModel.read(scratch / "model")
