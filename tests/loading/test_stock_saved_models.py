"""What TensorFlow and Keras export opens, without an operation being allowed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybridge as pb
from pybridge.errors import ModelFormatError
from pybridge.loading.saved_model import read_saved_model

_KINDS = ["attention", "categories", "convolutions", "noise", "pooling", "preprocessing", "random", "recurrent"]


def _layers(width: int = 8) -> dict[str, Any]:
    from keras import layers

    image = (16, 16, 3)
    return {
        "convolutions": (image, [layers.Conv2D(4, 3, activation="gelu"), layers.DepthwiseConv2D(3), layers.Flatten()]),
        "recurrent": ((6, 4), [layers.Bidirectional(layers.LSTM(width, return_sequences=True)), layers.GRU(width)]),
        "attention": ((6, width), [layers.LayerNormalization(), layers.Dense(width, "selu"), layers.GlobalMaxPool1D()]),
        "random": (image, [layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomContrast(0.1), layers.Flatten()]),
        "noise": ((width,), [layers.GaussianNoise(0.1), layers.Dropout(0.5), layers.AlphaDropout(0.5)]),
        "preprocessing": (image, [layers.Resizing(8, 8), layers.Rescaling(1 / 255), layers.Normalization(), layers.Flatten()]),
        "categories": ((2,), [layers.Discretization([0.0, 1.0]), layers.CategoryEncoding(3)]),
        "pooling": (image, [layers.AveragePooling2D(2), layers.SeparableConv2D(4, 3), layers.GlobalAveragePooling2D()]),
    }


def _model(name: str) -> tuple[Any, Any]:
    import keras

    shape, layers = _layers()[name]
    inputs = np.random.default_rng(0).random((2, *shape), np.float32)
    return keras.Sequential([keras.Input(shape), *layers]), inputs


@pytest.mark.slow
@pytest.mark.parametrize("name", _KINDS)
def test_models_that_keras_exports_open_and_answer(name: str, node: pb.Node, tmp_path: Path) -> None:
    model, inputs = _model(name)
    model.export(str(tmp_path / "model"), verbose=False)
    loaded = node.load_model(tmp_path / "model")
    np.testing.assert_allclose(loaded.predict(inputs), model(inputs), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in _KINDS if name != "random"])  # whose generator TensorFlow does not save
def test_models_of_keras_that_tensorflow_saves_open(name: str, tmp_path: Path) -> None:
    """TensorFlow itself runs them in Python only: a session does not find the variables."""
    import tensorflow as tf

    model, inputs = _model(name)
    tf.saved_model.save(model, str(tmp_path / "model"))
    opened = read_saved_model(tmp_path / "model")
    served = tf.saved_model.load(str(opened.folder)).signatures["serving_default"]
    (outputs,) = served(tf.constant(inputs)).values()
    np.testing.assert_allclose(outputs, model(inputs), atol=1e-5)


@pytest.mark.slow
def test_a_trained_model_with_its_optimizer_and_metrics_opens(tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0)
    tf.saved_model.save(model, str(tmp_path / "model"))
    assert read_saved_model(tmp_path / "model").inputs[0].shape == (None, 4)


def test_tables_of_constants_and_random_numbers_open(node: pb.Node, tmp_path: Path) -> None:
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            keys = tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), tf.constant([10, 20], tf.int64))
            self.table = tf.lookup.StaticHashTable(keys, -1)
            self.generator = tf.random.Generator.from_seed(1)
            self.kept = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "x")])
        def call(self, x: Any) -> Any:
            words = tf.strings.regex_replace(tf.strings.as_string(x), "1", "one")
            length = tf.cast(tf.strings.length(words), tf.float32)
            random = tf.random.uniform(tf.shape(x)) + self.generator.uniform(tf.shape(x))
            return {"found": tf.cast(self.table.lookup(x), tf.float32), "length": length, "random": random}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.call)
    model = node.load_model(tmp_path / "model")
    found, length, random = model.predict(np.array([0, 1, 2]))
    assert found.tolist() == [10, 20, -1]
    assert length.tolist() == [1, 3, 1]
    assert ((random >= 0) & (random < 2)).all()


def test_a_table_from_a_file_is_refused_and_can_be_allowed(tmp_path: Path) -> None:
    import tensorflow as tf

    (tmp_path / "words").write_text("cat\ndog\n")

    class Module(tf.Module):
        def __init__(self) -> None:
            words = tf.lookup.TextFileInitializer(
                str(tmp_path / "words"),
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
            )
            self.table = tf.lookup.StaticHashTable(words, "?")

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "x")])
        def call(self, x: Any) -> Any:
            return {"words": self.table.lookup(x)}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.call)
    with pytest.raises(ModelFormatError, match="contains InitializeTableFromTextFileV2"):
        read_saved_model(tmp_path / "model")
    model = read_saved_model(tmp_path / "model", allow_operations=["InitializeTableFromTextFileV2"])
    assert model.outputs[0].dtype == "string"


def test_graphs_of_tensorflow_1_with_their_saver_open(node: pb.Node, tmp_path: Path) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4], "x")
        reference = v1.get_variable("w", [4, 2], initializer=v1.ones_initializer(), use_resource=False)
        resource = v1.get_variable("v", [2, 2], initializer=v1.ones_initializer(), use_resource=True)
        y = x @ reference @ resource
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "model"), {"x": x}, {"y": y})
    model = node.load_model(tmp_path / "model")
    np.testing.assert_array_equal(model.predict(np.ones((1, 4))), [[8, 8]])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("MobileNetV3Small", "EfficientNetB0", "Xception"),
        *(
            pytest.param(name, marks=pytest.mark.exhaustive)
            for name in ("MobileNetV2", "EfficientNetV2B0", "ResNet50", "DenseNet121", "VGG16")
        ),
    ],
)
def test_keras_applications_open(name: str, tmp_path: Path) -> None:
    import keras

    model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3), classes=5)
    model.export(str(tmp_path / "model"), verbose=False)
    assert read_saved_model(tmp_path / "model").outputs[0].shape == (None, 5)
