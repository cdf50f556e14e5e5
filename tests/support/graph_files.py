"""TF.js graph models, written by hand as the converter of TensorFlow.js writes them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def text(value: str) -> dict[str, Any]:
    return {"s": base64.b64encode(value.encode()).decode()}


def texts(*values: str) -> dict[str, Any]:
    return {"list": {"s": [base64.b64encode(value.encode()).decode() for value in values]}}


def integers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def operation(name: str, op: str, *inputs: str, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "op": op, "input": list(inputs), "attr": {"T": {"type": "DT_FLOAT"}, **attributes}}


def _shape(sizes: Sequence[int]) -> dict[str, Any]:
    return {"dim": [{"size": str(size)} for size in sizes]}


def write_graph_model(
    folder: Path,
    operations: Sequence[dict[str, Any]],
    weights: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, Sequence[int]],
    outputs: Sequence[str],
) -> Path:
    """Writes ``model.json`` and its weights; ``inputs`` gives the shapes of the placeholders."""
    nodes: list[dict[str, Any]] = [
        {"name": name, "op": "Placeholder", "attr": {"dtype": {"type": "DT_FLOAT"}, "shape": {"shape": _shape(shape)}}}
        for name, shape in inputs.items()
    ]
    manifest = []
    for name, value in weights.items():
        dtype = "DT_FLOAT" if value.dtype == np.float32 else "DT_INT32"
        tensor = {"dtype": dtype, "tensorShape": _shape(value.shape)}
        nodes.append({"name": name, "op": "Const", "attr": {"dtype": {"type": dtype}, "value": {"tensor": tensor}}})
        manifest.append({"name": name, "shape": list(value.shape), "dtype": str(value.dtype)})
    document = {
        "format": "graph-model",
        "modelTopology": {"node": [*nodes, *operations], "versions": {"producer": 440}},
        "signature": {
            "inputs": {name: {"name": f"{name}:0", "dtype": "DT_FLOAT", "tensorShape": _shape(s)} for name, s in inputs.items()},
            "outputs": {name: {"name": f"{name}:0", "dtype": "DT_FLOAT"} for name in outputs},
        },
        "weightsManifest": [{"paths": ["w.bin"], "weights": manifest}],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(document))
    (folder / "w.bin").write_bytes(b"".join(value.tobytes() for value in weights.values()))
    return folder / "model.json"


def image_classifier(folder: Path, size: int = 16) -> Path:
    """Image -> fused convolution with bias and ReLU6 -> depthwise -> residual sum -> mean -> dense -> softmax."""
    random = np.random.default_rng(0)

    def weight(*shape: int) -> NDArray[np.float32]:
        return random.normal(0, 0.5, shape).astype(np.float32)

    weights = {
        "k1": weight(3, 3, 3, 4),
        "b1": weight(4),
        "k2": weight(3, 3, 4, 1),
        "scale": np.abs(weight(4)),
        "shift": weight(4),
        "axes": np.array([1, 2], np.int32),
        "k3": weight(4, 3),
        "b3": weight(3),
    }
    window = {"strides": integers(1, 2, 2, 1), "dilations": integers(1, 1, 1, 1), "padding": text("SAME")}
    still = {**window, "strides": integers(1, 1, 1, 1)}
    operations = [
        operation(
            "net/conv/Relu6",
            "_FusedConv2D",
            "image",
            "k1",
            "b1",
            fused_ops=texts("BiasAdd", "Relu6"),
            num_args={"i": "1"},
            **window,
        ),
        operation("net/deep/depthwise", "DepthwiseConv2dNative", "net/conv/Relu6", "k2", **still),
        operation("net/norm/mul", "Mul", "net/deep/depthwise", "scale"),
        operation("net/norm/add", "AddV2", "net/norm/mul", "shift"),
        operation("net/sum/add", "AddV2", "net/norm/add", "net/conv/Relu6"),
        operation("net/pool/Mean", "Mean", "net/sum/add", "axes", keep_dims={"b": False}, Tidx={"type": "DT_INT32"}),
        operation(
            "net/dense/MatMul", "_FusedMatMul", "net/pool/Mean", "k3", "b3", fused_ops=texts("BiasAdd"), num_args={"i": "1"}
        ),
        operation("probabilities", "Softmax", "net/dense/MatMul"),
    ]
    return write_graph_model(folder, operations, weights, {"image": [-1, size, size, 3]}, ["probabilities"])
