"""Writes layers as the graph that ``tf.loadGraphModel`` runs. Imports TensorFlow, so it runs in the TensorFlow process only."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from pybridge.graphs.folding import CONTROL_FLOW, fold_affine
from pybridge.models import to_keras
from pybridge.tfjs.layers_model import LayersModel

# By the operation that a bias and an activation are fused with: what TensorFlow.js calls the result.
_FUSED = {"Conv2D": "_FusedConv2D", "DepthwiseConv2dNative": "FusedDepthwiseConv2dNative", "MatMul": "_FusedMatMul"}
# Those that every backend of TensorFlow.js fuses.
_ACTIVATIONS = ("Relu", "Relu6")
# Bookkeeping of TensorFlow that TensorFlow.js does not read.
_NOT_WRITTEN = ("_output_shapes", "_class", "_xla_inferred_shapes", "shared_name")


def export_graph(folder: Path, _arguments: dict[str, Any]) -> dict[str, Any]:
    """Turns the layers model in ``folder / "model"`` into the parts of a graph model.

    Batch normalization is folded into the convolutions before it, and biases and activations are fused with them: the network
    of a mobile classifier then takes about half of the time on WebAssembly.

    Returns:
        ``topology`` and ``signature`` as ``model.json`` has them, and the names of the ``weights``, whose values are in
        ``weights.npz`` by their position.
    """
    model = to_keras(LayersModel.read(folder / "model"))
    names = [tensor.name for tensor in model.inputs]
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype, name=_identifier(tensor.name)) for tensor in model.inputs]

    def infer(*tensors: tf.Tensor) -> list[tf.Tensor]:
        given = keras.tree.pack_sequence_as(model.input, list(tensors))
        # A name of its own for each, also where one of the model's tensors is several of its outputs.
        return [tf.identity(output) for output in keras.tree.flatten(model(given, training=False))]

    frozen = convert_variables_to_constants_v2(
        tf.function(infer, autograph=False).get_concrete_function(*specs), aggressive_inlining=True
    )
    inputs = [tensor.op.name for tensor in frozen.inputs]
    outputs = [tensor.op.name for tensor in frozen.outputs]
    definition = fold_affine(frozen.graph, outputs)
    # In a loop, what is computed depends on more than on inputs.
    if not any(node.op in CONTROL_FLOW for node in definition.node):
        definition = _fused(_computed(_without_identities(definition, outputs), outputs), outputs)
    definition = tf.compat.v1.graph_util.extract_sub_graph(definition, outputs)
    present = {node.name for node in definition.node}
    # An input that no output depends on still has its place.
    definition.node.extend(node for node in frozen.graph.as_graph_def().node if node.name in inputs and node.name not in present)
    weights = _take_weights(definition)
    np.savez(folder / "weights.npz", **{str(position): value for position, value in enumerate(weights.values())})
    signature = {
        "inputs": _described(names, frozen.inputs),
        "outputs": _described([f"output_{position}" for position in range(len(outputs))], frozen.outputs),
    }
    (folder / "graph.json").write_text(json.dumps({"topology": _topology(definition), "signature": signature}), "utf-8")
    return {"weights": list(weights)}


def _identifier(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.]", "_", name)
    return plain if plain[:1].isalnum() else f"input{plain}"


def _computed(definition: Any, outputs: list[str]) -> Any:
    """Replaces what depends on no input by its value."""
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    constant: set[str] = set()
    for operation in graph.get_operations():
        depends = not operation.inputs or any(tensor.op.name not in constant for tensor in operation.inputs)
        plain = len(operation.outputs) == 1 and operation.outputs[0].dtype.is_numpy_compatible and not operation.control_inputs
        if operation.type == "Const" or (plain and not depends):
            constant.add(operation.name)
    used = {name.split(":")[0] for node in definition.node if node.name not in constant for name in node.input} | set(outputs)
    computed = [node for node in definition.node if node.name in constant and node.op != "Const" and node.name in used]
    with tf.compat.v1.Session(graph=graph) as session:
        values = session.run([f"{node.name}:0" for node in computed])
    for node, value in zip(computed, values, strict=True):
        node.op = "Const"
        del node.input[:]
        node.attr.clear()
        node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return tf.compat.v1.graph_util.extract_sub_graph(definition, outputs)


def _without_identities(definition: Any, outputs: list[str]) -> Any:
    """Lets operations take what they use from where it is computed, in no other order than that."""
    for node in definition.node:
        data = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(data)
    passed = {
        node.name: node.input[0]
        for node in definition.node
        if node.op in ("Identity", "StopGradient", "PreventGradient") and node.name not in outputs
    }
    for node in definition.node:
        for position, name in enumerate(node.input):
            while name in passed:
                name = passed[name]
            node.input[position] = name
    return definition


def _fused(definition: Any, outputs: list[str]) -> Any:
    """Fuses linear operations with the bias and the activation behind them."""
    nodes = {node.name: node for node in definition.node}
    uses = Counter(name for node in definition.node for name in node.input) + Counter(outputs)
    followers = {name: node for node in definition.node for name in node.input}
    for bias in [node for node in definition.node if node.op == "BiasAdd"]:
        linear = nodes.get(bias.input[0])
        if linear is None or linear.op not in _FUSED or uses[linear.name] != 1 or bias.attr["data_format"].s == b"NCHW":
            continue
        last, operations = bias, [b"BiasAdd"]
        follower = followers.get(bias.name)
        if uses[bias.name] == 1 and follower is not None and follower.op in _ACTIVATIONS:
            last, operations = follower, [b"BiasAdd", follower.op.encode()]
        wanted = [*linear.input[:2], bias.input[1]]
        last.op = _FUSED[linear.op]
        del last.input[:]
        last.input.extend(wanted)
        last.attr.clear()
        for name, value in linear.attr.items():
            last.attr[name].CopyFrom(value)
        last.attr["fused_ops"].list.s.extend(operations)
        last.attr["num_args"].i = 1
        last.attr["epsilon"].f = 0.0
    return definition


def _take_weights(definition: Any) -> dict[str, Any]:
    """The values of the constants, which the graph then lacks."""
    weights = {}
    for node in definition.node:
        if node.op != "Const":
            continue
        value = tf.make_ndarray(node.attr["value"].tensor)
        # TensorFlow.js has no larger whole numbers; those of a graph of layers are sizes, axes and the like.
        if value.dtype.kind in "iu" and value.dtype.itemsize > 4:
            value = np.clip(value, np.iinfo(np.int32).min, np.iinfo(np.int32).max).astype(np.int32)
        weights[node.name] = value
        shape = node.attr["value"].tensor.tensor_shape
        node.attr["value"].tensor.Clear()
        node.attr["value"].tensor.dtype = node.attr["dtype"].type
        node.attr["value"].tensor.tensor_shape.CopyFrom(shape)
    return weights


def _described(names: list[str], tensors: list[Any]) -> dict[str, Any]:
    return {
        name: {
            "name": tensor.name,
            "dtype": f"DT_{'FLOAT' if tensor.dtype == tf.float32 else tensor.dtype.name.upper()}",
            "tensorShape": {"dim": [{"size": str(-1 if size is None else size)} for size in tensor.shape]},
        }
        for name, tensor in zip(names, tensors, strict=True)
    }


def _topology(definition: Any) -> dict[str, Any]:
    for node in definition.node:
        node.device = ""
        for name in _NOT_WRITTEN:
            node.attr.pop(name, None)
    written = MessageToDict(definition)
    return {"node": written["node"], "library": {}, "versions": {"producer": definition.versions.producer}}
