"""The nodes of a TensorFlow graph as JSON writes them: in a TF.js graph model, or in a GraphDef turned into JSON."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.building.values import Constant
from pybridge.errors import ModelFormatError

_DAMAGED = "The model is damaged or incomplete: export or download it again."
_NODE_LIMIT = 200_000


@dataclass(frozen=True)
class GraphNode:
    """One operation.

    Attributes:
        name: Unique in its graph.
        op: Its kind, such as ``Conv2D``.
        inputs: The tensors it takes, as (node, index of its output).
        attributes: Plain values: bools, numbers, strings, shapes and types by name, and lists of them.
    """

    name: str
    op: str
    inputs: tuple[tuple[str, int], ...]
    attributes: Mapping[str, Any]


def parse_nodes(written: object, where: str) -> dict[str, GraphNode]:
    """Check the nodes of a graph and give them types.

    Args:
        written: The list ``node`` of the graph's JSON.
        where: What to call it in errors.

    Returns:
        The nodes by name, each behind those that it takes from.

    Raises:
        ModelFormatError: It is no graph, or has a cycle.
    """
    if not isinstance(written, list) or len(written) > _NODE_LIMIT:
        raise ModelFormatError(f"{where}: has no list of nodes", hint=_DAMAGED)
    nodes: dict[str, GraphNode] = {}
    for entry in written:
        node = _parse_node(entry, where)
        if node.name in nodes:
            raise ModelFormatError(f"{where}: the node {node.name!r} is listed twice", hint=_DAMAGED)
        nodes[node.name] = node
    return _sorted(nodes, where)


def tensor_name(written: str) -> tuple[str, int]:
    """Split ``node:1`` into the node's name and the index of its output."""
    name, _, index = written.partition(":")
    return name, int(index) if index.isdigit() else 0


def _parse_node(entry: object, where: str) -> GraphNode:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not isinstance(entry.get("op"), str):
        raise ModelFormatError(f"{where}: a node has no name or no op", hint=_DAMAGED)
    inputs, attributes = entry.get("input") or [], entry.get("attr") or {}
    if not isinstance(inputs, list) or not all(isinstance(name, str) for name in inputs) or not isinstance(attributes, dict):
        raise ModelFormatError(f"{where}: the node {entry['name']!r} is malformed", hint=_DAMAGED)
    try:
        values = {str(name): _attribute(value) for name, value in attributes.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelFormatError(
            f"{where}: the node {entry['name']!r} has a malformed attribute ({error})", hint=_DAMAGED
        ) from error
    data = tuple(tensor_name(name) for name in inputs if not name.startswith("^"))
    return GraphNode(entry["name"], entry["op"], data, values)


def _attribute(value: Mapping[str, Any]) -> Any:
    for kind, content in value.items():
        if kind == "list":
            return [_plain(inner, item) for inner, items in content.items() for item in items]
        return _plain(kind, content)
    return None


def _plain(kind: str, content: Any) -> Any:
    if kind == "i":
        return int(content)
    if kind == "f":
        return float(content)
    if kind == "s":
        return base64.b64decode(content, validate=True).decode("utf-8", "replace")
    if kind == "shape":
        if content.get("unknownRank"):
            return None
        return [int(dimension.get("size", 0)) for dimension in content.get("dim") or []]
    return content


def _sorted(nodes: dict[str, GraphNode], where: str) -> dict[str, GraphNode]:
    ordered: dict[str, GraphNode] = {}
    pending: set[str] = set()
    for start in nodes:
        stack = [start]
        while stack:
            name = stack[-1]
            if name in ordered:
                stack.pop()
                continue
            if name not in nodes:
                raise ModelFormatError(f"{where}: there is no node {name!r}", hint=_DAMAGED)
            missing = [source for source, _ in nodes[name].inputs if source not in ordered]
            if not missing:
                ordered[name] = nodes[name]
                pending.discard(name)
                stack.pop()
            elif name in pending:
                raise ModelFormatError(f"{where}: the node {name!r} depends on itself", hint="Loops cannot be converted.")
            else:
                pending.add(name)
                stack.extend(missing)
    return ordered


_CONVOLUTIONS = {"Conv2D": 3, "_FusedConv2D": 3, "DepthwiseConv2dNative": None, "FusedDepthwiseConv2dNative": None}
_PRODUCTS = ("MatMul", "_FusedMatMul")
_PASSING = ("Identity", "StopGradient", "PreventGradient")


# Arithmetic on weights that exporters leave in a graph: that of a decomposed batch normalization, and of biases.
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "AddV2": np.add,
    "Identity": lambda x: x,
    "Mul": np.multiply,
    "RealDiv": np.divide,
    "Reshape": lambda x, shape: x.reshape([int(size) for size in shape.reshape(-1)]),
    "Rsqrt": lambda x: (1 / np.sqrt(x)).astype(x.dtype),
    "Sqrt": np.sqrt,
    "Squeeze": np.squeeze,
    "Sub": np.subtract,
}


def fold_constants(nodes: Mapping[str, GraphNode], constants: Mapping[str, Constant]) -> dict[str, Constant]:
    """Compute what does not depend on the model's input.

    Args:
        nodes: In the order of `parse_nodes`.
        constants: By node.

    Returns:
        The constants and what was computed from them, by node.
    """
    known = dict(constants)
    for node in nodes.values():
        operands = [known.get(source) for source, index in node.inputs if index == 0]
        if node.op not in _ARITHMETIC or not operands or any(operand is None for operand in operands):
            continue
        arrays = [operand.array for operand in operands if operand is not None]
        if arrays[0].dtype != np.float32 or len(arrays) != len(node.inputs):
            continue
        try:
            with np.errstate(all="ignore"):
                array = np.asarray(_ARITHMETIC[node.op](*arrays))
        except (ValueError, TypeError):
            # Shapes that do not fit are refused by name when the node's turn comes.
            continue
        known[node.name] = Constant(array, node.name, trainable=array.ndim > 0)
    return known


def fold_scales(
    nodes: dict[str, GraphNode], constants: dict[str, Constant], outputs: Sequence[str]
) -> tuple[dict[str, GraphNode], dict[str, Constant]]:
    """Fold what is added to and multiplied with the result of a convolution or matrix product into its weights.

    That is what a bias and a decomposed batch normalization are in a frozen graph; it gives one layer for them all, equal up to
    rounding.

    Args:
        nodes: In the order of `parse_nodes`.
        constants: By node.
        outputs: Nodes whose values leave the graph.

    Returns:
        Other nodes and constants for the same function.
    """
    nodes, constants = dict(nodes), dict(constants)
    uses: dict[str, int] = dict.fromkeys(outputs, 1)
    for node in nodes.values():
        for source, _ in node.inputs:
            uses[source] = uses.get(source, 0) + 1
    for name in list(nodes):
        node = nodes[name]
        step = _step(node, nodes, constants, uses)
        if step is None:
            continue
        target, scale, shift = step
        kernel = _resolved(target.inputs[1][0], nodes)
        fused = list(target.attributes.get("fused_ops") or [])
        outer = _outputs(target, constants[kernel])
        if outer is None or any(operation not in ("BiasAdd", "NoOp") for operation in fused):
            continue
        if any(part is not None and part.size not in (1, outer) for part in (scale, shift)):
            continue
        nodes[name], made = _folded(name, target, constants, nodes, outer, scale, shift)
        constants.update(made)
        for constant in made:
            nodes[constant] = GraphNode(constant, "Const", (), {})
    return nodes, constants


def _step(
    node: GraphNode, nodes: Mapping[str, GraphNode], constants: Mapping[str, Constant], uses: Mapping[str, int]
) -> tuple[GraphNode, NDArray[Any] | None, NDArray[Any] | None] | None:
    """A node that scales or shifts the channels of a convolution which nothing else uses."""
    if node.op not in ("BiasAdd", "Add", "AddV2", "Sub", "Mul") or len(node.inputs) != 2:
        return None
    first, second = (_resolved(source, nodes) for source, _ in node.inputs)
    if first in constants and node.op != "Sub":
        first, second = second, first
    if second not in constants or first in constants:
        return None
    target = nodes[first]
    if target.op not in (*_CONVOLUTIONS, *_PRODUCTS) or uses.get(first) != 1 or len(target.inputs) < 2:
        return None
    if _resolved(target.inputs[1][0], nodes) not in constants:
        return None
    if len(target.inputs) > 2 and _resolved(target.inputs[2][0], nodes) not in constants:
        return None
    value = constants[second].array
    if value.size != value.shape[-1:][0] if value.ndim else value.size != 1:
        return None
    flat = value.reshape(-1)
    if node.op == "Mul":
        return target, flat, None
    return target, None, -flat if node.op == "Sub" else flat


def _resolved(name: str, nodes: Mapping[str, GraphNode]) -> str:
    while nodes[name].op in _PASSING and nodes[name].inputs:
        name = nodes[name].inputs[0][0]
    return name


def _outputs(target: GraphNode, kernel: Constant) -> int | None:
    shape = kernel.array.shape
    if target.op in _PRODUCTS:
        if len(shape) != 2 or target.attributes.get("transpose_b"):
            return None
        return int(shape[1])
    if len(shape) != 4 or target.attributes.get("data_format", "NHWC") != "NHWC":
        return None
    axis = _CONVOLUTIONS[target.op]
    return int(shape[axis]) if axis is not None else int(shape[2] * shape[3])


def _folded(
    name: str,
    target: GraphNode,
    constants: Mapping[str, Constant],
    nodes: Mapping[str, GraphNode],
    outputs: int,
    scale: NDArray[Any] | None,
    shift: NDArray[Any] | None,
) -> tuple[GraphNode, dict[str, Constant]]:
    kernel = constants[_resolved(target.inputs[1][0], nodes)]
    has_bias = "BiasAdd" in (target.attributes.get("fused_ops") or [])
    bias = constants[_resolved(target.inputs[2][0], nodes)].array if has_bias else None
    made: dict[str, Constant] = {}
    kernel_name, bias_name = f"{name}/folded_kernel", f"{name}/folded_bias"
    inputs = [target.inputs[0], target.inputs[1]]
    if scale is not None:
        wide = np.broadcast_to(scale.astype(np.float64), (outputs,))
        lined = wide.reshape(kernel.array.shape[2:]) if target.op not in _PRODUCTS and _CONVOLUTIONS[target.op] is None else wide
        made[kernel_name] = Constant((kernel.array * lined).astype(kernel.array.dtype), kernel.name, True)
        inputs[1] = (kernel_name, 0)
        bias = None if bias is None else (bias * wide).astype(bias.dtype)
    if shift is not None:
        total = np.broadcast_to(shift, (outputs,)).astype(np.float64) + (0 if bias is None else bias)
        bias = total.astype(kernel.array.dtype)
    attributes = dict(target.attributes)
    if bias is not None:
        made[bias_name] = Constant(bias, bias_name, True)
        inputs.append((bias_name, 0))
        attributes["fused_ops"] = ["BiasAdd"]
    # It keeps the place of the last of the nodes that it stands for, but says which one it was.
    return replace(target, name=name, inputs=tuple(inputs), attributes={**attributes, "_original": _original(target)}), made


def _original(node: GraphNode) -> str:
    return str(node.attributes.get("_original", node.name))
