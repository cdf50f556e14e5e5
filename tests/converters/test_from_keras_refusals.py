"""What has no exact counterpart in TF.js is refused by name, all at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pybridge.errors import ModelFormatError
from pybridge.models import from_keras


def chain(*items: Any, shape: tuple[int, ...] = (4,)) -> Any:
    import keras

    return keras.Sequential([keras.Input(shape), *items])


def test_all_layers_are_named_with_the_reason_and_an_alternative() -> None:
    import keras

    first = keras.layers.Lambda(lambda x: x + 1, name="plus_one")
    half = keras.layers.Dense(3, dtype="mixed_float16", name="half")
    with pytest.raises(ModelFormatError) as caught:
        from_keras(chain(first, keras.layers.Dense(4), half))
    assert "2 layers" in caught.value.message
    assert "'plus_one' (Lambda) is Python code" in caught.value.message
    assert "'half' (Dense) computes in float16" in caught.value.message
    assert "tfjs_graph" in str(caught.value) or "float32" in str(caught.value.hint)


def own_layer() -> Any:
    import keras

    class Double(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x * 2

    return chain(Double(name="mine"))


def subclassed_model() -> Any:
    import keras

    class Mine(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    return Mine()


def not_built() -> Any:
    import keras

    return keras.Sequential([keras.layers.Dense(2)])


def own_activation() -> Any:
    import keras

    return chain(keras.layers.Dense(2, activation=lambda x: x, name="odd"))


def constraint() -> Any:
    import keras

    return chain(keras.layers.Dense(2, kernel_constraint="non_neg"))


def lost_mask() -> Any:
    import keras

    layers = keras.layers
    return chain(layers.Masking(), layers.Dense(3), layers.LeakyReLU(), layers.LSTM(2), shape=(5, 3))


def mask_of_another_layer() -> Any:
    import keras

    layers = keras.layers
    a = keras.Input((5, 3))
    x = layers.Masking()(a)
    return keras.Model(a, [layers.LSTM(2)(x), layers.LSTM(2, name="free")(layers.Conv1D(3, 1)(x))])


def merged_mask() -> Any:
    import keras

    a = keras.Input((5, 3))
    masked = keras.layers.Masking()(a)
    return keras.Model(a, keras.layers.LSTM(2)(keras.layers.Concatenate()([masked, keras.layers.Dense(2)(a)])))


def two_layers_with_one_kernel() -> Any:
    import keras

    a = keras.Input((4,))
    layer = keras.layers.Dense(4)
    wrapped = keras.layers.TimeDistributed(layer)
    b = keras.Input((2, 4))
    return keras.Model([a, b], [layer(a), wrapped(b)])


def endless_number() -> Any:
    import keras

    return chain(keras.layers.Rescaling(float("inf")))


def one_number_for_each_example() -> Any:
    import keras

    a = keras.Input(())
    return keras.Model(a, keras.layers.Dense(2)(keras.ops.expand_dims(a, -1)))


def as_many_channels_as_columns() -> Any:
    import keras

    return chain(keras.layers.Conv2D(4, 3, padding="same", data_format="channels_first"), shape=(3, 4, 4))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (own_layer, "'mine' (Double) is a class of your own"),
        (subclassed_model, "is a subclassed model"),
        (not_built, "is not built"),
        (own_activation, "'odd' (Dense) has the activation"),
        (constraint, "kernel_constraint, which TF.js applies when it loads weights, but not in training"),
        (lost_mask, "lose or change the mask"),
        (mask_of_another_layer, "'free' (LSTM) is not masked, but TF.js would apply the mask"),
        (merged_mask, "lose or change the mask"),
        (two_layers_with_one_kernel, "is shared by two layers"),
        (endless_number, "infinite or not a number"),
        (one_number_for_each_example, "one number for each example"),
        (as_many_channels_as_columns, "as many channels as columns"),
        (lambda: "a string", "is not a Keras model"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_it_is_refused(build: Callable[[], Any], reason: str) -> None:
    with pytest.raises(ModelFormatError) as caught:
        from_keras(build())
    assert reason in caught.value.message
    assert caught.value.hint
