"""What can be verified: a model of any kind, as the runtimes take it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.loading import OpenedModel, SavedModel, find_model, lift
from pybridge.node import Model
from pybridge.parity.edge_cases import InputSpec
from pybridge.tfjs.graph_model import GraphModel
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.topology import parse_topology
from pybridge.tfjs.topology.names import snake


@dataclass(frozen=True)
class Subject:
    """A model in the forms that there are of it.

    Attributes:
        name: Short and readable.
        keras: The Keras model in memory, if that was given.
        layers: As a model of layers, if it is one or could be converted; of a graph model, what its graph was lifted to.
        refusal: Why it could not be converted.
        graph: A TF.js graph model.
        saved: A SavedModel.
        preprocessing: What turns a photo into its input, where that is known.
    """

    name: str
    keras: Any = None
    layers: LayersModel | None = None
    refusal: str | None = None
    graph: GraphModel | None = None
    saved: SavedModel | None = None
    preprocessing: Preprocessing | None = None

    @property
    def in_node(self) -> OpenedModel:
        """What Node loads.

        Raises:
            ModelFormatError: It could not be converted.
        """
        for form in (self.graph, self.layers, self.saved):
            if form is not None:
                return form
        raise ModelFormatError(f"{self.name}: {self.refusal}")


def as_subject(model: Any, **options: Any) -> Subject:
    """Opens whatever a user calls a model.

    Args:
        model: A `pybridge.Model`, or what `pybridge.Node.load_model` takes.
        options: As `pybridge.loading.find_model` takes them.

    Raises:
        ModelFormatError: There is no such model, or it is damaged.
    """
    if isinstance(model, Subject):
        return model
    if isinstance(model, Model):
        return _subject("model", model.source)
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(model, keras.Model):
        try:
            found = find_model(model, **options)
        except ModelFormatError as error:
            return Subject(str(model.name), keras=model, refusal=error.message)
        return _subject(found.name, found.model, keras=model)
    found = find_model(model, **options)
    return _subject(found.name, found.model, preprocessing=found.preprocessing)


def input_specs(subject: Subject, node_model: Model | None) -> list[InputSpec]:
    """What the model takes, in the order in which it takes it.

    Args:
        subject: The model.
        node_model: The same, loaded in Node; None where only Keras has it.
    """
    if node_model is None:
        return [InputSpec(tensor.name, tuple(tensor.shape), str(tensor.dtype)) for tensor in subject.keras.inputs]
    below = _shortest_table(subject.layers) if subject.layers is not None else None
    specs = []
    for port in node_model.inputs:
        dtype = "int32" if port.dtype in ("int32", "int64", "uint8", "bool") else "float32"
        # Embeddings look up indices, which have one axis besides the batch.
        specs.append(InputSpec(port.name, tuple(port.shape), dtype, below if len(port.shape) <= 2 else None))
    return specs


def _subject(name: str, model: OpenedModel, **known: Any) -> Subject:
    if isinstance(model, LayersModel):
        return Subject(name, layers=model, **known)
    if isinstance(model, GraphModel):
        return Subject(name, layers=_lifted(model), graph=model, **known)
    return Subject(name, saved=model, **known)


def _lifted(graph: GraphModel) -> LayersModel | None:
    """The graph as layers, which Python can run too; None where it has operations that no layer has."""
    try:
        layers = lift(graph)
    except ModelFormatError:
        return None
    structure = parse_topology(layers.topology)
    # Which of several inputs is which would be a guess.
    return layers if len(structure.inputs) == len(structure.outputs) == 1 else None


def _shortest_table(model: LayersModel) -> int | None:
    sizes = [
        {snake(key): value for key, value in entry.config.items()}.get("input_dim")
        for _, entry in parse_topology(model.topology).walk()
        if entry.class_name == "Embedding"
    ]
    return min((size for size in sizes if isinstance(size, int)), default=None)
