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
from pybridge.runtime.sandbox import describe_sandbox, sandbox_version
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
@pytest.mark.exhaustive
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


def _with_lambda_in_hdf5(file: Path, marker: Path) -> None:
    """An HDF5 model whose Lambda layer writes a file when it is called."""
    import keras

    # Where the code is loaded it has neither globals nor defaults.
    code = eval(f"lambda x: (__import__('pathlib').Path({str(marker)!r}).write_text('ran'), x)[1]")
    layer = keras.layers.Lambda(code, output_shape=(3,))
    keras.Sequential([keras.Input((3,)), layer]).save(file)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_of_two_formats_at_once_is_refused(
    archive: Path, tmp_path: Path, suffix: str, tensorflow: TensorFlowProcess
) -> None:
    """Its HDF5 half has a Lambda layer, its zip half has none; versions of Keras differ in which they open."""
    code = tmp_path / "code.h5"
    _with_lambda_in_hdf5(code, tmp_path / "marker")
    both = tmp_path / f"both{suffix}"
    shutil.copyfile(code, both)
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(both, "a") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(ModelFormatError, match="an HDF5 file and a zip archive at once"):
        keras_file_model(both, tensorflow=tensorflow)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_content_of_a_file_says_what_it_is_and_not_its_name(
    keras_model: Any, tmp_path: Path, suffix: str, tensorflow: TensorFlowProcess
) -> None:
    keras_model.save(tmp_path / f"small{suffix}")
    renamed = tmp_path / ("small.h5" if suffix == ".keras" else "small.keras")
    renamed = (tmp_path / f"small{suffix}").rename(tmp_path / f"renamed{renamed.suffix}")
    assert isinstance(keras_file_model(renamed, tensorflow=tensorflow), LayersModel)


def test_what_keras_opens_is_what_was_checked(keras_model: Any, tmp_path: Path, tensorflow: TensorFlowProcess) -> None:
    """The file that Keras is given is a copy that nobody else knows."""
    seen: list[str] = []
    # Weights that no cache has seen yet.
    keras_model.set_weights([np.random.default_rng().normal(size=weight.shape) for weight in keras_model.get_weights()])
    archive = tmp_path / "small.keras"
    keras_model.save(archive)

    class Watching:
        def run(self, folder: Path, job: str, arguments: dict[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
            seen.append(arguments["file"])
            archive.write_bytes(b"changed")
            return tensorflow.run(folder, job, arguments, timeout=timeout)

    assert isinstance(keras_file_model(archive, tensorflow=Watching()), LayersModel)  # type: ignore[arg-type]
    (given,) = map(Path, seen)
    assert given != archive
    assert not given.exists()


@pytest.mark.parametrize(
    "names",
    [
        {"module": "keras", "class_name": "layers.Lambda"},
        {"module": "keras.layers", "class_name": "Lambda"},
        {"module": "keras.src.layers.core.lambda_layer", "class_name": "Lambda"},
        {"module": None, "class_name": "Other", "registered_name": "Custom>Lambda"},
        {"module": "keras", "class_name": "src.layers.core.lambda_layer.Lambda"},
        {"class_name": "function", "module": "keras", "config": "layers.Lambda"},
        {"class_name": "__lambda__"},
        {"class_name": "LAMBDA"},
    ],
)
@pytest.mark.parametrize("place", ["layer", "wrapped", "activation", "metric"])
def test_a_lambda_is_known_under_every_name_and_in_every_place(names: dict[str, Any], place: str) -> None:
    code = {"config": {"name": "code"}, **names}
    layer: dict[str, Any] = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "a"}}
    config: dict[str, Any] = {"class_name": "Sequential", "config": {"layers": [layer]}}
    if place == "layer":
        config["config"]["layers"].append(code)
    elif place == "wrapped":
        layer.update(class_name="TimeDistributed", config={"layer": code})
    elif place == "activation":
        layer["config"]["activation"] = code
    else:
        config["compile_config"] = {"metrics": [[code]]}
    with pytest.raises(ModelFormatError, match=r"Python code|cannot be opened safely"):
        check_config(config, Path("model.keras"))


@pytest.mark.parametrize(
    "part",
    [
        {"class_name": "function", "module": "keras.utils", "config": "get_file"},
        {"class_name": "function", "module": "keras", "config": "saving.load_model"},
        {"class_name": "config.enable_unsafe_deserialization", "module": "keras", "config": {}},
        {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"},
        {"class_name": "function", "module": "keras.src.saving.saving_lib", "config": "load_model"},
        {"class_name": "__typespec__", "module": "keras", "spec_name": "utils.Sequence", "registered_name": None, "config": []},
        {"class_name": "X", "module": "keras.layers", "registered_name": "kerasevil>X", "config": {}},
        {"class_name": "layers.TFSMLayer", "module": "keras", "config": {}},
        {"class_name": "tfsm_layer", "config": {}},
    ],
)
def test_what_no_model_is_made_of_is_refused_by_its_name(part: dict[str, Any]) -> None:
    config = {"class_name": "Sequential", "config": {"layers": [], "activation": part}}
    with pytest.raises(ModelFormatError, match="cannot be opened safely"):
        check_config(config, Path("model.keras"), allow_lambda=True)


def test_losses_and_metrics_of_an_hdf5_file_run_no_code(keras_model: Any, tmp_path: Path, tensorflow: TensorFlowProcess) -> None:
    import h5py

    file = tmp_path / "small.h5"
    keras_model.save(file)
    with h5py.File(file, "a") as content:
        loss = {"class_name": "function", "module": "os", "config": "getcwd", "registered_name": "getcwd"}
        content.attrs["training_config"] = json.dumps({"loss": loss, "optimizer_config": {"class_name": "SGD", "config": {}}})
    model = keras_file_model(file, tensorflow=tensorflow)
    assert isinstance(model, LayersModel) and "training_config" not in model.topology


def test_a_soft_link_in_hdf5_is_refused(keras_model: Any, tmp_path: Path, tensorflow: TensorFlowProcess) -> None:
    import h5py

    file = tmp_path / "small.h5"
    keras_model.save(file)
    with h5py.File(file, "a") as content:
        content["elsewhere"] = h5py.SoftLink("/model_weights")
    with pytest.raises(ModelFormatError, match="elsewhere is a link to another place"):
        keras_file_model(file, tensorflow=tensorflow)


@pytest.mark.slow
@pytest.mark.skipif(not sandbox_version(), reason=describe_sandbox())
def test_code_that_is_allowed_runs_in_a_sandbox(tmp_path: Path, cache: Path) -> None:
    """Where a process is started to open the file; an ordinary file opens in it as ever."""
    import keras

    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "plain.keras")
    assert isinstance(keras_file_model(tmp_path / "plain.keras"), LayersModel)
    _with_lambda_in_hdf5(tmp_path / "code.h5", tmp_path / "marker")
    (tmp_path / "marker").unlink(missing_ok=True)  # it ran when the model was made
    with pytest.raises(ModelFormatError, match="PermissionError"):
        keras_file_model(tmp_path / "code.h5", allow_lambda=True)
    assert not (tmp_path / "marker").exists()
