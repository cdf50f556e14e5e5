"""The graph of a Keras model: which calls it is made of, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybridge.converters.keras.emitter import Symbol
from pybridge.converters.keras.masks import travelling_mask
from pybridge.converters.refusals import Refused

GRAPH_FORMAT = (
    'pb.convert(model, folder, to="saved_model") or to="tfjs_graph" writes it as a graph, which runs everything that TensorFlow '
    "runs, but is not trainable."
)


def graph_of(model: Any) -> Any:
    """The Functional model that says what a model computes.

    Raises:
        Refused: It is not built, or its ``call`` is Python code.
    """
    import keras

    functional = _functional_class()
    if isinstance(model, keras.Sequential):
        graph = getattr(model, "_functional", None)
        if graph is None:
            raise Refused("is not built: the shape of its input is unknown", "Call model.build(input_shape) first.")
        return graph
    if not isinstance(model, functional) or type(model).call is not functional.call:
        raise Refused(
            "is a subclassed model: its call() is Python code, of which there is no list of layers",
            f"Write it as a Functional or Sequential model. {GRAPH_FORMAT}",
        )
    return model


def _functional_class() -> Any:
    from keras.src.models.functional import Functional

    return Functional


def needed_nodes(graph: Any) -> list[Any]:
    """The calls of a model in the order of data, without inputs and without those that only make masks TF.js makes itself."""
    by_depth = graph._nodes_by_depth
    ordered = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if node.operation is not None]
    wanted = {id(tensor) for tensor in graph.outputs}
    needed: list[Any] = []
    for node in reversed(ordered):
        if not node.is_input and any(id(tensor) in wanted for tensor in node.outputs):
            needed.append(node)
            travelling = travelling_mask(node)
            wanted.update(id(tensor) for tensor in node.input_tensors if tensor is not travelling)
    return needed[::-1]


def shares_across_models(graph: Any) -> bool:
    """Whether a layer with weights belongs to more than one of the models in a model."""
    import keras

    owners: dict[int, int] = {}
    seen: set[int] = set()

    def visit(current: Any) -> bool:
        seen.add(id(current))
        for operation in current.operations:
            if isinstance(operation, keras.Model):
                try:
                    inner = graph_of(operation)
                except Refused:
                    continue
                if id(inner) not in seen and visit(inner):
                    return True
                # A model within two models would have to be written twice.
                if owners.setdefault(id(operation), id(current)) != id(current) and operation.weights:
                    return True
            elif getattr(operation, "weights", None) and owners.setdefault(id(operation), id(current)) != id(current):
                return True
        return False

    return visit(graph)


def in_order_of(graph: Any, args: Sequence[Any], inputs: list[Symbol]) -> list[Symbol]:
    """The inputs of a nested model in the order of its own inputs: a dict names them."""
    if args and isinstance(args[0], Mapping) and not isinstance(graph._inputs_struct, Mapping):
        named = args[0]
        try:
            return [named[tensor.name] for tensor in graph.inputs]
        except KeyError as error:
            raise Refused(f"is called with a dict that has no {error}") from error
    if len(inputs) != len(graph.inputs):
        raise Refused(f"is called with {len(inputs)} tensors, but has {len(graph.inputs)} inputs")
    return inputs


def with_symbols(value: Any, known: Mapping[int, Symbol]) -> Any:
    """The arguments of a call with symbols in place of the tensors that are known."""
    import keras

    def replace(leaf: Any) -> Any:
        return known.get(id(leaf), leaf) if isinstance(leaf, keras.KerasTensor) else leaf

    return keras.tree.map_structure(replace, value)
