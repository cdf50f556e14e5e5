"""The builder keeps track of axes, so that layers appear only where numbers have to move."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import pybridge as pb
from pybridge.converters.building import activations, arithmetic, convolution, dense, normalization, pooling, reshaping, slicing
from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import BATCH, Constant, Value
from pybridge.converters.refusals import Refused


def image(b: Builder) -> Value:
    return b.input("image", (BATCH, 3, 4, 5), order=(0, 2, 3, 1))


def classes(b: Builder, *ends: Value) -> list[str]:
    return [layer["class_name"] for layer in b.finish(ends).topology["config"]["layers"]]


def random(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_images_are_kept_with_the_channels_last() -> None:
    b = Builder("model")
    x = image(b)
    assert (x.shape, x.physical) == ((BATCH, 3, 4, 5), (BATCH, 4, 5, 3))


def test_transposing_back_and_forth_adds_no_layer() -> None:
    b = Builder("model")
    x = reshaping.transpose(image(b), (0, 2, 3, 1))
    x = activations.activation(b, x, "relu", name="relu")
    assert classes(b, x) == ["InputLayer", "ReLU"]


def test_a_flattened_feature_map_reorders_the_kernel_and_not_the_map() -> None:
    b = Builder("model")
    kernel = random(60, 2)
    flat = reshaping.reshape(b, image(b), (BATCH, 60), name="flat")
    model = b.finish([dense.linear(b, flat, Constant(kernel), None, name="fc")])
    assert [layer["class_name"] for layer in model.topology["config"]["layers"]] == ["InputLayer", "Flatten", "Dense"]
    assert np.array_equal(model.weights["fc/kernel"], kernel.reshape(3, 4, 5, 2).transpose(1, 2, 0, 3).reshape(60, 2))


def test_a_sum_of_differently_arranged_tensors_is_right(node: pb.Node) -> None:
    b = Builder("model")
    x = b.input("x", (BATCH, 4, 6))
    parts = reshaping.transpose(reshaping.reshape(b, x, (BATCH, 4, 2, 3), name="parts"), (0, 2, 1, 3))
    other = reshaping.reshape(b, x, (BATCH, 2, 4, 3), name="other")
    y = arithmetic.binary(b, "add", parts, other, name="sum")
    assert isinstance(y, Value)
    model = node.load_model(b.finish([y]))
    values = random(2, 4, 6)
    expected = values.reshape(2, 4, 2, 3).transpose(0, 2, 1, 3) + values.reshape(2, 2, 4, 3)
    assert np.array_equal(model.predict(values), expected)


@pytest.mark.parametrize(("strides", "expected"), [(1, ["Conv2D"]), (2, ["ZeroPadding2D", "Conv2D"])])
def test_padding_is_same_only_where_tensorflow_pads_alike(strides: int, expected: list[str]) -> None:
    b = Builder("model")
    x = b.input("image", (BATCH, 3, 8, 8), order=(0, 2, 3, 1))
    kernel = Constant(random(3, 3, 3, 2))
    y = convolution.convolution(b, x, kernel, None, channels=1, strides=strides, padding=((1, 1), (1, 1)), name="conv")
    assert classes(b, reshaping.transpose(y, (0, 2, 3, 1)))[1:] == expected


def test_zeros_pad_a_maximum_only_where_nothing_is_negative() -> None:
    b = Builder("model")
    x = b.input("image", (BATCH, 8, 8, 3))
    window = {"channels": 3, "size": 3, "strides": 2, "padding": ((1, 1), (1, 1)), "name": "pool"}
    assert "ZeroPadding2D" not in classes(b, pooling.maximum(b, x, **window))
    assert "ZeroPadding2D" in classes(b, pooling.maximum(b, activations.activation(b, x, "relu", name="relu"), **window))


def test_a_layer_with_the_same_weights_is_used_again() -> None:
    b = Builder("model")
    kernel = Constant(random(3, 3), "fc.weight", True)
    x = dense.linear(b, dense.linear(b, b.input("x", (BATCH, 3)), kernel, None, name="fc"), kernel, None, name="fc")
    model = b.finish([x])
    assert list(model.weights) == ["fc/kernel"]
    assert len(model.topology["config"]["layers"][1]["inbound_nodes"]) == 2


def test_a_normalization_is_used_again_only_in_tensors_of_the_same_rank() -> None:
    b = Builder("model")
    x = b.input("x", (BATCH, 5, 3))
    first, second = (Constant(random(3), name, True) for name in ("gamma", "beta"))
    once = normalization.layer_normalization(b, x, first, second, epsilon=1e-5, name="norm")
    shorter = slicing.select(b, once, 1, 0, name="first")
    model = b.finish([normalization.layer_normalization(b, shorter, first, second, epsilon=1e-5, name="norm")])
    uses = [len(layer["inbound_nodes"]) for layer in model.topology["config"]["layers"] if "Norm" in layer["class_name"]]
    assert uses == [1, 1]


def test_layers_that_no_output_needs_are_left_out() -> None:
    b = Builder("model")
    x = b.input("x", (BATCH, 3))
    dense.linear(b, x, Constant(random(3, 3)), None, name="unused")
    model = b.finish([activations.activation(b, x, "relu", name="relu")])
    assert not model.weights


@pytest.mark.parametrize("shape", [(3 * BATCH, 20), (3, BATCH, 20), (7, 9)])
def test_examples_are_never_mixed(shape: tuple[int, ...]) -> None:
    b = Builder("model")
    with pytest.raises(Refused):
        b.finish([reshaping.reshape(b, image(b), shape, name="mixed")])
