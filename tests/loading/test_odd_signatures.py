"""Signatures with whole numbers of 64 bits, numbers, tensors of any rank and inputs that nothing uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybridge as pb

X = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def signatures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            self.w = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3) - 5)
            self.b = tf.Variable([0.5])

        @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")])
        def classes(self, x: Any) -> Any:
            return {"y": tf.argmax(x @ self.w, -1)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="x")])
        def doubled(self, x: Any) -> Any:
            return {"y": x * 2}

        @tf.function(input_signature=[tf.TensorSpec([], name="x")])
        def number(self, x: Any) -> Any:
            return {"y": x * 2.0}

        @tf.function(input_signature=[tf.TensorSpec(None, name="x")])
        def any_rank(self, x: Any) -> Any:
            return {"y": x * 2.0}

        @tf.function(input_signature=[tf.TensorSpec([None, 2], name="a"), tf.TensorSpec([None, 4], name="x")])
        def one_of_two(self, a: Any, x: Any) -> Any:
            return {"y": tf.reduce_sum(x @ self.w, 1) + self.b}

    module = Module()
    folder = tmp_path_factory.mktemp("signatures") / "saved"
    names = ("classes", "doubled", "number", "any_rank", "one_of_two")
    tf.saved_model.save(module, str(folder), {name: getattr(module, name) for name in names})
    return folder


def test_whole_numbers_of_64_bits_come_out_whole(node: pb.Node, signatures: Path) -> None:
    classes = node.load_model(signatures, signature="classes").predict(X)
    assert classes.dtype == np.int64
    np.testing.assert_array_equal(classes, (X @ (np.arange(12, dtype=np.float32).reshape(4, 3) - 5)).argmax(1))


def test_whole_numbers_of_64_bits_go_in_whole(node: pb.Node, signatures: Path) -> None:
    given = np.array([1, -3, 2**40])
    np.testing.assert_array_equal(node.load_model(signatures, signature="doubled").predict(given), given * 2)


def test_a_number_goes_in_and_comes_out(node: pb.Node, signatures: Path) -> None:
    assert node.load_model(signatures, signature="number").predict(np.float32(3)) == 6


@pytest.mark.parametrize("given", [X, X[0], np.float32(2)])
def test_a_tensor_of_any_rank_goes_in(node: pb.Node, signatures: Path, given: Any) -> None:
    np.testing.assert_array_equal(node.load_model(signatures, signature="any_rank").predict(given), given * 2)


@pytest.mark.slow
def test_an_input_that_nothing_uses_is_gone_in_layers(node: pb.Node, signatures: Path, tmp_path: Path) -> None:
    graph = node.load_model(signatures, signature="one_of_two")
    graph.save(tmp_path / "layers", "tfjs_layers")
    layers = node.load_model(tmp_path / "layers")
    assert [port.name for port in layers.inputs] == ["x"]
    np.testing.assert_allclose(layers.predict(X), graph.predict({"a": np.zeros((5, 2)), "x": X}), rtol=1e-5)
