"""Files that Keras 2 wrote open as what they were, though stock Keras 3 refuses them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import pybridge as pb

pytestmark = pytest.mark.slow

# What Keras 2 wrote of layers that Keras 3 does not know any more.
OLD_OPTIONS: dict[str, dict[str, Any]] = {
    "DepthwiseConv2D": {"groups": 1},
    "Conv2DTranspose": {"groups": 1},
    "GRU": {"time_major": False, "implementation": 2},
    "Dense": {"ragged": False},
}


def in_the_style_of_keras2(model: keras.Model) -> dict[str, Any]:
    described = json.loads(model.to_json())
    for layer in described["config"]["layers"]:
        config = layer["config"]
        config.update(OLD_OPTIONS.get(layer["class_name"], {}), dtype="float32")
        if "batch_shape" in config:
            config["batch_input_shape"] = config.pop("batch_shape")
        for key in ("module", "registered_name", "build_config"):
            layer.pop(key, None)
    return {"class_name": "Sequential", "config": described["config"]}


def written(model: keras.Model, file: Path, described: dict[str, Any]) -> Path:
    model.save(file)
    with h5py.File(file, "r+") as content:
        content.attrs["model_config"] = json.dumps(described)
        content.attrs["keras_version"] = "2.11.0"
    return file


def packed(model: keras.Model, file: Path, described: dict[str, Any], names: list[str], root: str) -> Path:
    """A ``.keras`` file as Keras 2.12 to 2.15 wrote it."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as content:
        for layer, name in zip(model.layers, names, strict=True):
            for place, value in enumerate(layer.get_weights()):
                content[f"{root}/{name}/vars/{place}"] = value
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.13.1"}))
        archive.writestr("config.json", json.dumps({"module": "keras", "registered_name": None, **described}))
        archive.writestr("model.weights.h5", weights.getvalue())
    return file


def images() -> keras.Model:
    return keras.Sequential(
        [
            layers.Input((9, 9, 3)),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Conv2DTranspose(2, 3, name="transposed"),
            layers.Flatten(name="flat"),
            layers.Dense(2, name="first"),
            layers.Dense(2, name="second"),
        ],
        name="old",
    )


def sequences() -> keras.Model:
    return keras.Sequential([layers.Input((5, 3)), layers.GRU(4, name="gru"), layers.Dense(2, name="dense")], name="old")


def answers(node: pb.Node, model: keras.Model, file: Path) -> None:
    x = np.random.default_rng(0).normal(size=(3, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_allclose(node.load_model(file).predict(x), np.asarray(model(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [images, sequences])
def test_options_that_keras_3_dropped_are_no_damage(node: pb.Node, tmp_path: Path, make: Any) -> None:
    model = make()
    answers(node, model, written(model, tmp_path / "model.h5", in_the_style_of_keras2(model)))


def test_the_first_layer_may_say_the_shape_of_the_input(node: pb.Node, tmp_path: Path) -> None:
    model = images()
    described = in_the_style_of_keras2(model)
    entrance, first, *others = described["config"]["layers"]
    first["config"]["batch_input_shape"] = entrance["config"]["batch_input_shape"]
    described["config"]["layers"] = [first, *others]
    answers(node, model, written(model, tmp_path / "model.h5", described))


@pytest.mark.parametrize("root", ["layers", "_layer_checkpoint_dependencies"])
@pytest.mark.parametrize("named", ["after classes", "after layers"])
def test_a_packed_file_of_keras_2_opens(node: pb.Node, tmp_path: Path, root: str, named: str) -> None:
    model = images()
    classes = ["depthwise_conv2d", "conv2d_transpose", "flatten", "dense", "dense_1"]
    names = classes if named == "after classes" else [layer.name for layer in model.layers]
    answers(node, model, packed(model, tmp_path / "model.keras", in_the_style_of_keras2(model), names, root))


def test_an_old_option_in_use_is_named(tmp_path: Path, node: pb.Node) -> None:
    model = sequences()
    described = in_the_style_of_keras2(model)
    described["config"]["layers"][1]["config"]["time_major"] = True
    with pytest.raises(pb.ModelFormatError, match="time_major"):
        node.load_model(written(model, tmp_path / "model.h5", described))


def test_operations_in_an_h5_file_of_keras_3_are_known(node: pb.Node, tmp_path: Path) -> None:
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(3)(keras.ops.relu(x / 255.0 - 0.5)))
    model.save(tmp_path / "model.h5")
    answers(node, model, tmp_path / "model.h5")
