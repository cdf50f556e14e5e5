"""Small Keras models of every shape that a graph can have, each with inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Case = tuple[Any, list[NDArray[Any]]]
CASES: dict[str, Callable[[], Case]] = {}


def case(build: Callable[[], Case]) -> Callable[[], Case]:
    CASES[build.__name__] = build
    return build


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def layers() -> Any:
    import keras

    return keras.layers


def model(*arguments: Any, **options: Any) -> Any:
    import keras

    return keras.Model(*arguments, **options)


def sequential(*items: Any, **options: Any) -> Any:
    import keras

    return keras.Sequential([*items], **options)


def perturbed(built: Any) -> Any:
    """The model with values in all weights that are not those of a fresh one."""
    random = np.random.default_rng(3)
    for weight in built.weights:
        weight.assign(np.asarray(weight) + random.uniform(0, 0.2, weight.shape))
    return built


@case
def a_sequential_model() -> Case:
    k = layers()
    return sequential(k.Input((5,)), k.Dense(4, activation="relu"), k.Dense(2)), [noise(3, 5)]


@case
def convolutions_with_statistics() -> Case:
    k = layers()
    image = k.Input((8, 8, 3))
    x = k.Conv2D(4, 3, activation="relu6")(image)
    x = k.BatchNormalization()(x)
    x = k.DepthwiseConv2D(3, padding="same")(x)
    return model(image, k.Dense(3, activation="softmax")(k.GlobalAveragePooling2D()(x))), [noise(2, 8, 8, 3)]


@case
def branches_with_named_inputs_and_outputs() -> Case:
    k = layers()
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    x, y = k.Dense(3)(a), k.Dense(3)(b)
    return model([a, b], {"sum": k.Add()([x, y]), "product": k.Multiply()([x, y])}), [noise(2, 4), noise(2, 4)]


@case
def a_layer_that_is_used_three_times() -> Case:
    k = layers()
    a, b, shared = k.Input((4,)), k.Input((4,)), k.Dense(4)
    x, y = shared(a), shared(b)
    return model([a, b], [shared(k.Add()([x, y])), x]), [noise(2, 4), noise(2, 4)]


@case
def layers_used_in_another_order_than_listed() -> Case:
    k = layers()
    a, first, second, relu = k.Input((4,)), k.Dense(4), k.Dense(4), k.Activation("relu")
    x = first(a)
    late, early = second(first(relu(x))), second(x)
    return model(a, [late, k.Dense(4)(k.Dense(4)(early))]), [noise(2, 4)]


@case
def a_nested_model_with_the_layer_names_of_the_outer() -> Case:
    k = layers()
    inner = sequential(k.Input((4,)), k.Dense(4, name="d"), k.BatchNormalization(name="n"), name="inner")
    image = k.Input((4,))
    once = inner(k.Dense(4, name="d")(image))
    return model(image, k.Concatenate()([once, inner(once)])), [noise(2, 4)]


@case
def a_nested_model_called_by_names_and_by_position() -> Case:
    k = layers()
    p, q = k.Input((4,), name="p"), k.Input((3,), name="q")
    inner = model([p, q], [k.Dense(2)(k.Concatenate()([p, q])), k.Dense(3)(q)])
    a, b = k.Input((4,)), k.Input((3,))
    u, v = inner({"q": b, "p": a})
    return model([a, b], [u, *inner([a, v])]), [noise(2, 4), noise(2, 3)]


@case
def a_sequential_model_of_models() -> Case:
    k = layers()
    return sequential(sequential(k.Input((4,)), k.Dense(4)), sequential(k.Dense(2))), [noise(2, 4)]


@case
def the_same_output_twice_and_an_input_as_output() -> Case:
    k = layers()
    a = k.Input((4,))
    x = k.Dense(3)(a)
    return model(a, [x, a, x]), [noise(2, 4)]


@case
def arithmetic() -> Case:
    k = layers()
    a = k.Input((4,))
    return model(a, (a + 1) * 2 - a[:, :1]), [noise(2, 4)]


@case
def states_handed_on() -> Case:
    k = layers()
    a = k.Input((5, 3))
    out, hidden, carry = k.LSTM(4, return_state=True)(a)
    return model(a, [k.LSTM(4)(a, initial_state=[hidden, carry]), out, carry]), [noise(2, 5, 3)]


@case
def bidirectional_with_states() -> Case:
    k = layers()
    a = k.Input((5, 3))
    return model(a, list(k.Bidirectional(k.LSTM(4, return_state=True), merge_mode="sum")(a))), [noise(2, 5, 3)]


@case
def steps_through_a_model() -> Case:
    k = layers()
    inner = sequential(k.Input((3,)), k.Dense(4), k.BatchNormalization())
    a = k.Input((5, 3))
    return model(a, k.TimeDistributed(inner)(a)), [noise(2, 5, 3)]


@case
def steps_through_a_bidirectional_layer() -> Case:
    k = layers()
    a = k.Input((2, 5, 3))
    return model(a, k.TimeDistributed(k.Bidirectional(k.LSTM(2)))(a)), [noise(2, 2, 5, 3)]


@case
def stacked_cells() -> Case:
    k = layers()
    a = k.Input((5, 3))
    cells = [k.LSTMCell(4), k.GRUCell(3, reset_after=False), k.SimpleRNNCell(2)]
    return model(a, k.RNN(cells)(a)), [noise(2, 5, 3)]


@case
def a_stateful_layer() -> Case:
    k = layers()
    a = k.Input(batch_shape=(2, 5, 3))
    return model(a, k.LSTM(4, stateful=True)(a)), [noise(2, 5, 3)]


@case
def words_with_padding() -> Case:
    k = layers()
    words = k.Input((5,), dtype="int32")
    x = k.Dropout(0.5)(k.Embedding(7, 3, mask_zero=True)(words))
    return model(words, k.LSTM(4)(x)), [np.array([[1, 2, 3, 0, 0], [4, 5, 6, 1, 2]], np.int32)]


@case
def a_mask_that_is_lost_on_the_way() -> Case:
    k = layers()
    a = k.Input((5, 3))
    values = noise(2, 5, 3)
    values[0, 3:] = 0
    x = k.Masking()(a)
    return model(a, [k.LSTM(2)(x), k.Flatten()(k.Conv1D(3, 2)(x))]), [values]


@case
def a_frozen_layer() -> Case:
    k = layers()
    a = k.Input((4,))
    return model(a, k.Dense(2)(k.Dense(3, trainable=False)(a))), [noise(2, 4)]


@case
def open_sizes() -> Case:
    k = layers()
    a = k.Input((None, None, 2))
    return model(a, k.Flatten()(k.Conv2D(1, 1)(a))), [noise(2, 3, 4, 2)]


@case
def whole_examples_dropped() -> Case:
    k = layers()
    a = k.Input((3, 3, 2))
    return model(a, k.Add()([a, k.Dropout(0.3, noise_shape=(None, 1, 1, 1))(k.Conv2D(2, 1)(a))])), [noise(2, 3, 3, 2)]
