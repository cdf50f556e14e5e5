"""From a frozen TensorFlow graph (a TF.js graph model, or a SavedModel with constants for variables) to a TF.js layers model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import BATCH, Constant, Operand, Value
from pybridge.converters.refusals import Refused
from pybridge.converters.tensorflow.folding import FOLDED, fold_constants
from pybridge.converters.tensorflow.fusing import fold_scales
from pybridge.converters.tensorflow.nodes import GraphNode, parse_nodes, tensor_name
from pybridge.converters.tensorflow.operations import OPERATIONS
from pybridge.converters.tensorflow.registry import Node
from pybridge.errors import ModelFormatError
from pybridge.tfjs.graph_model import GraphModel, read_document
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.weights import parse_manifest, read_weights

_ALTERNATIVE = "The model still predicts (node.load_model), but cannot be a base or be trained; give its layers or Keras version."


def from_graph_model(model: GraphModel) -> LayersModel:
    """Lift a TF.js graph model into layers.

    Args:
        model: The graph model.

    Returns:
        A model of layers with the same outputs up to rounding. Batch normalization was folded into the convolutions when the
        graph was exported, so that there is none left.

    Raises:
        ModelFormatError: It is damaged, or has operations without a counterpart; all are named.

    Example:
        >>> from_graph_model(GraphModel.read(Path("mobilenet_v2_graph/model.json"))).topology["class_name"]
        'Functional'
    """
    where = str(model.file)
    document = read_document(model.file)
    topology = document.get("modelTopology")
    nodes = parse_nodes(topology.get("node") if isinstance(topology, dict) else None, where)
    weights = read_weights(parse_manifest(document.get("weightsManifest"), where), model.folder)
    placeholders = [name for name, node in nodes.items() if node.op.startswith("Placeholder")]
    used = {source for node in nodes.values() for source, _ in node.inputs}
    inputs = [port.tensor for port in model.inputs] or placeholders
    outputs = [port.tensor for port in model.outputs] or [name for name in nodes if name not in used]
    return from_graph(model.folder.name or "model", nodes, weights, inputs, outputs)


def from_graph(
    name: str,
    nodes: dict[str, GraphNode],
    weights: Mapping[str, np.ndarray[Any, Any]],
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    input_names: Sequence[str] | None = None,
) -> LayersModel:
    """Convert a frozen graph.

    Args:
        name: The model's name.
        nodes: As `parse_nodes` gives them.
        weights: The values of the ``Const`` nodes.
        inputs: Names of placeholders, in order.
        outputs: Names of tensors, such as ``Identity:0``, in order.
        input_names: What to call the inputs; by default as their placeholders.

    Raises:
        ModelFormatError: Some operations have no counterpart; all are named.
    """
    entrances = [tensor_name(tensor)[0] for tensor in inputs]
    ends = [tensor_name(tensor) for tensor in outputs]
    for wanted in (*entrances, *(end for end, _ in ends)):
        if wanted not in nodes:
            raise ModelFormatError(f"the graph {name!r} has no node {wanted!r}", hint="The model is damaged: export it again.")
    constants = {
        node: Constant(value, node, trainable=value.dtype == np.float32 and value.ndim > 0)
        for node, value in weights.items()
        if node in nodes and nodes[node].op == "Const"
    }
    needed = _needed(nodes, [end for end, _ in ends])
    constants = fold_constants(nodes, constants)
    kept, constants = fold_scales(
        {key: node for key, node in nodes.items() if key in needed}, constants, [end for end, _ in ends]
    )
    # What was folded into others must not be built beside them.
    needed = _needed(kept, [end for end, _ in ends])
    kept = {key: node for key, node in kept.items() if key in needed}
    conversion = _Conversion(Builder(name), constants)
    order = {key: node for key, node in kept.items() if node.op == "Const"} | {
        key: node for key, node in kept.items() if node.op != "Const"
    }
    for entrance, called in zip(entrances, input_names or entrances, strict=True):
        if entrance in order:
            conversion.enter(order[entrance], called)
    for node in order.values():
        conversion.convert(node)
    return conversion.finish(ends)


def _needed(nodes: Mapping[str, GraphNode], ends: Sequence[str]) -> set[str]:
    needed: set[str] = set()
    stack = list(ends)
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack.extend(source for source, _ in nodes[name].inputs)
    return needed


@dataclass
class _Unknown:
    """Takes the place of what a refused operation would have given."""


class _Conversion:
    def __init__(self, builder: Builder, constants: Mapping[str, Constant]) -> None:
        self.builder = builder
        self.constants = constants
        self.values: dict[tuple[str, int], Operand | _Unknown] = {}
        self.refusals: list[str] = []

    def enter(self, node: GraphNode, called: str) -> None:
        shape, dtype = node.attributes.get("shape"), node.attributes.get("dtype")
        if not shape or any(size < 1 for size in shape[1:]) or dtype != "DT_FLOAT":
            self._refuse(node, f"takes {dtype} of shape {shape}; only float32 with known height and width can be lifted")
            return
        self.values[node.name, 0] = self.builder.input(called, (BATCH, *shape[1:]))

    def convert(self, node: GraphNode) -> None:
        if (node.name, 0) in self.values:
            return
        if node.name in self.constants:
            self.values[node.name, 0] = self.constants[node.name]
            return
        try:
            operands = [self.values.get(source, _Unknown()) for source in node.inputs]
            if any(isinstance(operand, _Unknown) for operand in operands):
                if node.op not in OPERATIONS and node.op not in FOLDED:
                    raise Refused("it has no counterpart")
                self.values[node.name, 0] = _Unknown()
                return
            results = self._results(node, [operand for operand in operands if not isinstance(operand, _Unknown)])
        except Refused as refused:
            self._refuse(node, refused.reason)
            return
        except (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, ZeroDivisionError) as error:
            self._refuse(node, f"its inputs or attributes do not fit ({type(error).__name__}: {error})")
            return
        for position, result in enumerate(results):
            self.values[node.name, position] = result

    def _results(self, node: GraphNode, operands: list[Operand]) -> list[Operand]:
        if operands and all(isinstance(operand, Constant) for operand in operands) and node.op in FOLDED:
            arrays = [np.asarray(operand.array) for operand in operands if isinstance(operand, Constant)]
            return [Constant(np.asarray(FOLDED[node.op](node, *arrays)))]
        handler = OPERATIONS.find(node.op)
        if handler is None:
            raise Refused("it has no counterpart")
        result = handler(Node(self.builder, _name(node), node.op, node.attributes), *operands)
        return result if isinstance(result, list) else [result]

    def finish(self, ends: Sequence[tuple[str, int]]) -> LayersModel:
        if self.refusals:
            listed = "\n  ".join(self.refusals[:40])
            raise ModelFormatError(
                f"the graph {self.builder.name!r} cannot be lifted into layers:\n  {listed}", hint=_ALTERNATIVE
            )
        outputs = [self.values.get(end) for end in ends]
        if not all(isinstance(output, Value) for output in outputs):
            raise ModelFormatError(
                f"an output of the graph {self.builder.name!r} does not depend on its input", hint=_ALTERNATIVE
            )
        try:
            return self.builder.finish([output for output in outputs if isinstance(output, Value)])
        except Refused as refused:
            raise ModelFormatError(f"the graph {self.builder.name!r}: {refused.reason}", hint=_ALTERNATIVE) from refused

    def _refuse(self, node: GraphNode, reason: str) -> None:
        self.refusals.append(f"{node.op} {node.name!r}: {reason}")
        self.values[node.name, 0] = _Unknown()


def _name(node: GraphNode) -> str:
    """A layer's name: TensorFlow writes ``model/layer/Operation``, whose layer is what people know."""
    parts = [part for part in str(node.attributes.get("_original", node.name)).split("/") if part]
    if len(parts) > 1:
        parts.pop()
    if len(parts) > 1 and parts[-1] == "batchnorm":
        parts.pop()
    return parts[-1] if parts else node.op
