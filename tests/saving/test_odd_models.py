"""Models with a state, with sizes left open, and with layers that TF.js does not have: each is compared as it is meant."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import pybridge as pb
from pybridge.converters.keras.conversion import from_keras

pytestmark = pytest.mark.slow


@keras.saving.register_keras_serializable("tests")
class Doubled(layers.Layer):
    def call(self, x):  # type: ignore[no-untyped-def]
        return x * 2


def test_a_state_begins_anew_before_the_comparison(node: pb.Node, tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input(batch_shape=(2, 6, 3)), layers.LSTM(5, stateful=True), layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    loaded = node.load_model(model)
    first = loaded.predict(x)
    assert not np.allclose(loaded.predict(x), first)
    assert loaded.save(tmp_path / "out").max_abs_diff == 0


def test_a_free_length_is_one_that_the_windows_fit_into(node: pb.Node, tmp_path: Path) -> None:
    x = keras.Input((None, 2))
    y = layers.Conv1D(4, 7, strides=3)(x)
    model = keras.Model(x, layers.GlobalMaxPooling1D()(layers.Conv1D(4, 5)(y)))
    assert pb.convert(model, tmp_path / "out", node=node).max_rel_diff == 0


def test_a_layer_of_ones_own_is_written_as_a_graph(node: pb.Node, tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((8,)), Doubled(), layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    with pytest.raises(pb.ModelFormatError, match="saved_model"):
        pb.convert(model, tmp_path / "layers", node=node)
    pb.convert(model, tmp_path / "graph", to="saved_model", node=node)
    np.testing.assert_allclose(node.load_model(tmp_path / "graph").predict(x), np.asarray(model(x)), rtol=1e-5, atol=1e-6)


def test_weights_stored_otherwise_are_refused_inside_attention_too() -> None:
    x = keras.Input((6, 8))
    attention = layers.MultiHeadAttention(2, 4)
    model = keras.Model(x, attention(x, x))
    attention._query_dense.enable_lora(2)
    with pytest.raises(pb.ModelFormatError, match="LoRA"):
        from_keras(model)
