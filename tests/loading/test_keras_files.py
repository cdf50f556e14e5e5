"""Keras files: converted once, and never opened before they were looked at."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybridge as pb
from pybridge.converters.keras.record import OWN_MODULES
from pybridge.errors import ModelFormatError
from pybridge.graphs import TensorFlowProcess
from pybridge.loading.keras_files import application_model, keras_file_model, run_job
from pybridge.loading.keras_safety import check_archive, check_config
from pybridge.loading.saved_model import SavedModel
from pybridge.runtime import ensure
from pybridge.tfjs.layers_model import LayersModel


@pytest.fixture(params=[".keras", ".h5"])
def file(request: pytest.FixtureRequest, keras_model: Any, tmp_path: Path) -> Path:
    path = tmp_path / f"small{request.param}"
    keras_model.save(path)
    return path


@pytest.fixture
def archive(keras_model: Any, tmp_path: Path) -> Path:
    path = tmp_path / "small.keras"
    keras_model.save(path)
    return path


def rewrite(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the configuration in a .keras file."""
    with zipfile.ZipFile(file) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    with zipfile.ZipFile(file, "w") as target:
        for name, data in {**parts, "config.json": json.dumps(config).encode()}.items():
            target.writestr(name, data)


def test_a_file_is_converted_once(
    node: pb.Node, file: Path, keras_model: Any, images: Any, cache: Path, tensorflow: TensorFlowProcess
) -> None:
    first = keras_file_model(file, tensorflow=tensorflow)
    assert isinstance(first, LayersModel)
    np.testing.assert_array_equal(first.weights["conv/kernel"], keras_model.get_layer("conv").kernel)
    np.testing.assert_allclose(node.load_model(first).predict(images), keras_model(images), atol=1e-6)
    converted = {path: path.stat().st_mtime_ns for path in cache.rglob("model.json")}
    again = keras_file_model(file, tensorflow=tensorflow)
    assert isinstance(again, LayersModel)
    assert again.sha256() == first.sha256()
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("model.json")} == converted
    assert len(converted) == 1


def test_a_damaged_conversion_is_made_again(archive: Path, cache: Path, tensorflow: TensorFlowProcess) -> None:
    keras_file_model(archive, tensorflow=tensorflow)
    next(cache.rglob("model.json")).write_text("{}")
    assert isinstance(keras_file_model(archive, tensorflow=tensorflow), LayersModel)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_layer_runs_only_where_it_is_allowed(
    node: pb.Node, tmp_path: Path, cache: Path, tensorflow: TensorFlowProcess, suffix: str
) -> None:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2, output_shape=(3,), name="double")])
    model.save(tmp_path / f"code{suffix}")
    with pytest.raises(ModelFormatError, match=r"Python code in 'double' \(Lambda\)(.|\n)*allow_lambda=True"):
        keras_file_model(tmp_path / f"code{suffix}", tensorflow=tensorflow)
    allowed = keras_file_model(tmp_path / f"code{suffix}", allow_lambda=True, tensorflow=tensorflow)
    assert isinstance(allowed, SavedModel)
    np.testing.assert_array_equal(node.load_model(allowed.folder).predict(np.ones((2, 3))), np.full((2, 3), 2))


@pytest.mark.parametrize("module", OWN_MODULES)
def test_a_file_with_classes_of_our_own_is_converted_under_every_name_that_their_module_had(
    module: str, tmp_path: Path, cache: Path, tensorflow: TensorFlowProcess
) -> None:
    import keras

    from pybridge.converters.to_keras.custom_objects import Parameter

    def change(config: dict[str, Any]) -> None:
        layer = next(layer for layer in config["config"]["layers"] if layer["name"] == "positions")
        assert layer["module"] == Parameter.__module__
        layer["module"] = module

    x = keras.Input((4, 3))
    file = tmp_path / "own.keras"
    keras.Model(x, Parameter("add", (1, 4, 3), name="positions")(x)).save(file)
    rewrite(file, change)
    model = keras_file_model(file, tensorflow=tensorflow)
    assert isinstance(model, LayersModel)
    assert list(model.weights) == ["positions/value"]


def test_a_class_that_only_its_author_has_is_refused_with_what_to_do(archive: Path, tensorflow: TensorFlowProcess) -> None:
    """Keras writes no module for the classes of a program's main file."""
    rewrite(archive, lambda config: config.update(module=None, class_name="Mine", registered_name="Mine"))
    with pytest.raises(ModelFormatError, match=r"needs the class 'Mine', which is not one of Keras\n  Load the model in Python"):
        keras_file_model(archive, tensorflow=tensorflow)


def test_a_function_of_ours_is_opened(tmp_path: Path, cache: Path, tensorflow: TensorFlowProcess) -> None:
    import keras

    from pybridge.converters.to_keras.custom_objects import gelu_new

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation=gelu_new, name="new")])
    model.save(tmp_path / "gelu.keras")
    opened = keras_file_model(tmp_path / "gelu.keras", tensorflow=tensorflow)
    assert isinstance(opened, LayersModel)
    assert opened.weights["new/kernel"].shape == (3, 2)


def test_a_class_of_its_author_is_refused_by_name(archive: Path, tensorflow: TensorFlowProcess) -> None:
    def change(config: dict[str, Any]) -> None:
        layer = next(layer for layer in config["config"]["layers"] if layer["name"] == "relu")
        layer.update(module="evil.layers", class_name="Miner", registered_name="Evil>Miner")

    rewrite(archive, change)
    with pytest.raises(ModelFormatError, match=r"'relu' \(Miner\): a class of its author's, Evil>Miner"):
        keras_file_model(archive, tensorflow=tensorflow)


@pytest.mark.parametrize(
    ("class_name", "config", "reason"),
    [
        ("TFSMLayer", {"filepath": "/elsewhere"}, "opens another folder"),
        ("TorchModuleWrapper", {"module": "gASV"}, "unpickles code"),
        ("StringLookup", {"vocabulary": "/etc/passwd"}, "reads its vocabulary from another file"),
    ],
)
def test_layers_that_reach_out_are_refused(class_name: str, config: dict[str, Any], reason: str) -> None:
    layer = {"module": "keras.layers", "class_name": class_name, "config": {"name": "a", **config}}
    with pytest.raises(ModelFormatError, match=reason):
        check_config({"class_name": "Sequential", "config": {"layers": [layer]}}, Path("model.keras"), allow_lambda=True)


def test_a_deep_configuration_needs_no_stack() -> None:
    config: dict[str, Any] = {"class_name": "Lambda", "config": {"name": "deep"}}
    for _ in range(50_000):
        config = {"config": config}
    with pytest.raises(ModelFormatError, match="'deep'"):
        check_config(config, Path("model.keras"))


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "a\\..\\b", "C:evil"])
def test_an_entry_that_leads_out_of_the_archive_is_refused(archive: Path, name: str) -> None:
    with zipfile.ZipFile(archive, "a") as target:
        target.writestr(name, b"x")
    with pytest.raises(ModelFormatError, match="leads out of the archive"):
        check_archive(archive)


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as target:
        target.writestr("assets/zeros", bytes(50 * 2**20))
    with pytest.raises(ModelFormatError, match="announce"):
        check_archive(archive)


def test_hdf5_that_announces_more_than_it_holds_is_refused(
    keras_model: Any, tmp_path: Path, tensorflow: TensorFlowProcess
) -> None:
    import h5py

    file = tmp_path / "bomb.h5"
    keras_model.save(file)
    with h5py.File(file, "a") as content:
        content.create_dataset("bomb", shape=(2**40,), dtype="float32", chunks=(1024,))
    with pytest.raises(ModelFormatError, match="announce"):
        keras_file_model(file, tensorflow=tensorflow)


@pytest.mark.parametrize("kind", ["external link", "external data", "virtual data"])
def test_hdf5_that_reads_other_files_is_refused(
    keras_model: Any, tmp_path: Path, tensorflow: TensorFlowProcess, kind: str
) -> None:
    import h5py

    (tmp_path / "secret").write_bytes(bytes(64))
    file = tmp_path / "reaching.h5"
    keras_model.save(file)
    with h5py.File(file, "a") as content:
        if kind == "external link":
            content["stolen"] = h5py.ExternalLink(str(tmp_path / "secret"), "/")
        elif kind == "external data":
            content.create_dataset("stolen", (16,), "float32", external=[(str(tmp_path / "secret"), 0, 64)])
        else:
            layout = h5py.VirtualLayout(shape=(16,), dtype="float32")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret"), "x", shape=(16,))
            content.create_virtual_dataset("stolen", layout)
    with pytest.raises(ModelFormatError, match="another"):
        keras_file_model(file, tensorflow=tensorflow)


def test_weights_alone_are_no_model(keras_model: Any, tmp_path: Path, tensorflow: TensorFlowProcess) -> None:
    keras_model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ModelFormatError, match="holds weights, but no model"):
        keras_file_model(tmp_path / "a.weights.h5", tensorflow=tensorflow)


@pytest.mark.slow
def test_missing_weights_of_an_application_say_where_to_put_them(cache: Path, tmp_path: Path) -> None:
    """Without a network: all requests go to a port where nobody listens."""
    offline = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "KERAS_HOME": str(tmp_path)}
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5"
    with (
        TensorFlowProcess({**ensure().environment(), **offline}) as process,
        pytest.raises(ModelFormatError, match="MobileNetV2: its weights cannot be had") as error,
    ):
        application_model("MobileNetV2", tensorflow=process)
    assert str(tmp_path / "models" / name) in str(error.value)
    assert not list(cache.rglob("model.json"))


def _mutated(data: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for place in random.integers(0, len(data), random.integers(1, 12)):
        changed[place] = random.integers(256)
    if random.random() < 0.2:
        del changed[random.integers(len(changed)) :]
    return bytes(changed)


_VALUES: list[Any] = [None, -1, 0, 2**40, 1.5, "x" * 300, "../../secret", [], {}, True, [[]], {"class_name": 3}, float("nan")]


def _mutate_tree(config: Any, random: np.random.Generator) -> None:
    """Replaces one value somewhere in a JSON tree."""
    places: list[tuple[Any, Any]] = []
    stack = [config]
    while stack:
        part = stack.pop()
        items = part.items() if isinstance(part, dict) else enumerate(part)
        for key, value in items:
            places.append((part, key))
            if isinstance(value, dict | list):
                stack.append(value)
    part, key = places[random.integers(len(places))]
    part[key] = _VALUES[random.integers(len(_VALUES))]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_mutated_files_give_model_format_errors(keras_model: Any, tmp_path: Path, suffix: str) -> None:
    """Each is opened, or refused; the caller lives, and so does the TensorFlow process but for crashes inside of HDF5."""
    original, file = tmp_path / f"original{suffix}", tmp_path / f"mutated{suffix}"
    keras_model.save(original)
    data, random = original.read_bytes(), np.random.default_rng(0)
    outcomes = {"opened": 0, "refused": 0}
    process = TensorFlowProcess(ensure().environment())
    try:
        for number in range(200):
            if suffix == ".keras" and number % 2:
                shutil.copyfile(original, file)
                rewrite(file, lambda config: _mutate_tree(config, random))
            else:
                file.write_bytes(_mutated(data, random))
            folder = tmp_path / str(number)
            folder.mkdir()
            arguments = {"file": str(file), "allow_lambda": False}
            try:
                if suffix == ".keras":
                    check_archive(file)
                run_job(folder, "pybridge.loading.keras_reader:open_file", arguments, str(file), process, timeout=60)
                outcomes["opened"] += 1
            except ModelFormatError as error:
                outcomes["refused"] += 1
                if "TensorFlow process" in error.message:
                    process.close()
                    process = TensorFlowProcess(ensure().environment())
    finally:
        process.close()
    assert outcomes["refused"] > 50
