"""A ``model.json`` that a converter wrote of a Keras model opens, whatever TF.js itself makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

import pybridge as pb

pytestmark = pytest.mark.slow

W = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
B = np.arange(3, dtype=np.float32)
X = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)


def written(folder: Path, class_name: str, config: dict[str, Any], weights: dict[str, NDArray[Any]]) -> Path:
    (folder / "weights.bin").write_bytes(b"".join(np.asarray(value, "<f4").tobytes() for value in weights.values()))
    specs = [{"name": name, "shape": list(np.shape(value)), "dtype": "float32"} for name, value in weights.items()]
    document = {
        "format": "layers-model",
        "modelTopology": {"model_config": {"class_name": class_name, "config": config}},
        "weightsManifest": [{"paths": ["weights.bin"], "weights": specs}],
    }
    (folder / "model.json").write_text(json.dumps(document))
    return folder / "model.json"


def entrance(*shape: int) -> dict[str, Any]:
    config = {"name": "x", "batch_input_shape": [None, *shape], "dtype": "float32", "sparse": False}
    return {"class_name": "InputLayer", "name": "x", "config": config, "inbound_nodes": []}


def layer(class_name: str, name: str, inbound: list[Any] | None = None, **config: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"class_name": class_name, "name": name, "config": {"name": name, "trainable": True, **config}}
    return described if inbound is None else {**described, "inbound_nodes": inbound}


def functional(*entries: dict[str, Any]) -> dict[str, Any]:
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [[entries[-1]["name"], 0, 0]]}
    return {"name": "model", "layers": [entrance(4), *entries], **ends}


def dense(inbound: list[Any] | None) -> dict[str, Any]:
    return layer("Dense", "d", inbound, units=3, activation="linear", use_bias=True)


def operation(function: str, inbound: list[Any], kind: str = "TFOpLambda") -> dict[str, Any]:
    return layer(kind, "op", inbound, function=function)


OPERATIONS: dict[str, tuple[dict[str, Any], Any]] = {
    "divided": (operation("math.truediv", [["x", 0, 0, {"y": 2.0, "name": None}]]), lambda x: x / 2),
    "from a constant": (operation("math.subtract", [["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0]}]]), lambda x: 1 - x),
    "two tensors": (operation("__operators__.mul", [["x", 0, 0, {"y": ["x", 0, 0], "name": None}]]), lambda x: x * x),
    "joined": (operation("concat", [[["x", 0, 0, {"axis": 1}], ["x", 0, 0, {"axis": 1}]]]), lambda x: np.concatenate([x, x], 1)),
    "a mean": (
        operation("math.reduce_mean", [["x", 0, 0, {"axis": [1], "keepdims": True}]]),
        lambda x: x.mean(1, keepdims=True),
    ),
    "a slice": (
        operation(
            "__operators__.getitem",
            [
                [
                    "x",
                    0,
                    0,
                    {"slice_spec": [{"start": None, "stop": None, "step": None}, {"start": 1, "stop": 3, "step": None}]},
                ]
            ],
            "SlicingOpLambda",
        ),
        lambda x: x[:, 1:3],
    ),
    "a node of a graph": (
        layer("TensorFlowOpLayer", "op", [[["x", 0, 0, {}]]], node_def={"name": "op", "op": "Sub"}, constants={"1": 0.5}),
        lambda x: x - 0.5,
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_of_tensorflow_is_known(node: pb.Node, tmp_path: Path, name: str) -> None:
    entry, expected = OPERATIONS[name]
    file = written(tmp_path, "Functional", functional(entry), {})
    np.testing.assert_allclose(node.load_model(file).predict(X), expected(X), rtol=1e-5, atol=1e-6)


def test_an_operation_that_nobody_knows_is_named(node: pb.Node, tmp_path: Path) -> None:
    file = written(tmp_path, "Functional", functional(operation("io.read_file", [["x", 0, 0, {}]])), {})
    with pytest.raises(pb.ModelFormatError, match="read_file"):
        node.load_model(file)


@pytest.mark.parametrize("class_name", ["Sequential", "Functional"])
def test_what_keras_3_describes_opens(node: pb.Node, tmp_path: Path, class_name: str) -> None:
    x = keras.Input((4,), name="x")
    first, last = layers.Dense(4, name="first"), layers.Dense(3, name="last")
    model = (
        keras.Sequential([x, first, last])
        if class_name == "Sequential"
        else keras.Model(x, last(layers.Add(name="sum")([first(x), x])))
    )
    described = json.loads(model.to_json())
    weights = {variable.path: np.asarray(variable) for variable in model.weights}
    file = written(tmp_path, described["class_name"], described["config"], weights)
    np.testing.assert_allclose(node.load_model(file).predict(X), np.asarray(model(X)), rtol=1e-5, atol=1e-6)


def test_layers_for_preprocessing_do_what_they_do_in_prediction(node: pb.Node, tmp_path: Path) -> None:
    mean, variance = np.arange(4, dtype=np.float32), np.arange(1, 5, dtype=np.float32)
    entries = [entrance(4), layer("Normalization", "n", axis=[-1], mean=None, variance=None), dense(None)]
    weights = {"n/mean": mean, "n/variance": variance, "n/count": np.zeros(()), "d/kernel": W, "d/bias": B}
    file = written(tmp_path, "Sequential", {"name": "s", "layers": entries}, weights)
    np.testing.assert_allclose(node.load_model(file).predict(X), (X - mean) / np.sqrt(variance) @ W + B, rtol=1e-4, atol=1e-5)


def test_weights_may_be_called_after_the_model_too(node: pb.Node, tmp_path: Path) -> None:
    weights = {"sequential/d/kernel": W, "sequential/d/bias": B}
    file = written(tmp_path, "Sequential", {"name": "s", "layers": [entrance(4), dense(None)]}, weights)
    np.testing.assert_allclose(node.load_model(file).predict(X), X @ W + B, rtol=1e-5, atol=1e-6)


def test_a_class_of_its_author_is_refused(node: pb.Node, tmp_path: Path) -> None:
    entries = [entrance(4), {**layer("Own", "own"), "module": "somewhere", "registered_name": "somewhere>Own"}]
    with pytest.raises(pb.ModelFormatError, match="Own"):
        node.load_model(written(tmp_path, "Sequential", {"name": "s", "layers": entries}, {}))


def test_python_code_in_it_does_not_run(node: pb.Node, tmp_path: Path) -> None:
    entries = [entrance(4), layer("Lambda", "code", function=["4wEAAA", None, None], function_type="lambda")]
    with pytest.raises(pb.ModelFormatError, match="Python code"):
        node.load_model(written(tmp_path, "Sequential", {"name": "s", "layers": entries}, {}))


def test_a_missing_weight_is_named(node: pb.Node, tmp_path: Path) -> None:
    entries = [entrance(4), layer("RandomFlip", "flip", mode="horizontal"), dense(None)]
    file = written(tmp_path, "Sequential", {"name": "s", "layers": entries}, {"d/kernel": W})
    with pytest.raises(pb.ModelFormatError, match="bias"):
        node.load_model(file)
