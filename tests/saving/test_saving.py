"""Models out, in four formats and four precisions, each compared before it is kept."""

from __future__ import annotations

import importlib.util
import json
import os
import stat
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import graph_files
import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.errors import BridgeError, ModelFormatError, ParityError, SetupError
from pybridge.saving.precision import largest_error, rounded
from pybridge.tfjs.layers_model import LayersModel

HAS_TENSORFLOWJS = importlib.util.find_spec("tensorflowjs") is not None
IMAGES = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)


def needs_tensorflowjs(test: Any) -> Any:
    reason = "needs pip install 'pybridge[tensorflowjs]', in an environment of its own"
    return pytest.mark.tensorflowjs(pytest.mark.skipif(not HAS_TENSORFLOWJS, reason=reason)(test))


@pytest.fixture
def model(node: pb.Node) -> pb.Model:
    return node.load_model(tiny.convolutional_classifier())


@pytest.mark.parametrize("precision", ["float32", "float16", "uint16", "uint8"])
def test_layers_in_every_precision(node: pb.Node, model: pb.Model, tmp_path: Path, precision: str) -> None:
    report = model.save(tmp_path / "out", "tfjs_layers", precision=precision)
    again = node.load_model(tmp_path / "out")
    drift = float(np.abs(again.predict(IMAGES) - model.predict(IMAGES)).max())
    assert (report.max_abs_diff == 0) == (precision == "float32")
    assert drift < {"float32": 1e-9, "float16": 1e-3, "uint16": 1e-4, "uint8": 2e-2}[precision]
    assert json.loads(json.dumps(report.to_dict()))["precision"] == precision
    # A kernel as small as this one is not stored in a single byte.
    bytes_of_kernel = {"float32": 4, "float16": 2, "uint16": 2, "uint8": 2}[precision]
    manifest = json.loads((tmp_path / "out" / "model.json").read_text())["weightsManifest"][0]["weights"]
    kernel = next(weight for weight in manifest if weight["name"] == "conv/kernel")
    assert np.dtype(kernel.get("quantization", kernel)["dtype"]).itemsize == bytes_of_kernel


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["keras", "saved_model"])
def test_a_sequential_model_becomes_keras_and_saved_model(node: pb.Node, tmp_path: Path, format_: Any) -> None:
    import keras

    inner = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, activation="tanh")])
    sequential = keras.Sequential([keras.Input((6,)), inner, keras.layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    node.load_model(sequential).save(tmp_path / "out", format_)
    saved = tmp_path / "out" / "model.keras" if format_ == "keras" else tmp_path / "out"
    np.testing.assert_allclose(node.load_model(saved).predict(x), np.asarray(sequential(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_saved_files_have_the_permissions_that_the_umask_leaves(model: pb.Model, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        model.save(tmp_path / "out", "tfjs_layers")
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out", *(tmp_path / "out").rglob("*"))}
    assert modes == {path: (0o777 if path.is_dir() else 0o666) & ~umask for path in modes}


def test_a_weight_beyond_its_precisions_bound_is_noticed() -> None:
    weights = tiny.convolution().weights
    stored = rounded(tiny.convolution(), "uint8").weights
    assert 0 < largest_error(weights, stored, "uint8") < 0.1
    kernel = stored["conv/kernel"].copy()
    kernel[0, 0, 0, 0] += 5
    with pytest.raises(ParityError, match=r"'conv/kernel' is off by (4.9|5)"):
        largest_error(weights, {**stored, "conv/kernel": kernel}, "uint8")
    with pytest.raises(ParityError, match="lacks"):
        largest_error(weights, {}, "uint8")


def test_a_graph_model_is_copied_with_nothing_else(node: pb.Node, tmp_path: Path) -> None:
    graph_files.image_classifier(tmp_path / "graph")
    (tmp_path / "graph" / "notes.txt").write_text("private")
    model = node.load_model(tmp_path / "graph")
    report = model.save(tmp_path / "copy", "tfjs_graph")
    assert report.max_abs_diff == 0
    assert sorted(file.name for file in (tmp_path / "copy").iterdir()) == ["model.json", "w.bin"]


def test_a_graph_model_is_saved_as_layers(node: pb.Node, tmp_path: Path) -> None:
    model = node.load_model(graph_files.image_classifier(tmp_path / "graph"))
    report = model.save(tmp_path / "layers")
    assert report.max_rel_diff < 1e-6
    assert isinstance(LayersModel.read(tmp_path / "layers"), LayersModel)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"format": "tflite"}, "format must be"), ({"precision": "int4"}, "precision")]
)
def test_unknown_choices_are_refused(model: pb.Model, tmp_path: Path, arguments: Any, message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        model.save(tmp_path / "out", **arguments)


@pytest.mark.parametrize("target", ["folder", "file.keras"])
def test_what_exists_is_not_overwritten(model: pb.Model, tmp_path: Path, target: str) -> None:
    path = tmp_path / target
    if path.suffix:
        path.write_text("mine")
    else:
        path.mkdir()
        (path / "mine").write_text("mine")
    with pytest.raises(BridgeError, match="exists already"):
        model.save(path, "keras" if path.suffix else "tfjs_layers")
    assert [file.name for file in tmp_path.iterdir()] == [target]


@pytest.mark.slow
def test_without_tensorflowjs_the_graph_of_a_saved_model_says_what_to_install(
    node: pb.Node, model: pb.Model, tmp_path: Path
) -> None:
    if HAS_TENSORFLOWJS:
        pytest.skip("tensorflowjs is installed here")
    model.save(tmp_path / "saved", "saved_model")
    with pytest.raises(SetupError, match=r"pip install 'pybridge\[tensorflowjs\]'"):
        node.load_model(tmp_path / "saved").save(tmp_path / "out", "tfjs_graph")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_keras_file_is_ready_to_train_in_python(node: pb.Node, model: pb.Model, tmp_path: Path, precision: str) -> None:
    import keras

    report = model.save(tmp_path / "out.keras", "keras", precision=precision)
    assert report.max_weight_error == 0 or precision == "float16"
    reopened = keras.saving.load_model(tmp_path / "out.keras")
    np.testing.assert_allclose(reopened(IMAGES), model.predict(IMAGES), atol=2e-3 if precision == "float16" else 1e-6)
    reopened.compile("sgd", "sparse_categorical_crossentropy")
    assert np.isfinite(reopened.train_on_batch(IMAGES, np.array([0, 1, 0])))
    compressed = {entry.compress_type for entry in zipfile.ZipFile(tmp_path / "out.keras").infolist()}
    assert (zipfile.ZIP_DEFLATED in compressed) == (precision == "float16")


@pytest.mark.slow
def test_a_saved_model_goes_round(node: pb.Node, model: pb.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "saved", "saved_model")
    again = node.load_model(tmp_path / "saved")
    np.testing.assert_allclose(again.predict(IMAGES), model.predict(IMAGES), atol=1e-6)
    assert again.save(tmp_path / "copy", "saved_model").max_abs_diff == 0
    assert again.save(tmp_path / "layers", "tfjs_layers").max_rel_diff < 1e-5


@pytest.mark.slow
def test_several_inputs_and_outputs_keep_their_places(node: pb.Node, tmp_path: Path) -> None:
    import keras

    b, a = keras.Input((4,), name="b"), keras.Input((2,), name="a")
    model = node.load_model(keras.Model([b, a], [keras.layers.Dense(3)(b), keras.layers.Dense(5)(a)]))
    for format_ in ("tfjs_layers", "saved_model", "keras"):
        report = model.save(tmp_path / format_, format_)
        assert report.max_rel_diff < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["saved_model", "keras"])
def test_inputs_and_outputs_may_be_dicts(node: pb.Node, tmp_path: Path, format_: str) -> None:
    import keras

    b, a = keras.Input((4,), name="b"), keras.Input((2,), name="a")
    outputs = {"second": keras.layers.Dense(3)(b), "first": keras.layers.Dense(5)(a)}
    model = node.load_model(keras.Model({"b": b, "a": a}, outputs))
    assert model.save(tmp_path / "out", format_).max_rel_diff < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16", "uint8"])
def test_a_graph_answers_the_same(node: pb.Node, model: pb.Model, tmp_path: Path, precision: str) -> None:
    report = model.save(tmp_path / "graph", "tfjs_graph", precision=precision)
    assert report.max_abs_diff < {"float32": 1e-6, "float16": 1e-3, "uint8": 2e-2}[precision]
    again = node.load_model(tmp_path / "graph")
    assert [port.name for port in again.inputs] == ["entrance"]
    assert again.save(tmp_path / "layers").max_rel_diff < 1e-5


@pytest.mark.slow
def test_a_graph_of_several_ends_is_fed_by_name(node: pb.Node, tmp_path: Path) -> None:
    import keras

    b, a = keras.Input((4,), name="b"), keras.Input((2,), name="a")
    model = node.load_model(keras.Model([b, a], [keras.layers.Dense(3)(b), keras.layers.Dense(5)(a)]))
    assert model.save(tmp_path / "graph", "tfjs_graph").max_rel_diff < 1e-5


def operations_of(folder: Path) -> Counter[str]:
    return Counter(node["op"] for node in json.loads((folder / "model.json").read_text())["modelTopology"]["node"])


@pytest.mark.slow
def test_a_graph_has_no_batch_normalization_and_its_biases_and_activations_are_fused(node: pb.Node, tmp_path: Path) -> None:
    import keras

    random = np.random.default_rng(0)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False)(image)
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
    x = keras.layers.DepthwiseConv2D(3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    network = keras.Model(image, keras.layers.Dense(3, activation="softmax")(keras.layers.Dense(5, activation="relu")(x)))
    for weight in network.weights:
        weight.assign(random.uniform(0.5, 1.5, weight.shape))
    report = node.load_model(network).save(tmp_path / "graph", "tfjs_graph")
    assert report.max_rel_diff < 1e-5
    found = operations_of(tmp_path / "graph")
    fused = {"_FusedConv2D": 1, "FusedDepthwiseConv2dNative": 1, "_FusedMatMul": 2}
    assert {name: found[name] for name in fused} == fused
    assert set(found) == {*fused, "Const", "Placeholder", "Mean", "Softmax", "Identity"}


@pytest.mark.slow
def test_what_has_several_uses_is_not_fused_away(node: pb.Node, tmp_path: Path) -> None:
    import keras

    image = keras.Input((8, 8, 3))
    linear = keras.layers.Conv2D(4, 3, bias_initializer="ones")(image)
    positive = keras.layers.ReLU()(linear)
    network = keras.Model(image, [keras.layers.Add()([linear, positive]), linear, linear])
    report = node.load_model(network).save(tmp_path / "graph", "tfjs_graph")
    assert report.max_rel_diff < 1e-6
    assert len(node.load_model(tmp_path / "graph").outputs) == 3


@pytest.mark.slow
def test_a_graph_that_tensorflow_js_cannot_run_is_refused(node: pb.Node, tmp_path: Path) -> None:
    import keras

    sequence = keras.Input((6, 4))
    network = keras.Model(sequence, keras.layers.GRU(3)(sequence))
    with pytest.raises(ModelFormatError, match="TensorFlow\\.js cannot run the model as a graph: Cannot compute the outputs"):
        node.load_model(network).save(tmp_path / "graph", "tfjs_graph")
    assert not (tmp_path / "graph").exists()


@needs_tensorflowjs
@pytest.mark.slow
def test_grappler_writes_the_graph_of_a_saved_model(node: pb.Node, model: pb.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "saved", "saved_model")
    assert node.load_model(tmp_path / "saved").save(tmp_path / "graph", "tfjs_graph").max_rel_diff < 1e-5
    assert node.load_model(tmp_path / "graph").save(tmp_path / "layers").max_rel_diff < 1e-5
