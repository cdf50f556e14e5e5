"""Keras models of every shape become TF.js models with the same outputs, and come back."""

from __future__ import annotations

import json
from typing import Any

import keras_models
import numpy as np
import pytest

import pybridge as pb
from pybridge.converters.to_keras.recovery import recover
from pybridge.models import from_keras


def flat(value: Any) -> list[Any]:
    import keras

    return [np.asarray(item) for item in keras.tree.flatten(value)]


@pytest.mark.parametrize("name", keras_models.CASES)
def test_node_computes_what_keras_computes_and_the_model_comes_back(name: str, node: pb.Node) -> None:
    model, inputs = keras_models.CASES[name]()
    keras_models.perturbed(model)
    converted = from_keras(model)
    loaded = node.load_model(converted)
    found = loaded.predict(inputs[0] if len(inputs) == 1 else inputs)
    loaded.dispose()
    wanted = flat(model(inputs[0] if len(inputs) == 1 else inputs, training=False))
    for want, have in zip(wanted, found if isinstance(found, list) else [found], strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-6, strict=True)

    same = recover(converted)
    assert same is not None
    assert json.dumps(same.get_config()) == json.dumps(model.get_config())
    for before, after in zip(model.weights, same.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(before), np.asarray(after), strict=True)


def test_a_layer_of_two_models_becomes_one_layer(node: pb.Node) -> None:
    import keras

    a = keras.Input((4,))
    x = keras.layers.Dense(4, name="common")(a)
    whole, front = keras.Model(a, keras.layers.Dense(3)(x)), keras.Model(a, x)
    b = keras.Input((4,))
    model = keras.Model(b, [whole(b), front(b)])
    converted = from_keras(model)
    assert sorted(converted.weights) == sorted(
        f"{name}/{part}" for name in ("common", whole.layers[-1].name) for part in ("kernel", "bias")
    )
    values = keras_models.noise(2, 4)
    for want, have in zip(flat(model(values)), node.load_model(converted).predict(values), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-6)


def test_a_chain_stays_sequential() -> None:
    model, _ = keras_models.a_sequential_model()
    topology = from_keras(model).topology
    assert topology["class_name"] == "Sequential"
    assert [layer["class_name"] for layer in topology["config"]["layers"]] == ["InputLayer", "Dense", "Dense"]


def test_frozen_layers_stay_frozen_also_those_of_a_frozen_nested_model() -> None:
    import keras

    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="inside")])
    inner.trainable = False
    a = keras.Input((4,))
    nested = from_keras(keras.Model(a, inner(a))).topology["config"]["layers"][1]
    assert nested["config"]["layers"][1]["config"]["trainable"] is False


def test_the_model_given_is_not_changed() -> None:
    model, _ = keras_models.a_frozen_layer()
    before = [np.array(weight) for weight in model.weights], json.dumps(model.get_config())
    from_keras(model)
    assert json.dumps(model.get_config()) == before[1]
    for value, weight in zip(before[0], model.weights, strict=True):
        np.testing.assert_array_equal(value, np.asarray(weight))
