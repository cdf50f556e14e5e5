"""What a user may say to name a model, and what is answered where that does not work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import graph_files
import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.errors import ModelFormatError
from pybridge.loading import find_model, lift, resolve
from pybridge.loading.applications import application_names, find_application
from pybridge.tfjs.graph_model import GraphModel
from pybridge.tfjs.layers_model import LayersModel


def test_every_application_of_keras_has_its_preprocessing() -> None:
    import keras

    public = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(application_names()) == public


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "DenseNet121", "EfficientNetB0", "VGG16", "ConvNeXtTiny"])
def test_the_preprocessing_is_that_of_preprocess_input(name: str) -> None:
    import keras

    modules = {
        "MobileNetV2": "mobilenet_v2",
        "ResNet50": "resnet",
        "DenseNet121": "densenet",
        "EfficientNetB0": "efficientnet",
        "VGG16": "vgg16",
        "ConvNeXtTiny": "convnext",
    }
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 2, 3)).astype(np.float32)
    theirs = getattr(keras.applications, modules[name]).preprocess_input(pixels.copy())
    application = find_application(f"keras.applications.{name}")
    assert application is not None
    known = application.preprocessing
    ordered = pixels[..., ::-1] if known.channel_order == "bgr" else pixels
    np.testing.assert_allclose((ordered - np.array(known.mean)) / np.array(known.std), theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "said", ["keras.applications.MobileNetV2", "keras:mobilenetv2", "keras.applications.mobilenet_v2.MobileNetV2"]
)
def test_an_application_may_be_said_in_several_ways(said: str) -> None:
    application = find_application(said)
    assert application is not None
    assert application.name == "MobileNetV2"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("keras:MobileNetV9", "MobileNetV"),
        ("MobileNetV2", "Did you mean keras.applications.MobileNetV2?"),
        ("efficientnet_lite", "efficientnet_lite0"),
    ],
)
def test_a_wrong_name_is_corrected(said: str, answer: str) -> None:
    with pytest.raises(ModelFormatError, match=answer):
        find_model(said)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("model.pth", "weights_only=True"),
        ("model.pkl", "can run code"),
        ("model.safetensors", "weights without an architecture"),
        ("model.tflite", "SavedModel that it was made of"),
        ("model.txt", "Known are a model.json"),
    ],
)
def test_a_file_that_is_no_model_says_what_to_give_instead(tmp_path: Path, name: str, answer: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelFormatError, match=answer):
        find_model(tmp_path / name)


def test_an_object_that_is_no_model_is_refused() -> None:
    with pytest.raises(ModelFormatError, match=r"a builtins\.int is no model"):
        find_model(3)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_torch_module_needs_its_input_shape() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'pybridge[torch]'")
    with pytest.raises(ModelFormatError, match=r"input_shape=\(3, 224, 224\)"):
        find_model(torch.nn.Conv2d(3, 4, 3))


def test_a_keras_model_in_memory_is_a_base(keras_model: Any) -> None:
    base = resolve(keras_model)
    assert (base.name, base.origin["kind"], base.origin["preprocessing"]) == ("small", "keras", "assumed")
    assert list(base.model.weights) == [
        "conv/kernel",
        "norm/gamma",
        "norm/beta",
        "norm/moving_mean",
        "norm/moving_variance",
    ]


def test_a_keras_model_in_memory_is_loaded(node: pb.Node, keras_model: Any, images: Any) -> None:
    np.testing.assert_allclose(node.load_model(keras_model).predict(images), keras_model(images), atol=1e-6)


def test_a_graph_model_is_lifted_into_layers_that_answer_the_same(node: pb.Node, tmp_path: Path) -> None:
    file = graph_files.image_classifier(tmp_path)
    images = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)
    layers = lift(GraphModel.read(file))
    classes = [layer["class_name"] for layer in layers.topology["config"]["layers"]]
    assert classes[:5] == ["InputLayer", "Conv2D", "ReLU", "DepthwiseConv2D", "Add"]
    assert {"conv/kernel", "conv/bias", "deep/depthwise_kernel", "deep/bias"} <= set(layers.weights)
    np.testing.assert_allclose(node.load_model(layers).predict(images), node.load_model(tmp_path).predict(images), atol=1e-6)


def test_a_graph_model_is_a_base(tmp_path: Path) -> None:
    base = resolve(graph_files.image_classifier(tmp_path / "bees"))
    assert (base.name, base.preprocessing.height) == ("bees", 16)
    assert base.model.topology["config"]["output_layers"][0][0] == "sum"


def test_operations_without_a_layer_are_named_all_at_once(node: pb.Node, tmp_path: Path) -> None:
    operations = [
        graph_files.operation("a", "Atan", "image"),
        graph_files.operation("b", "Floor", "image"),
        graph_files.operation("c", "Mul", "a", "b"),
    ]
    graph_files.write_graph_model(tmp_path, operations, {}, {"image": [-1, 2, 2, 3]}, ["c"])
    with pytest.raises(ModelFormatError, match="Atan 'a': it has no counterpart\n  Floor 'b'") as error:
        resolve(tmp_path)
    assert "still predicts" in str(error.value)
    assert node.load_model(tmp_path).predict(np.ones((1, 2, 2, 3))).shape == (1, 2, 2, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda nodes: nodes.append(nodes[-1]), "listed twice"),
        (lambda nodes: nodes[-1].update(input=["nowhere"]), "no node 'nowhere'"),
        (lambda nodes: nodes[-1].update(input=[nodes[-1]["name"]]), "depends on itself"),
        (lambda nodes: nodes[-1].update(attr={"T": {"i": "x"}}), "malformed attribute"),
        (lambda nodes: nodes[-1].update(input=3), "malformed"),
    ],
)
def test_a_damaged_graph_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    import json

    file = graph_files.image_classifier(tmp_path)
    document = json.loads(file.read_text())
    change(document["modelTopology"]["node"])
    file.write_text(json.dumps(document))
    with pytest.raises(ModelFormatError, match=message):
        lift(GraphModel.read(file))


def test_a_layers_model_stays_as_it_is() -> None:
    model = tiny.convolution()
    assert lift(model) is model
    assert isinstance(find_model(model).model, LayersModel)


def test_sizes_that_an_onnx_file_leaves_open_can_be_given(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'pybridge[onnx]'")
    image, map_ = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 3, "h", "w"]) for name in ("image", "map")
    )
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["image"], ["map"])], "open", [image], [map_])
    file = tmp_path / "open.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), file)
    with pytest.raises(ModelFormatError, match="Give input_shape"):
        find_model(file)
    model = find_model(file, input_shape=(3, 8, 9)).model
    assert isinstance(model, LayersModel)
    assert model.topology["config"]["layers"][0]["config"]["batch_input_shape"] == [None, 8, 9, 3]
