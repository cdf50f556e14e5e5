"""Models whose first conversion trained, saved or came back otherwise than Keras: stock TF.js must now do as Keras does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_models
import numpy as np
import pytest

import pybridge as pb
from pybridge.converters.to_keras.recovery import recover
from pybridge.models import from_keras, to_keras
from pybridge.tfjs.layers_model import LayersModel

SCRIPT = Path(__file__).parents[1] / "support" / "saved_by_tfjs.js"


def frozen_statistics(k: Any) -> list[Any]:
    return [k.Input((5, 5, 2)), k.Conv2D(3, 3), k.BatchNormalization(trainable=False), k.Flatten(), k.Dense(2)]


def statistics_without_scale(k: Any) -> list[Any]:
    return [k.Input((6,)), k.Dense(4), k.BatchNormalization(scale=False), k.BatchNormalization(center=False), k.Dense(2)]


def statistics_of_five_axes(k: Any) -> list[Any]:
    return [k.Input((3, 2, 2, 2)), k.BatchNormalization(), k.Flatten(), k.Dense(2)]


def inferred_size(k: Any) -> list[Any]:
    return [k.Input((6,)), k.Reshape((1, 1, -1)), k.Dense(3), k.Flatten()]


def states_of_both_directions(k: Any) -> Any:
    sequence = k.Input((4, 3))
    _, *states = k.Bidirectional(k.GRU(2, return_state=True))(sequence)
    return sequence, k.Dense(2)(k.Concatenate()(states))


def attention_to_itself(k: Any) -> Any:
    sequence = k.Input((4, 6))
    x = k.Dense(6)(sequence)
    x = k.LayerNormalization()(x + k.MultiHeadAttention(2, 3)(x, x))
    return sequence, k.Dense(2)(k.Flatten()(x))


def untruncated_start(k: Any) -> list[Any]:
    import keras

    start = keras.initializers.VarianceScaling(distribution="untruncated_normal")
    return [k.Input((6,)), k.Dense(2, kernel_initializer=start)]


@pytest.mark.parametrize(
    "build",
    [
        frozen_statistics,
        statistics_without_scale,
        statistics_of_five_axes,
        inferred_size,
        states_of_both_directions,
        attention_to_itself,
        untruncated_start,
    ],
)
@pytest.mark.slow
def test_stock_tfjs_trains_and_saves_it_as_keras_does(build: Callable[[Any], Any], node: pb.Node, tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    made = build(keras.layers)
    model = keras.Sequential(made) if isinstance(made, list) else keras.Model(*made)
    keras_models.perturbed(model)
    # The momentum of 0.0 is 0 in what JavaScript saves.
    model.compile(keras.optimizers.SGD(0.01), "mse")
    from_keras(model).write(tmp_path / "written")
    inputs, targets = keras_models.noise(4, *model.input_shape[1:]), keras_models.noise(4, *model.output_shape[1:])
    said = node.call(SCRIPT, "trainAndSave", str(tmp_path / "written"), inputs, targets, str(tmp_path / "saved"))
    losses = [float(model.train_on_batch(inputs, targets)) for _ in range(3)]
    np.testing.assert_allclose(said["losses"], losses, rtol=1e-4)
    back = recover(LayersModel.read(tmp_path / "saved"))
    assert back is not None
    assert json.dumps(back.get_config()) == json.dumps(model.get_config())
    assert back.optimizer.get_config() == model.optimizer.get_config()
    for ours, theirs in zip(model.weights, back.weights, strict=True):
        np.testing.assert_allclose(np.asarray(theirs), np.asarray(ours), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.asarray(back(inputs)), said["outputs"], rtol=1e-4, atol=1e-5)


def test_names_that_tfjs_does_not_allow_are_spelled_otherwise_and_come_back(node: pb.Node) -> None:
    import keras

    a = keras.Input((4,), name="my input")
    x = keras.layers.Dense(3, name="größe")(a)
    model = keras.Model(a, keras.layers.Dense(2, name="gr__e")(x))
    converted = from_keras(model)
    assert sorted(converted.weights) == [f"gr__e{end}/{part}" for end in ("", "_1") for part in ("bias", "kernel")]
    values = keras_models.noise(2, 4)
    np.testing.assert_allclose(node.load_model(converted).predict(values), np.asarray(model(values)), rtol=1e-5, atol=1e-6)
    same = recover(converted)
    assert same is not None
    assert json.dumps(same.get_config()) == json.dumps(model.get_config())


def einsum(x: Any) -> Any:
    import keras

    return keras.ops.einsum("bij,bkj->bik", x, x)


def whole_numbers(x: Any) -> Any:
    import keras

    return keras.layers.Embedding(5, 2)(keras.ops.cast(keras.ops.clip(x, 0, 4), "int32"))


def dropped(x: Any) -> Any:
    import keras

    return keras.layers.SpatialDropout1D(0.5)(x)


def spectral(x: Any) -> Any:
    import keras

    return keras.layers.SpectralNormalization(keras.layers.Dense(3))(x)


@pytest.mark.parametrize("call", [einsum, whole_numbers, dropped, spectral])
def test_our_classes_become_keras_layers_without_a_record_too(call: Callable[[Any], Any]) -> None:
    import keras

    a = keras.Input((4, 3))
    model = keras.Model(a, call(a))
    keras_models.perturbed(model)
    converted = from_keras(model)
    back = to_keras(LayersModel(converted.topology, converted.weights))
    values = keras_models.noise(2, 4, 3)
    np.testing.assert_allclose(np.asarray(back(values)), np.asarray(model(values)), rtol=1e-5, atol=1e-6)


def compiled(optimizer: Any, loss: str, activation: str = "softmax", *, masked: bool = False) -> Any:
    import keras

    k = keras.layers
    body = [k.Masking(), k.Dense(3, activation)] if masked else [k.Dense(3, activation)]
    model = keras.Sequential([k.Input((4, 2)), *body])
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def test_what_tfjs_would_train_otherwise_is_not_compiled_there() -> None:
    from keras import optimizers

    for optimizer in (
        optimizers.Adadelta(),
        optimizers.RMSprop(centered=True),
        optimizers.Adam(epsilon=0.1),
        optimizers.Adagrad(epsilon=0.1),
    ):
        assert from_keras(compiled(optimizer, "mse")).training_config is None
    assert from_keras(compiled("sgd", "mse", masked=True)).training_config is None
    assert from_keras(compiled("sgd", "binary_crossentropy")).training_config is None
    assert from_keras(compiled("sgd", "categorical_crossentropy", "sigmoid")).training_config is None


def test_accuracy_stays_that_of_classes_with_a_binary_loss() -> None:
    config = from_keras(compiled("sgd", "binary_crossentropy", "sigmoid")).training_config
    assert config is not None
    assert config["metrics"] == ["categorical_accuracy"]


def test_a_loss_given_as_a_function_comes_back_too() -> None:
    import keras

    model = compiled("sgd", "mse")
    model.compile("sgd", keras.losses.mean_squared_error)
    assert to_keras(from_keras(model)).loss == "mean_squared_error"
