"""Models in every runtime, and the layer at which two of them part."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import graph_files
import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.cli import main
from pybridge.errors import BridgeError, DataError, ModelFormatError
from pybridge.parity import RUNTIMES, ParityReport
from pybridge.parity.bench import Bench
from pybridge.parity.browser import find_browser
from pybridge.parity.edge_cases import InputSpec, edge_cases
from pybridge.parity.subjects import as_subject
from pybridge.runtime.sandbox import describe_sandbox, sandbox_version
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import append_head

Compared = Callable[..., ParityReport]

MODEL = tiny.convolutional_classifier()
needs_browser = pytest.mark.skipif(find_browser() is None, reason="no Chromium or Chrome on PATH, and no PYBRIDGE_BROWSER")


def with_option(layer: str, **options: Any) -> LayersModel:
    topology = copy.deepcopy(MODEL.topology)
    next(entry for entry in topology["config"]["layers"] if entry["config"]["name"] == layer)["config"].update(options)
    return replace(MODEL, topology=topology)


def with_weight(name: str, change: Callable[[Any], Any]) -> LayersModel:
    return replace(MODEL, weights={**MODEL.weights, name: np.ascontiguousarray(change(MODEL.weights[name]), np.float32)})


def in_8_bits(values: Any) -> Any:
    step = (values.max() - values.min()) / 255
    return np.round((values - values.min()) / step) * step + values.min()


def test_node_is_equal_to_the_last_bit_and_layers_nearly(compared: Compared) -> None:
    report = compared(MODEL, "keras", "node", "tfjs-node-layers")
    rows = {row.name: row for row in report.runtimes}
    assert report.passed, str(report)
    assert (rows["node"].identical, rows["node"].tolerance) == (True, 0)
    assert 0 < rows["tfjs-node-layers"].excess < 1
    assert rows["tfjs-node-layers"].label_agreement == 1
    assert report.images == rows["node"].inputs == len(report.names)
    assert "16 * (epsilon" in str(report)


def test_another_model_fails_and_its_layer_is_named(compared: Compared) -> None:
    report = compared(MODEL, "tfjs-node-layers", against=with_option("norm", epsilon=0.1), layers=True)
    assert not report.passed
    (finding,) = report.layers or ()
    assert (finding.layer, finding.class_name, finding.alone) == ("norm", "BatchNormalization", True)
    assert finding.changed_options() == [("epsilon", 0.001, 0.1)]
    assert finding.causes[0].startswith("epsilon")
    assert "epsilon: epsilon is 0.1 there" in str(report)


def test_nothing_is_blamed_where_nothing_differs(compared: Compared) -> None:
    report = compared(MODEL, "tfjs-node-layers", layers=True)
    assert report.passed
    assert [finding.layer for finding in report.layers or ()] == [None]


def test_what_cannot_be_compared_is_listed_with_the_reason(compared: Compared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBRIDGE_BROWSER", "no-such-browser")
    report = compared(MODEL)
    missing = report.to_dict()["not_compared"]
    assert "PYBRIDGE_BROWSER" in missing["browser-webgl"]["reason"]
    assert {*report.to_dict()["runtimes"], *missing} == set(RUNTIMES)
    assert report.passed


def test_a_runtime_that_is_asked_for_and_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBRIDGE_BROWSER", "no-such-browser")
    with pytest.raises(BridgeError, match="browser-wasm cannot be compared"):
        pb.verify(MODEL, runtimes=["browser-wasm"])
    with pytest.raises(DataError, match="no runtime 'tfjs-wsm'") as raised:
        pb.verify(MODEL, runtimes=["tfjs-wsm"])
    assert "tfjs-wasm" in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "layer", "cause"),
    [
        (with_option("conv", padding="valid"), "conv", "padding is 'valid'"),
        (with_option("conv", activation="tanh"), "conv", "activation is 'tanh'"),
        (with_option("relu", max_value=4), "relu", "max_value is 4"),
        (with_weight("conv/kernel", in_8_bits), "conv", "have 8 bits"),
        (with_weight("conv/kernel", lambda kernel: kernel.astype(np.float16)), "conv", "float16"),
        (with_weight("conv/kernel", lambda kernel: kernel[:, :, ::-1]), "conv", "channel order"),
        (with_weight("conv/kernel", lambda kernel: kernel[::-1, ::-1]), "conv", "turned by 180 degrees"),
        (with_weight("norm/moving_variance", lambda variance: 2 * variance), "norm", "statistics"),
    ],
    ids=["padding", "activation", "limit", "8 bits", "float16", "channels", "turned", "statistics"],
)
def test_the_cause_of_a_difference_is_named(compared: Compared, broken: LayersModel, layer: str, cause: str) -> None:
    report = compared(MODEL, "tfjs-node-layers", against=broken, layers=True)
    (finding,) = report.layers or ()
    assert finding.layer == layer
    assert cause in finding.causes[0]


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tfjs-wasm", "tfjs-cpu"])
def test_other_backends_in_node_agree(compared: Compared, node: pb.Node, runtime: str) -> None:
    report = compared(MODEL, runtime, "node")
    assert report.passed, str(report)
    assert not report.runtimes[0].identical, "it ran on another backend, which rounds in another way"
    assert report.runtimes[1].identical, "the native backend is back in use"


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("runtime", ["browser-webgl", "browser-wasm"])
def test_a_browser_agrees(compared: Compared, runtime: str) -> None:
    report = compared(MODEL, runtime)
    assert report.passed, str(report)
    assert report.runtimes[0].note


@pytest.mark.slow
@needs_browser
def test_what_a_browser_cannot_do_is_told(bench: Any, tmp_path: Path) -> None:
    from pybridge.parity.browser import Browser

    (tmp_path / "model").mkdir()
    (tmp_path / "profile").mkdir()
    browser = Browser(bench.session.runtime.node_modules, tmp_path / "model", tmp_path / "profile")
    with pytest.raises(BridgeError, match="in chrom"):
        browser.run("wasm", "layers", [[np.zeros((1, 2))]])


@pytest.mark.slow
def test_a_fault_of_a_backend_is_found_and_explained(compared: Compared) -> None:
    """The WebAssembly backend of TensorFlow.js 4.22 gives 0 for the maximum of negative numbers in three dimensions."""
    options = {"pool_size": [2, 2, 2], "strides": [2, 2, 2], "padding": "valid", "data_format": "channels_last"}
    model = append_head(tiny.entrance(6, 6, 6, 2), [tiny.layer("MaxPooling3D", "pool", **options)], {})
    report = compared(model, "tfjs-node-layers", "tfjs-wasm", layers=True)
    assert [row.passes(None) for row in report.runtimes] == [True, False]
    (finding,) = report.layers or ()
    assert (finding.runtime, finding.layer) == ("tfjs-wasm", "pool")
    assert finding.causes[0].startswith("maximum: the other side gives 0")


@pytest.mark.slow
def test_keras_models_with_several_inputs_and_outputs_agree(compared: Compared) -> None:
    import keras

    image, vector = keras.Input((8, 8, 3)), keras.Input((5,))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(image))
    joined = keras.layers.Concatenate()([features, keras.layers.Dense(4, activation="tanh")(vector)])
    model = keras.Model([image, vector], [keras.layers.Dense(3, activation="softmax")(joined), keras.layers.Dense(2)(joined)])
    report = compared(model, "keras", "node", "tfjs-node-layers", layers=True)
    assert report.passed, str(report)


@pytest.mark.slow
def test_models_that_take_other_inputs_are_refused(node: pb.Node) -> None:
    with pytest.raises(ModelFormatError, match="other inputs"):
        pb.verify(tiny.vector_classifier(4), against=tiny.vector_classifier(5), node=node)
    with pytest.raises(DataError, match="numbers of shape"):
        pb.verify(tiny.vector_classifier(4), np.zeros((2, 3)), node=node)


@pytest.mark.slow
def test_the_command_compares_two_models_and_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    MODEL.write(tmp_path / "one")
    with_option("norm", epsilon=0.1).write(tmp_path / "two")
    page = tmp_path / "parity.html"
    words = ["verify", str(tmp_path / "one"), "--against", str(tmp_path / "two"), "--runtimes=tfjs-node-layers", "--layers"]
    assert main([*words, f"--html={page}"]) == 1
    assert "likely cause: epsilon" in capsys.readouterr().out
    html = page.read_text("utf-8")
    assert "norm" in html
    assert 'class="wrong' in html


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["mobilenet_v1_0.25_224", "mobilenet_v1_0.25_224_one_shard", "teachable_machine"])
def test_published_models_classify_photos_alike_in_both_languages(compared: Compared, shared_data: Path, folder: str) -> None:
    photos = [sorted(label.iterdir())[0] for label in sorted((shared_data / "trashnet").iterdir()) if label.is_dir()]
    model = shared_data / "weights" / folder
    report = compared(model, "keras", "node", "tfjs-node-layers", "tfjs-wasm", inputs=photos)
    assert report.passed, str(report)
    assert report.images == 6
    assert {row.label_agreement for row in report.runtimes} == {1.0}
    assert next(row for row in report.runtimes if row.name == "node").identical


@pytest.mark.slow
def test_graph_models_agree_with_their_layers_in_python(compared: Compared, tmp_path: Path) -> None:
    report = compared(
        graph_files.image_classifier(tmp_path), "node", "tfjs-node-graph", "tfjs-node-layers", "tfjs-wasm", "tfjs-cpu"
    )
    assert report.passed, str(report)
    assert report.reference == "TensorFlow in Python"


@pytest.mark.slow
@pytest.mark.skipif(not sandbox_version(), reason=describe_sandbox())
def test_the_process_of_the_reference_reaches_no_file_of_the_user(tmp_path: Path) -> None:
    """Not even by an operation that was allowed."""
    import tensorflow as tf

    target = tmp_path / "target"

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2], name="x")])
        def call(self, x: Any) -> Any:
            tf.io.write_file(str(target), "written")
            return {"y": 2.0 * x}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.call)
    subject = as_subject(tmp_path / "model", allow_operations=["WriteFile"])
    with Bench() as bench, pytest.raises(pb.BridgeError, match="Permission denied"):
        bench.reference(subject, edge_cases([InputSpec("x", (None, 2), "float32")], 0), None)
    assert not target.exists()
