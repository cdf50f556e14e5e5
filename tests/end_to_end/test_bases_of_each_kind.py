"""A base of each kind of source: trained on a few pictures, fine-tuned, saved, and loaded again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import graph_files
import numpy as np
import pytest
import tiny
from numpy.typing import NDArray

import pybridge as pb
from pybridge.data.preprocessing import Preprocessing

pytestmark = pytest.mark.slow

Pictures = tuple[NDArray[np.uint8], NDArray[np.int64]]


@pytest.fixture(scope="module")
def keras_model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(5, activation="softmax")(x), name="small")


def _keras_file(model: Any, folder: Path) -> Any:
    model.save(folder / "small.keras")
    return folder / "small.keras", {}


def _h5_file(model: Any, folder: Path) -> Any:
    model.save(folder / "small.h5")
    return folder / "small.h5", {}


def _saved_model(model: Any, folder: Path) -> Any:
    model.export(str(folder / "exported"), verbose=False)
    return folder / "exported", {}


def _graph_model(_model: Any, folder: Path) -> Any:
    return graph_files.image_classifier(folder / "graph"), {}


def _layers_folder(_model: Any, folder: Path) -> Any:
    tiny.convolutional_classifier().write(folder / "layers")
    return folder / "layers", {}


def _module() -> Any:
    torch = pytest.importorskip("torch", reason="needs pip install 'pybridge[torch]'")
    nn = torch.nn
    torch.manual_seed(0)
    features = [nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)]
    return nn.Sequential(*features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)).eval()


def _torch_module(_model: Any, _folder: Path) -> Any:
    return _module(), {"input_shape": (3, 16, 16)}


def _onnx_file(_model: Any, folder: Path) -> Any:
    pytest.importorskip("onnx", reason="needs pip install 'pybridge[onnx]'")
    from onnx import TensorProto, helper, numpy_helper, save

    module = _module()
    weights = [numpy_helper.from_array(value.numpy(), name) for name, value in module.state_dict().items() if value.ndim]
    nodes = [
        helper.make_node("Conv", ["image", "0.weight"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["a", "1.weight", "1.bias", "1.running_mean", "1.running_var"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "3.weight", "3.bias"], ["d"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["f"]),
        helper.make_node("Flatten", ["f"], ["g"]),
        helper.make_node("Gemm", ["g", "7.weight", "7.bias"], ["logits"], transB=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 16, 16])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5])
    graph = helper.make_graph(nodes, "small", [image], [logits], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), folder / "small.onnx")
    return folder / "small.onnx", {}


KINDS: dict[str, tuple[Callable[[Any, Path], Any], str]] = {
    "keras": (lambda model, _folder: (model, {}), "keras"),
    "keras_file": (_keras_file, "keras_file"),
    "h5_file": (_h5_file, "keras_file"),
    "saved_model": (_saved_model, "saved_model"),
    "graph_model": (_graph_model, "file"),
    "layers_folder": (_layers_folder, "file"),
    "torch": (_torch_module, "torch"),
    "onnx": (_onnx_file, "onnx"),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_base_of_this_kind_trains_is_fine_tuned_and_comes_back(
    node: pb.Node, pixels: Pictures, keras_model: Any, tmp_path: Path, kind: str
) -> None:
    make, recorded = KINDS[kind]
    base, options = make(keras_model, tmp_path)
    images, labels = pixels
    classifier = pb.ImageClassifier(base, epochs=12, learning_rate=0.1, dropout=0.0, seed=0, node=node, **options)
    history = classifier.fit(images, labels)
    assert history.rows[-1]["loss"] < history.rows[0]["loss"]
    before = classifier.predict_proba(images)
    classifier.fine_tune(images, labels, unfreeze="all", epochs=2, learning_rate=1e-3)
    after = classifier.predict_proba(images)
    assert not np.array_equal(before, after)
    classifier.save(tmp_path / "run")
    loaded = pb.ImageClassifier.load(tmp_path / "run", node=node)
    np.testing.assert_array_equal(loaded.predict_proba(images), after)
    assert loaded.trained_.record.base["kind"] == recorded


def test_the_channels_of_a_caffe_model_are_exchanged(node: pb.Node, pixels: Pictures) -> None:
    """A base that sees blue first learns the same from pictures whose red and blue are exchanged."""
    images, labels = pixels
    settings: dict[str, Any] = {"epochs": 3, "dropout": 0.0, "seed": 0, "node": node}
    straight = pb.ImageClassifier(tiny.convolution(), preprocessing=Preprocessing(16, 16), **settings)
    caffe = pb.ImageClassifier(tiny.convolution(), preprocessing=Preprocessing(16, 16, channel_order="bgr"), **settings)
    straight.fit(images, labels)
    caffe.fit(images[..., ::-1], labels)
    np.testing.assert_array_equal(straight.predict_proba(images), caffe.predict_proba(images[..., ::-1]))
