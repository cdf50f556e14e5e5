"""Saves functions side by side as one graph without variables. Imports TensorFlow, so it runs in the TensorFlow process only."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from pybridge.errors import ModelFormatError
from pybridge.graphs.program import Signature
from pybridge.tfjs.port import Port


def save_functions(
    folder: Path, functions: Mapping[str, tuple[Callable[..., Any], Sequence[tf.TensorSpec]]], *, hint: str | None = None
) -> dict[str, Signature]:
    """Traces functions and saves them as one SavedModel.

    Args:
        folder: Where to; what is there is replaced.
        functions: For each signature the function and its inputs. No two names may begin with the same letter.
        hint: What to do where a function keeps a state.

    Raises:
        ModelFormatError: A function keeps a state of its own.
    """
    signatures: dict[str, Signature] = {}
    graph = tf.Graph()
    for name, (function, specs) in functions.items():
        traced = tf.function(function, autograph=False).get_concrete_function(*specs)
        if traced.captured_inputs:
            captured = ", ".join(str(variable.name) for variable in traced.variables[:3])
            raise ModelFormatError(f"The model keeps a state of its own ({captured})", hint=hint)
        # Node passes the names of all tensors with each call: one letter tells the signatures apart.
        with graph.as_default():
            tf.import_graph_def(traced.graph.as_graph_def(), name=name[0])
        inputs = zip((spec.name for spec in specs), traced.inputs, strict=True)
        first, *others = (_described(name[0], f"output_{i}", tensor) for i, tensor in enumerate(traced.outputs))
        signatures[name] = Signature(tuple(_described(name[0], *pair) for pair in inputs), first, tuple(others))
    shutil.rmtree(folder, ignore_errors=True)
    with tf.compat.v1.Session(graph=graph) as session:
        builder = tf.compat.v1.saved_model.builder.SavedModelBuilder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()
    return signatures


def _described(prefix: str, name: str, tensor: tf.Tensor) -> Port:
    shape = tuple(tensor.shape.as_list()) if tensor.shape.rank is not None else ()
    return Port(name, shape, tensor.dtype.name, f"{prefix}/{tensor.name}")
