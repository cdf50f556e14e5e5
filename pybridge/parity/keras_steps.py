"""A Keras model layer by layer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.parity.arrays import load_list, save_list


@dataclass(frozen=True)
class Step:
    """One call of a layer, and what it gave.

    Attributes:
        path: The names of the models around the layer and its own, separated by slashes.
        node: Which of the layer's calls, from 0.
        class_name: Of the layer.
        inputs: What went in; empty where that is not known.
        outputs: What came out.
    """

    path: str
    node: int
    class_name: str
    inputs: list[NDArray[Any]]
    outputs: list[NDArray[Any]]

    @property
    def leaf(self) -> str:
        """The layer's own name."""
        return self.path.rpartition("/")[2]


def keras_outputs(model: Any, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """All outputs of a Keras model for one batch, in inference, without compiling it into a graph."""
    import keras

    structure = getattr(model, "_inputs_struct", None)
    given = keras.tree.pack_sequence_as(structure, inputs) if structure is not None else inputs[0]
    return [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(model(given, training=False))]


def keras_steps(model: Any, inputs: list[NDArray[Any]]) -> list[Step]:
    """What each layer of a Keras model gives, those of nested models included, in the order of computation.

    Args:
        model: A functional or sequential model.
        inputs: One batch for each input.
    """
    steps: list[Step] = []
    _collect(model, inputs, "", steps)
    return steps


def find_layer(model: Any, path: str) -> Any:
    """The layer at a path, or None; names may contain slashes themselves."""
    for layer in model.layers:
        if layer.name == path:
            return layer
        if hasattr(layer, "layers") and path.startswith(f"{layer.name}/"):
            found = find_layer(layer, path[len(layer.name) + 1 :])
            if found is not None:
                return found
    return None


def write_steps(folder: Path, steps: list[Step]) -> None:
    """Writes steps into a new folder."""
    folder.mkdir()
    index = []
    for position, step in enumerate(steps):
        index.append({"path": step.path, "node": step.node, "class_name": step.class_name})
        save_list(folder / f"inputs-{position}.npz", step.inputs)
        save_list(folder / f"outputs-{position}.npz", step.outputs)
    (folder / "steps.json").write_text(json.dumps(index), "utf-8")


def read_steps(folder: Path) -> list[Step]:
    """The inverse of `write_steps`."""
    index = json.loads((folder / "steps.json").read_text("utf-8"))
    return [
        Step(**entry, inputs=load_list(folder / f"inputs-{i}.npz"), outputs=load_list(folder / f"outputs-{i}.npz"))
        for i, entry in enumerate(index)
    ]


def _collect(model: Any, inputs: list[NDArray[Any]], prefix: str, steps: list[Step]) -> None:
    import keras

    functional = getattr(model, "_functional", None) or model
    by_depth = functional._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]
    symbols = [tensor for node in nodes for tensor in node.output_tensors]
    if not symbols:
        return
    whole = keras.Model(functional.inputs, symbols)
    known = dict(zip([id(tensor) for tensor in functional.inputs], inputs, strict=True))
    values = keras.tree.flatten(whole(inputs, training=False))
    known |= {id(symbol): keras.ops.convert_to_numpy(value) for symbol, value in zip(symbols, values, strict=True)}
    calls: dict[str, int] = {}
    for node in nodes:
        operation = node.operation
        path = prefix + operation.name
        into = [known[id(tensor)] for tensor in node.input_tensors]
        if hasattr(operation, "_nodes_by_depth") or hasattr(operation, "_functional"):
            _collect(operation, into, f"{path}/", steps)
        number = calls.get(path, 0)
        calls[path] = number + 1
        out = [np.asarray(known[id(tensor)]) for tensor in node.output_tensors]
        steps.append(Step(path, number, type(operation).__name__, into, out))
