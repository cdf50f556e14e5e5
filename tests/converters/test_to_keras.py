"""TF.js models rebuilt in Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pybridge.errors import ModelFormatError
from pybridge.models import to_keras
from pybridge.tfjs import surgery
from pybridge.tfjs.cuts import cut_points
from pybridge.tfjs.layers_model import LayersModel
from pybridge.zoo.models import efficientnet_lite

pytestmark = pytest.mark.slow

# Indices of ILSVRC2012 classes.
BELL_COTE, STUPA, PALACE, DAISY, BEE = 442, 832, 698, 985, 309


@pytest.fixture(scope="module")
def photos() -> NDArray[np.float32]:
    """A Chinese temple and a flower, (2, 224, 224, 3), 0 to 255."""
    import tensorflow as tf
    from sklearn.datasets import load_sample_images

    images = np.stack(load_sample_images().images).astype(np.float32)
    return np.asarray(tf.image.resize(images, (224, 224), antialias=True))


def read(shared_data: Path, name: str) -> LayersModel:
    return LayersModel.read(shared_data / "weights" / name)


def run(model: LayersModel, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(to_keras(model)(x, training=False))


def test_efficientnet_lite0_recognizes_photos(photos: NDArray[np.float32]) -> None:
    probabilities = run(efficientnet_lite.build(), (photos - 127) / 128)
    assert probabilities.shape == (2, 1000)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    best = np.argsort(-probabilities)[:, :3]
    assert {BELL_COTE, STUPA, PALACE} & set(best[0])
    assert DAISY in best[1]


def test_both_copies_of_mobilenet_give_the_same_probabilities(shared_data: Path, photos: NDArray[np.float32]) -> None:
    x = photos / 127.5 - 1
    zoo = run(read(shared_data, "mobilenet_v1_0.25_224"), x)
    converted = run(read(shared_data, "mobilenet_v1_0.25_224_one_shard"), x)
    assert zoo[0].argmax() == STUPA
    assert np.allclose(zoo, converted.reshape(zoo.shape), rtol=1e-4, atol=1e-6)


def test_a_teachable_machine_export_runs(shared_data: Path, photos: NDArray[np.float32]) -> None:
    probabilities = run(read(shared_data, "teachable_machine"), photos / 127.5 - 1)
    assert probabilities.shape == (2, 2)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_weights_arrive_bit_for_bit(residual: LayersModel) -> None:
    built = to_keras(residual)
    assert np.array_equal(built.get_layer("a").get_weights()[0], residual.weights["a/kernel"])
    assert np.array_equal(built.get_layer("out").get_weights()[1], residual.weights["out/bias"])


@pytest.mark.parametrize("index", [3, 20, -8])
def test_a_model_cut_in_two_computes_the_same(shared_data: Path, photos: NDArray[np.float32], index: int) -> None:
    x = photos / 127.5 - 1
    whole = surgery.flatten(read(shared_data, "teachable_machine"))
    cut = cut_points(whole)[index].layer
    features = run(surgery.truncate(whole, cut), x)
    front, tail = surgery.split(whole, cut, features.shape[1:])
    assert np.array_equal(run(tail, run(front, x)), run(whole, x))
    assert np.array_equal(run(surgery.join(front, tail), x), run(whole, x))


def with_layer(model: LayersModel, class_name: str, **config: Any) -> LayersModel:
    base = surgery.truncate(model, "relu")
    return surgery.append_head(base, [{"class_name": class_name, "config": {"name": "new", **config}}], {})


def test_hard_sigmoid_has_the_slope_of_tensorflow_js(residual: LayersModel) -> None:
    x = np.random.default_rng(0).standard_normal((1, 8, 8, 3)).astype(np.float32)
    before = run(surgery.truncate(residual, "relu"), x)
    after = run(with_layer(residual, "Activation", activation="hardSigmoid"), x)
    assert np.allclose(after, np.clip(before * 0.2 + 0.5, 0, 1), atol=1e-6)


def test_keys_may_be_written_in_camel_case(residual: LayersModel) -> None:
    x = np.full((1, 8, 8, 3), 9, np.float32)
    assert run(with_layer(residual, "ReLU", maxValue=0.5), x).max() <= 0.5
    assert run(with_layer(residual, "MaxPooling2D", poolSize=[4, 4]), x).shape == (1, 2, 2, 3)


@pytest.mark.parametrize(
    ("class_name", "config"),
    [
        ("ReLU", {"negative_slope": 0.1}),
        ("ReLU", {"threshold": 1.0}),
        ("UpSampling2D", {"interpolation": "bilinear"}),
        ("GlobalAveragePooling2D", {"keepdims": True}),
        ("Lambda", {}),
        ("Activation", {"activation": "squareplus"}),
        ("Conv2D", {"filters": -1, "kernel_size": [3, 3]}),
        ("Dense", {"units": 4}),
    ],
)
def test_what_would_differ_is_refused_by_name(residual: LayersModel, class_name: str, config: dict[str, Any]) -> None:
    with pytest.raises(ModelFormatError, match="new"):
        to_keras(with_layer(residual, class_name, **config))
