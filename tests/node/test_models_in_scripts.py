"""A Model in the user's own JavaScript, and a model of that JavaScript in Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.errors import RemoteError

SCRIPT = """
exports.layers = (model) => model.layers.map((layer) => layer.name);
exports.predict = function (model, x) { return model.predict(x.toTensor(this.tf)); };
exports.same = (model) => model;
exports.doubled = function (model) {
  model.setWeights(model.getWeights().map((weight) => weight.mul(2)));
  return model;
};
exports.make = function () {
  const model = this.tf.sequential();
  model.add(this.tf.layers.dense({ units: 2, inputShape: [3], kernelInitializer: 'ones', activation: 'relu' }));
  return model;
};
exports.wrapped = (model) => ({ model });
"""
X = np.array([[1.0, 2.0, 3.0], [-1.0, -2.0, 0.5]], np.float32)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.js"
    path.write_text(SCRIPT)
    return path


def test_a_model_arrives_as_a_layers_model(node: pb.Node, script: Path) -> None:
    model = node.load_model(tiny.regression())
    assert node.call(script, "layers", model)[-1] == model.layers[-1].name
    np.testing.assert_allclose(node.call(script, "predict", model, X), model.predict(X), rtol=1e-6)


@pytest.mark.slow
def test_a_model_made_in_javascript_comes_back(node: pb.Node, script: Path, tmp_path: Path) -> None:
    made = node.call(script, "make")
    assert isinstance(made, pb.Model)
    np.testing.assert_allclose(made.predict(X), np.maximum(X.sum(axis=1, keepdims=True), 0).repeat(2, axis=1), rtol=1e-6)
    assert made.save(tmp_path / "saved").max_abs_diff == 0


def test_what_javascript_did_to_a_model_comes_back(node: pb.Node, script: Path) -> None:
    model = node.load_model(tiny.regression())
    before = model.layers_model().weights
    after = node.call(script, "doubled", model).layers_model().weights
    assert list(after) == list(before)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], 2 * value)


def test_a_model_inside_a_result_is_refused_by_name(node: pb.Node, script: Path) -> None:
    with pytest.raises(RemoteError, match="return the model itself"):
        node.call(script, "wrapped", node.load_model(tiny.regression()))
