"""Loading models into Node, predicting with them, and saving them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import graph_files
import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.errors import BridgeError, DataError, ModelFormatError
from pybridge.tfjs.layers_model import LayersModel

X = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


def softmax(x: Any) -> Any:
    """What `tiny.vector_classifier` computes."""
    weights = tiny.vector_classifier().weights
    powers = np.exp(x @ weights["pybridge_probabilities/kernel"] + weights["pybridge_probabilities/bias"])
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture
def model(node: pb.Node) -> pb.Model:
    return node.load_model(tiny.vector_classifier())


@pytest.fixture
def two_by_two() -> LayersModel:
    """Inputs ``b`` (3 numbers) and ``a`` (2); outputs their sum of units, and ``a`` doubled."""

    def node_of(*names: str) -> Any:
        return [[[name, 0, 0, {}] for name in names]]

    def dense(name: str, source: str, units: int) -> Any:
        return {**tiny.layer("Dense", name, units=units, use_bias=False), "name": name, "inbound_nodes": node_of(source)}

    def entrance(name: str, size: int) -> Any:
        return {
            "class_name": "InputLayer",
            "name": name,
            "config": {"name": name, "batch_input_shape": [None, size], "dtype": "float32"},
            "inbound_nodes": [],
        }

    layers = [
        entrance("b", 3),
        entrance("a", 2),
        dense("of_b", "b", 1),
        dense("of_a", "a", 1),
        {**tiny.layer("Add", "sum"), "name": "sum", "inbound_nodes": node_of("of_b", "of_a")},
        dense("double", "a", 2),
    ]
    config = {
        "name": "pair",
        "layers": layers,
        "input_layers": [["b", 0, 0], ["a", 0, 0]],
        "output_layers": [["sum", 0, 0], ["double", 0, 0]],
    }
    weights = {
        "of_b/kernel": np.ones((3, 1), np.float32),
        "of_a/kernel": np.ones((2, 1), np.float32),
        "double/kernel": 2 * np.eye(2, dtype=np.float32),
    }
    return LayersModel({"class_name": "Functional", "config": config}, weights)


def test_a_model_describes_itself(node: pb.Node) -> None:
    model = node.load_model(tiny.convolutional_classifier())
    assert [port.shape for port in model.inputs] == [(None, 16, 16, 3)]
    assert [port.shape for port in model.outputs] == [(None, 2)]
    assert [layer.class_name for layer in model.layers][:3] == ["InputLayer", "Conv2D", "BatchNormalization"]
    assert model.layers[1].parameters == 108
    assert "(None, 16, 16, 3) -> (None, 2)" in repr(model)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_predictions_do_not_depend_on_the_batch_size(model: pb.Model, batch_size: int) -> None:
    np.testing.assert_allclose(model.predict(X, batch_size=batch_size), softmax(X), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8", "uint8", "int64", "bool"])
def test_any_numbers_are_taken(model: pb.Model, dtype: str) -> None:
    values = np.abs(X).astype(dtype)
    np.testing.assert_allclose(model.predict(values), softmax(values.astype(np.float32)), atol=1e-5)


def test_arrays_need_not_be_contiguous(model: pb.Model) -> None:
    wide = np.repeat(X, 2, axis=1)
    np.testing.assert_array_equal(model.predict(wide[::-1, ::2]), model.predict(X[::-1].copy()))


def test_lists_are_arrays_too(model: pb.Model) -> None:
    np.testing.assert_array_equal(model.predict(X.tolist()), model.predict(X))
    np.testing.assert_array_equal(model.predict(X[:1].tolist()), model.predict(X[:1]))
    np.testing.assert_array_equal(model.predict([X]), model.predict(X))


def test_no_examples_give_no_predictions(model: pb.Model) -> None:
    assert model.predict(X[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[0], r"must have the shape \(None, 5\), not \(5,\)\n  For a single example add an axis"),
        (X[:, :4], r"not \(7, 4\)"),
        (X[None], r"not \(1, 7, 5\)"),
        (np.array(["a"]), "must be numbers"),
        ([X, X], "shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(model: pb.Model, x: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        model.predict(x)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_below_one_is_refused(model: pb.Model, batch_size: int) -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        model.predict(X, batch_size=batch_size)


def test_several_inputs_and_outputs_go_in_the_models_order(node: pb.Node, two_by_two: LayersModel) -> None:
    model = node.load_model(two_by_two)
    b, a = np.ones((5, 3)), np.arange(10).reshape(5, 2)
    total, double = model.predict([b, a], batch_size=2)
    np.testing.assert_array_equal(total, 3 + a.sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(double, 2 * a)


def test_several_inputs_must_fit_together(node: pb.Node, two_by_two: LayersModel) -> None:
    model = node.load_model(two_by_two)
    with pytest.raises(DataError, match="has 2 inputs, but 1 arrays"):
        model.predict([np.ones((5, 3))])
    with pytest.raises(DataError, match=r"different numbers of examples: \[5, 4\]"):
        model.predict([np.ones((5, 3)), np.ones((4, 2))])


def test_a_saved_model_answers_the_same(node: pb.Node, model: pb.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "new" / "model")
    again = node.load_model(tmp_path / "new" / "model" / "model.json")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model"], "no scratch folder is left"


def test_a_model_with_several_ends_is_saved_too(node: pb.Node, two_by_two: LayersModel, tmp_path: Path) -> None:
    node.load_model(two_by_two).save(tmp_path / "model")
    assert len(node.load_model(tmp_path / "model").inputs) == 2


def test_nothing_is_overwritten(model: pb.Model, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(BridgeError, match="exists already"):
        model.save(tmp_path)
    with pytest.raises(BridgeError, match="exists already"):
        model.save(tmp_path / "mine.txt")
    (tmp_path / "empty").mkdir()
    model.save(tmp_path / "empty")


def test_an_unknown_format_is_refused(model: pb.Model, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="format must be one of tfjs_layers"):
        model.save(tmp_path / "x", format="onnx")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mobilenet_v1_0.25_225", "neither a model of the zoo nor a path"),
        ("http://127.0.0.1:9/model.json", "127.0.0.1:9"),
        ("ftp://host/model.json", "neither a model of the zoo nor a path"),
    ],
)
def test_a_model_that_there_is_not_is_a_clear_error(node: pb.Node, source: str, message: str) -> None:
    with pytest.raises(BridgeError, match=message):
        node.load_model(source)


def test_a_file_that_is_no_model_is_a_clear_error(node: pb.Node, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(ModelFormatError, match="is no model that can be opened"):
        node.load_model(tmp_path / "weights.bin")
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ModelFormatError):
        node.load_model(tmp_path)


@pytest.mark.kills_node
def test_a_model_outlives_a_crash_of_node(node: pb.Node, model: pb.Model) -> None:
    before = model.predict(X)
    assert node.runner.pid is not None
    os.kill(node.runner.pid, signal.SIGKILL)
    with pytest.raises(pb.NodeCrashedError):
        while True:
            node.runner.call("echo", {"value": 1})
    np.testing.assert_array_equal(model.predict(X), before)


def test_a_disposed_model_comes_back_at_its_next_use(model: pb.Model) -> None:
    before = model.predict(X)
    model.dispose()
    model.dispose()
    np.testing.assert_array_equal(model.predict(X), before)


def test_a_closed_node_says_so() -> None:
    node = pb.Node()
    model = node.load_model(tiny.vector_classifier())
    node.close()
    with pytest.raises(BridgeError, match="closed"):
        model.predict(X)


def test_a_graph_model_predicts_by_name(node: pb.Node, tmp_path: Path) -> None:
    """Its signature counts ``y2`` before ``y10``, whatever the order in the graph."""
    weights = {"w": np.array([2, 10], np.float32)}
    operations = [graph_files.operation("y10", "Mul", "x", "w"), graph_files.operation("y2", "Add", "x", "w")]
    graph_files.write_graph_model(tmp_path, operations, weights, {"x": [-1, 2]}, ["y10", "y2"])
    model = node.load_model(tmp_path)
    assert model.inputs[0].shape == (None, 2)
    assert [port.name for port in model.outputs] == ["y2", "y10"]
    added, multiplied = model.predict(np.ones((3, 2)), batch_size=2)
    np.testing.assert_array_equal(added, [[3, 11]] * 3)
    np.testing.assert_array_equal(multiplied, [[2, 10]] * 3)


def test_a_graph_that_is_no_layers_neither_trains_nor_becomes_layers(node: pb.Node, tmp_path: Path) -> None:
    graph_files.write_graph_model(tmp_path, [graph_files.operation("y", "Atan", "x")], {}, {"x": [-1, 2]}, ["y"])
    model = node.load_model(tmp_path)
    with pytest.raises(ModelFormatError, match="Atan 'y': it has no counterpart"):
        model.save(tmp_path / "copy")
    with pytest.raises(ModelFormatError, match="still predicts"):
        node.train(model, np.ones((3, 2)), np.ones((3, 2)))


@pytest.mark.slow
def test_a_graph_model_trains_once_it_is_lifted(node: pb.Node, tmp_path: Path) -> None:
    model = node.load_model(graph_files.image_classifier(tmp_path))
    x = np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype(np.float32)
    history = node.train(model, x, np.arange(8) % 3, epochs=15, learning_rate=0.05)
    assert history.rows[-1]["loss"] < history.rows[0]["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_224", "teachable_machine"])
def test_published_models_load_predict_and_save(node: pb.Node, shared_data: Path, tmp_path: Path, name: str) -> None:
    model = node.load_model(shared_data / "weights" / name)
    result = model.predict(np.random.default_rng(0).uniform(-1, 1, (2, 224, 224, 3)))
    np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-5)
    model.save(tmp_path / "copy")


@pytest.mark.slow
def test_the_zoos_default_loads_by_name(node: pb.Node) -> None:
    assert node.load_model("efficientnet_lite0").predict(np.zeros((1, 224, 224, 3))).shape == (1, 1000)
