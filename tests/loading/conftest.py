"""Models in every kind of file, small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PYBRIDGE_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def keras_model() -> Any:
    """Image -> convolution -> batch normalization -> ReLU6 -> pool -> softmax of three."""
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="conv")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(max_value=6, name="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax", name="out")(x), name="small")
    random = np.random.default_rng(0)
    for weight in model.weights:
        if "moving" in weight.path:
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.fixture(scope="session")
def exported(keras_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a SavedModel."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    keras_model.export(str(folder), verbose=False)
    return folder


@pytest.fixture(scope="session")
def images() -> Any:
    return np.random.default_rng(1).normal(size=(5, 16, 16, 3)).astype(np.float32)
