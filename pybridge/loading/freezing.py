"""Freezes SavedModels. Imports TensorFlow, so it runs in the TensorFlow process only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from numpy.typing import NDArray

from pybridge.converters.tensorflow.conversion import from_graph
from pybridge.converters.tensorflow.nodes import parse_nodes
from pybridge.errors import ModelFormatError
from pybridge.loading.memory_limit import memory_limit

_TFJS = {
    **dict.fromkeys(("int8", "int16", "int64", "uint8", "uint16", "uint32", "uint64"), "int32"),
    **dict.fromkeys(("float16", "bfloat16", "float64"), "float32"),
}
"""What TensorFlow.js has for the types of TensorFlow that it lacks."""


def lift_saved_model(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Lifts a signature of a SavedModel into a layers model in ``folder / "model"``.

    Args:
        folder: The job's folder.
        arguments: ``folder``, ``source`` for people, ``signature``, and the names of ``inputs`` and ``outputs`` in order.

    Raises:
        ModelFormatError: The SavedModel is damaged, or has operations without a counterpart.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    source, signature = arguments["source"], arguments["signature"]
    with memory_limit():
        try:
            # The loaded object owns the variables and must outlive its signatures.
            loaded = tf.saved_model.load(arguments["folder"])
            function = loaded.signatures[signature]
            frozen = convert_variables_to_constants_v2(function)
        except Exception as error:  # TensorFlow reports damaged files by errors of many types
            raise ModelFormatError(f"{source}: cannot be frozen ({str(error)[:500]})", hint=_reason(error)) from error
        definition = frozen.graph.as_graph_def()
        weights: dict[str, NDArray[Any]] = {}
        for node in definition.node:
            if node.op == "Const":
                weights[node.name] = np.asarray(tf.make_ndarray(node.attr["value"].tensor))
                del node.attr["value"]
        written = json_format.MessageToDict(definition)
        nodes = parse_nodes(written.get("node"), source)
        # Signatures take and give dicts, which TensorFlow flattens in the order of their sorted keys.
        inputs = _by_name(sorted(function.structured_input_signature[1]), frozen.inputs)
        outputs = _by_name(sorted(function.structured_outputs), frozen.outputs)
        model = from_graph(
            Path(source).name,
            nodes,
            weights,
            [inputs[port["name"]] for port in arguments["inputs"]],
            [outputs[port["name"]] for port in arguments["outputs"]],
            input_names=[port["name"] for port in arguments["inputs"]],
        )
        model.write(folder / "model")
    return {}


def freeze_signatures(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Freezes signatures of a SavedModel side by side into one graph without variables, ``folder / "frozen"``.

    Each takes and gives only types that TensorFlow.js has: int64 and uint8 as int32, float64 as float32.

    Args:
        folder: The job's folder.
        arguments: ``folder``, ``source`` for people, and ``signatures``: for each the ports of its ``inputs`` and ``outputs``.

    Returns:
        For each signature the graph's names of its ``inputs`` and ``outputs``, in their order.

    Raises:
        ModelFormatError: The SavedModel is damaged, or keeps a state.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    source = arguments["source"]
    graph = tf.Graph()
    found: dict[str, dict[str, list[str]]] = {}
    with memory_limit():
        try:
            loaded = tf.saved_model.load(arguments["folder"])
            for number, (name, ports) in enumerate(arguments["signatures"].items()):
                frozen = convert_variables_to_constants_v2(_plain(loaded.signatures[name], ports))
                prefix = f"s{number}"
                with graph.as_default():
                    tf.import_graph_def(frozen.graph.as_graph_def(), name=prefix)
                found[name] = {
                    "inputs": [f"{prefix}/{tensor.name}" for tensor in frozen.inputs],
                    "outputs": [f"{prefix}/{tensor.name}" for tensor in frozen.outputs],
                }
            with tf.compat.v1.Session(graph=graph) as session:
                builder = tf.compat.v1.saved_model.builder.SavedModelBuilder(str(folder / "frozen"))
                builder.add_meta_graph_and_variables(session, ["serve"])
                builder.save()
        except Exception as error:  # TensorFlow reports damaged files by errors of many types
            raise ModelFormatError(f"{source}: cannot be frozen ({str(error)[:500]})", hint=_reason(error)) from error
    return {"signatures": found}


def _plain(function: Any, ports: dict[str, Any]) -> Any:
    """A signature that takes and gives lists of the types that TensorFlow.js has."""

    def call(*tensors: tf.Tensor) -> list[tf.Tensor]:
        given = {port["name"]: tf.cast(tensor, port["dtype"]) for port, tensor in zip(ports["inputs"], tensors, strict=True)}
        outputs = function(**given)
        return [_as_tfjs(outputs[port["name"]]) for port in ports["outputs"]]

    specs = [
        tf.TensorSpec(None if port.get("any_rank") else port["shape"], _TFJS.get(port["dtype"], port["dtype"]))
        for port in ports["inputs"]
    ]
    return tf.function(call, autograph=False).get_concrete_function(*specs)


def _as_tfjs(tensor: tf.Tensor) -> tf.Tensor:
    return tf.cast(tensor, _TFJS[tensor.dtype.name]) if tensor.dtype.name in _TFJS else tf.identity(tensor)


def _reason(error: Exception) -> str:
    if "Assign" in str(error) or "expected resource" in str(error):
        return "It changes a variable whenever it runs, as layers of random augmentation do; export it without them."
    return "Export the SavedModel again."


def _by_name(names: list[str], tensors: list[Any]) -> dict[str, str]:
    if len(names) != len(tensors):
        raise ModelFormatError(
            f"the signature names {names}, but its graph has {len(tensors)} tensors", hint="Export the SavedModel again."
        )
    return {name: tensor.name for name, tensor in zip(names, tensors, strict=True)}
