"""Models that are no classifiers, served as users of TensorFlow Serving and of KServe expect it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from graph_files import image_classifier

import pybridge as pb
from pybridge.deployment import Server
from pybridge.runtime import ensure
from pybridge.runtime.bundle import find_bundle

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def half_plus_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TensorFlow Serving's own example, with a second signature: a folder with the version 123."""
    import tensorflow as tf

    class HalfPlusTwo(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.a, self.b = tf.Variable(0.5), tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec([None], name="x")])  # type: ignore[untyped-decorator]
        def half(self, x: Any) -> dict[str, Any]:
            return {"y": self.a * x + self.b}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="n")])  # type: ignore[untyped-decorator]
        def count(self, n: Any) -> dict[str, Any]:
            return {"twice": 2 * n, "even": tf.equal(n % 2, 0)}

        @tf.function(input_signature=[tf.TensorSpec(None, name="x"), tf.TensorSpec([], name="by")])  # type: ignore[untyped-decorator]
        def scale(self, x: Any, by: Any) -> dict[str, Any]:
            return {"y": x * by}

    module = HalfPlusTwo()
    folder = tmp_path_factory.mktemp("served") / "half_plus_two"
    tf.saved_model.save(
        module, str(folder / "00000123"), {"serving_default": module.half, "count": module.count, "scale": module.scale}
    )
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A Keras model with two inputs and two outputs."""
    import keras

    keras.utils.set_random_seed(0)
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    joined = keras.layers.Concatenate()([left, right])
    outputs = [keras.layers.Dense(1, name="price")(joined), keras.layers.Dense(4, activation="softmax", name="kind")(joined)]
    model = keras.Model([left, right], outputs)
    model.save(tmp_path_factory.mktemp("keras") / "pair.keras")
    return model


@pytest.fixture(scope="module")
def pair_file(pair: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keras") / "pair.keras"
    pair.save(file)
    return file


@pytest.fixture(scope="module")
def graph_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TF.js graph model, from an image to probabilities."""
    return image_classifier(tmp_path_factory.mktemp("graphs") / "graph")


@pytest.fixture(scope="module")
def server(half_plus_two: Path, pair_file: Path, graph_file: Path) -> Iterator[Server]:
    models = {"half_plus_two": half_plus_two, "pair": pair_file, "graph": graph_file}
    with pb.serve(models, limits={"reload": 0}, log_level="silent") as running:
        yield running


def post(server: Server, path: str, document: Any, status: int = 200) -> Any:
    answer = requests.post(f"{server.url}{path}", json=document, timeout=60)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_half_plus_two_answers_as_tensorflow_serving_documents_it(server: Server) -> None:
    predict = "/v1/models/half_plus_two:predict"
    assert post(server, predict, {"instances": [1.0, 2.0, 5.0]}) == {"predictions": [2.5, 3.0, 4.5]}
    assert post(server, predict, {"inputs": {"x": [1.0, 2.0]}}) == {"outputs": [2.5, 3.0]}
    assert post(server, predict, {"instances": [{"x": 1.0}]}) == {"predictions": [2.5]}
    regress = "/v1/models/half_plus_two/versions/123:regress"
    assert post(server, regress, {"examples": [{"x": 1.0}, {"x": 2.0}]}) == {"result": [2.5, 3.0]}
    status = requests.get(f"{server.url}/v1/models/half_plus_two", timeout=20).json()["model_version_status"]
    assert [(each["version"], each["state"]) for each in status] == [("123", "AVAILABLE")]


def test_a_model_has_its_own_signatures(server: Server) -> None:
    found = post(server, "/v1/models/half_plus_two:predict", {"signature_name": "count", "instances": [3, 4]})
    assert found == {"predictions": [{"even": False, "twice": 6}, {"even": True, "twice": 8}]}
    scaled = {"signature_name": "scale", "inputs": {"x": [[1.0, 2.0]], "by": 3.0}}
    assert post(server, "/v1/models/half_plus_two:predict", scaled) == {"outputs": [[3.0, 6.0]]}
    metadata = requests.get(f"{server.url}/v1/models/half_plus_two/metadata", timeout=20).json()
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "count", "scale"}
    assert signatures["count"]["inputs"]["n"]["dtype"] == "DT_INT64"
    assert signatures["serving_default"]["outputs"]["y"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]


def test_several_inputs_and_outputs_are_those_of_keras(server: Server, pair: Any) -> None:
    random = np.random.default_rng(0)
    left, right = random.normal(size=(5, 3)).astype(np.float32), random.normal(size=(5, 2)).astype(np.float32)
    price, kind = (np.asarray(output) for output in pair.predict([left, right], verbose=0))
    rows = [{"left": a.tolist(), "right": b.tolist()} for a, b in zip(left, right, strict=True)]
    found = post(server, "/v1/models/pair:predict", {"instances": rows})["predictions"]
    assert np.allclose([row["price"] for row in found], price, atol=1e-6)
    assert np.allclose([row["kind"] for row in found], kind, atol=1e-6)
    columns = post(server, "/v1/models/pair:predict", {"inputs": {"left": left.tolist(), "right": right.tolist()}})["outputs"]
    assert np.allclose(columns["kind"], kind, atol=1e-6)


def test_a_graph_model_of_tfjs_answers_as_in_node(server: Server, graph_file: Path, node: pb.Node) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    expected = node.load_model(str(graph_file)).predict(images)
    found = post(server, "/v1/models/graph:predict", {"instances": images.tolist()})["predictions"]
    assert np.allclose(found, expected, atol=1e-6)


def test_kserve_takes_and_gives_tensors_in_json_and_in_binary(server: Server, pair: Any) -> None:
    tritonclient = pytest.importorskip("tritonclient.http")
    client = tritonclient.InferenceServerClient(server.url.removeprefix("http://"))
    left, right = np.ones((2, 3), np.float32), np.full((2, 2), 0.5, np.float32)
    price, kind = (np.asarray(output) for output in pair.predict([left, right], verbose=0))
    for binary in (False, True):
        inputs = []
        for name, values in (("left", left), ("right", right)):
            given = tritonclient.InferInput(name, list(values.shape), "FP32")
            given.set_data_from_numpy(values, binary_data=binary)
            inputs.append(given)
        outputs = [tritonclient.InferRequestedOutput(name, binary_data=binary) for name in ("kind", "price")]
        answer = client.infer("pair", inputs, outputs=outputs)
        assert np.allclose(answer.as_numpy("price"), price, atol=1e-6)
        assert np.allclose(answer.as_numpy("kind"), kind, atol=1e-6)
    assert [each["name"] for each in client.get_model_metadata("pair")["inputs"]] == ["left", "right"]
    assert client.get_model_config("pair")["input"][0] == {"name": "left", "data_type": "TYPE_FP32", "dims": [3]}
    (statistics,) = client.get_inference_statistics("pair")["model_stats"]
    assert statistics["inference_count"] >= 2
    assert {each["name"] for each in client.get_model_repository_index()} == {"half_plus_two", "pair", "graph"}


@pytest.mark.parametrize(
    ("path", "document", "words"),
    [
        ("half_plus_two:predict", {"instances": [[1.0]]}, "x must have the shape [-1], not [1, 1]"),
        ("half_plus_two:predict", {"instances": ["one"]}, "x must hold numbers"),
        ("half_plus_two:predict", {"instances": [{"z": 1}]}, "must have the fields x"),
        ("half_plus_two:predict", {"instances": []}, "an entry for each example"),
        ("half_plus_two:predict", {"signature_name": "none", "instances": [1]}, "count, scale, serving_default"),
        ("half_plus_two:predict", {"signature_name": "count", "instances": [1.5]}, "whole numbers"),
        ("half_plus_two:predict", {"instances": [1e39]}, "float32"),
        ("half_plus_two:classify", {"examples": [{"x": 1}]}, "no labels"),
        ("pair:regress", {"examples": [{"left": [1, 2, 3], "right": [1, 2]}]}, "other than one number"),
        ("pair:predict", {"instances": [[1, 2, 3]]}, "an object with left, right"),
        ("pair:predict", {"instances": [{"left": [1, 2], "right": [1, 2]}]}, "left must have the shape [-1, 3], not [1, 2]"),
    ],
)
def test_what_does_not_fit_is_told_why(server: Server, path: str, document: Any, words: str) -> None:
    assert words in post(server, f"/v1/models/{path}", document, 400)["error"]


def test_a_picture_is_none_of_its_inputs(server: Server) -> None:
    answer = requests.post(f"{server.url}/classify?model=pair", data=b"x", timeout=20)
    assert answer.status_code == 400
    assert "takes tensors" in answer.json()["error"]


SCRIPT = """
const [folder, runner] = process.argv.slice(2);
const tf = require(runner).loadTensorflow();
require(folder).load({ tf }).then(async (model) => {
  const tensors = { left: tf.ones([2, 3]), right: tf.fill([2, 2], 0.5) };
  const { price, kind } = await model.predict(tensors);
  const listed = await model.predict([tensors.left, tensors.right]);
  const refusals = [];
  for (const bad of [tensors.left, { left: tensors.left }, { left: tensors.right, right: tensors.right }, 5]) {
    await model.predict(bad).catch((error) => refusals.push(error.code));
  }
  await model.predict(tensors, { signature: 'none' }).catch((error) => refusals.push(error.code));
  const [found, same] = [price, listed.price].map((output) => output.arraySync());
  console.log(JSON.stringify({ price: found, kind: kind.arraySync(), same, form: model.form, refusals }));
});
"""


def test_a_package_of_it_predicts_in_node(pair: Any, pair_file: Path, node: pb.Node, tmp_path: Path) -> None:
    package = pb.deploy(pair_file, tmp_path / "pair", node=node)
    assert package.manifest["kind"] == "model"
    assert "left float32" in (package.path / "README.md").read_text()
    (tmp_path / "ask.js").write_text(SCRIPT)
    runtime = ensure()
    environment = {
        **os.environ,
        **runtime.environment(),
        "PYBRIDGE_ADDON": str(runtime.addon),
        "NODE_PATH": str(runtime.node_modules),
    }
    command = [str(runtime.node), str(tmp_path / "ask.js"), str(package.path), str(find_bundle().node_runner / "tensorflow")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    price, kind = pair.predict([np.ones((2, 3), np.float32), np.full((2, 2), 0.5, np.float32)], verbose=0)
    assert np.allclose(found["price"], price, atol=1e-6)
    assert np.allclose(found["kind"], kind, atol=1e-6)
    assert found["same"] == found["price"]
    assert (found["form"], found["refusals"]) == ("layers", ["ERR_INPUT"] * 5)
