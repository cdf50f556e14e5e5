"""Puts what is added to and multiplied with the result of a convolution or product into its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.building.values import Constant
from pybridge.converters.tensorflow.nodes import GraphNode

_CONVOLUTIONS = {"Conv2D": 3, "_FusedConv2D": 3, "DepthwiseConv2dNative": None, "FusedDepthwiseConv2dNative": None}
_PRODUCTS = ("MatMul", "_FusedMatMul")
_PASSING = ("Identity", "StopGradient", "PreventGradient")


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
