"""SavedModels: read without TensorFlow, run on the TensorFlow of Node, lifted into layers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybridge as pb
from pybridge.errors import DataError, ModelFormatError
from pybridge.graphs import TensorFlowProcess
from pybridge.loading import lift
from pybridge.loading.protobuf import fields
from pybridge.loading.saved_model import read_saved_model
from pybridge.runtime.sandbox import describe_sandbox, sandbox_version


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two signatures; ``sums`` takes inputs of three types and gives eleven outputs."""
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.float32, "b"),
                tf.TensorSpec([None], tf.int64, "a"),
                tf.TensorSpec([None], tf.uint8, "c"),
            ]
        )
        def sums(self, b: Any, a: Any, c: Any) -> Any:
            total = b + tf.cast(a, tf.float32) + tf.cast(c, tf.float32)
            return {f"output_{number}": total + number for number in range(11)}

        @tf.function(input_signature=[tf.TensorSpec([4, 2], tf.float32, "x")])
        def twice(self, x: Any) -> Any:
            return {"y": 2 * x}

    folder = tmp_path_factory.mktemp("several") / "model"
    module = Module()
    tf.saved_model.save(module, str(folder), signatures={"sums": module.sums, "twice": module.twice})
    return folder


def test_the_signature_is_read_without_tensorflow(exported: Path) -> None:
    model = read_saved_model(exported)
    assert (model.signature, [port.name for port in model.inputs]) == ("serving_default", ["image"])
    assert model.inputs[0].shape == (None, 16, 16, 3)
    assert model.outputs[0].dtype == "float32"


@pytest.mark.skipif(not sandbox_version(), reason=describe_sandbox())
def test_its_graph_has_a_process_of_its_own_until_it_is_disposed_of(node: pb.Node, exported: Path, images: Any) -> None:
    def children() -> set[int]:
        command = ["ps", "--ppid", str(os.getpid()), "-o", "pid=,args="]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return {int(line.split()[0]) for line in listing.splitlines() if "main.js" in line}

    before = children()
    model = node.load_model(exported)
    assert len(children() - before) == 1
    first = model.predict(images)
    model.dispose()
    assert children() - before == set()
    np.testing.assert_array_equal(model.predict(images), first)


def test_it_predicts_in_node_as_in_python_to_the_last_bits(node: pb.Node, exported: Path, keras_model: Any, images: Any) -> None:
    model = node.load_model(exported)
    np.testing.assert_allclose(model.predict(images), keras_model(images), atol=1e-6)


def test_inputs_and_outputs_go_by_name(node: pb.Node, several: Path) -> None:
    model = node.load_model(several, signature="sums")
    assert [port.name for port in model.inputs] == ["a", "b", "c"]
    outputs = model.predict({"c": [200, 0], "b": [0.5, 0.25], "a": [-3, 1]})
    assert [port.name for port in model.outputs] == [f"output_{number}" for number in range(11)]
    np.testing.assert_array_equal(np.stack(outputs)[:, 0], 197.5 + np.arange(11))
    with pytest.raises(DataError, match=r"has the inputs \['a', 'b', 'c'\]"):
        model.predict({"a": [1], "b": [1], "z": [1]})


def test_a_fixed_batch_size_is_kept_to(node: pb.Node, several: Path) -> None:
    model = node.load_model(several, signature="twice")
    assert model.predict(np.ones((8, 2)), batch_size=1).shape == (8, 2)
    with pytest.raises(DataError, match="takes 4 examples at once, and 5 is no multiple"):
        model.predict(np.ones((5, 2)))


def test_an_unclear_signature_is_asked_for(several: Path) -> None:
    with pytest.raises(ModelFormatError, match="which signature is meant\\? It has sums, twice"):
        read_saved_model(several)
    with pytest.raises(ModelFormatError, match=r"no signature 'sum'\n.*sums"):
        read_saved_model(several, "sum")


def test_it_is_lifted_into_layers_that_answer_the_same(
    node: pb.Node, exported: Path, images: Any, tensorflow: TensorFlowProcess
) -> None:
    model = read_saved_model(exported)
    layers = lift(model, tensorflow)
    classes = [layer["class_name"] for layer in layers.topology["config"]["layers"]]
    assert classes == ["InputLayer", "Conv2D", "ReLU", "GlobalAveragePooling2D", "Dense", "Softmax"]
    np.testing.assert_allclose(node.load_model(layers).predict(images), node.load_model(exported).predict(images), atol=1e-6)


def test_what_cannot_be_lifted_is_named(several: Path, tensorflow: TensorFlowProcess) -> None:
    with pytest.raises(ModelFormatError, match=r"Placeholder .* only float32 with known height") as error:
        lift(read_saved_model(several, "sums"), tensorflow)
    assert "still predicts" in str(error.value)


def test_a_link_out_of_the_folder_is_refused(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    (tmp_path / "secret").write_text("secret")
    (copy / "assets" / "words.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelFormatError, match="link out of the model's folder"):
        read_saved_model(copy)


def test_a_graph_that_reads_files_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def call(self, x: Any) -> Any:
            return x + tf.cast(tf.strings.length(tf.io.read_file("secret")), tf.float32)

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.call)
    with pytest.raises(ModelFormatError, match=r"contains ReadFile \(takes the name of a file\)"):
        read_saved_model(tmp_path / "model")


def test_damage_is_a_model_format_error(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    graph = copy / "saved_model.pb"
    original, random = graph.read_bytes(), np.random.default_rng(0)
    outcomes = set()
    for _ in range(300):
        data = bytearray(original[: random.integers(1, len(original) + 1)])
        for place in random.integers(0, len(data), 8):
            data[place] = random.integers(256)
        graph.write_bytes(bytes(data))
        try:
            read_saved_model(copy)
            outcomes.add("read")
        except ModelFormatError:
            outcomes.add("refused")
    assert "refused" in outcomes


@pytest.mark.parametrize("data", [b"\x80", b"\x0a\x05ab", b"\x0b", b"\x80" * 11])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="byte"):
        list(fields(memoryview(data)))
