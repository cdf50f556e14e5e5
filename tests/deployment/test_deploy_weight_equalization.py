"""Models for eight bits: they compute the same, and lose less when they are rounded."""

from __future__ import annotations

import numpy as np
import tiny
from numpy.typing import NDArray

from pybridge.deployment.weight_equalization import equalized
from pybridge.saving.precision import rounded
from pybridge.tfjs.layers_model import LayersModel


def uneven() -> LayersModel:
    """A convolution whose channels differ in range by up to a thousand, as those of trained models do, and its normalization."""
    model = tiny.convolution()
    weights = dict(model.weights)
    ranges = np.array([1, 0.1, 0.01, 0.001], np.float32)
    weights["conv/kernel"] = weights["conv/kernel"] * ranges
    weights["norm/moving_mean"] = weights["norm/moving_mean"] * ranges
    weights["norm/moving_variance"] = weights["norm/moving_variance"] * ranges**2 + np.float32(1e-3)
    return LayersModel(model.topology, weights)


def in_a_byte(model: LayersModel) -> LayersModel:
    """A kernel as small as this one would not be rounded to eight bits: it is repeated until it is large."""
    large = np.tile(model.weights["conv/kernel"], (1, 1, 100, 1))
    stored = rounded(LayersModel(model.topology, {**model.weights, "conv/kernel": large}), "uint8").weights
    return LayersModel(model.topology, {**stored, "conv/kernel": stored["conv/kernel"][:, :, :3]})


def normalized(model: LayersModel) -> NDArray[np.float64]:
    """What the two layers make of random patches."""
    weights = {name: value.astype(np.float64) for name, value in model.weights.items()}
    patches = np.random.default_rng(1).normal(size=(200, 27))
    convolved = patches @ weights["conv/kernel"].reshape(27, -1)
    factor = weights["norm/gamma"] / np.sqrt(weights["norm/moving_variance"] + 1e-3)
    result: NDArray[np.float64] = (convolved - weights["norm/moving_mean"]) * factor + weights["norm/beta"]
    return result


def test_the_model_computes_the_same() -> None:
    model = uneven()
    np.testing.assert_allclose(normalized(equalized(model)), normalized(model), rtol=1e-5, atol=1e-5)


def test_channels_fill_the_range_of_the_whole_kernel_and_none_leaves_it() -> None:
    before = uneven().weights["conv/kernel"].reshape(27, -1)
    after = equalized(uneven()).weights["conv/kernel"].reshape(27, -1)
    assert (after.min(), after.max()) == (before.min(), before.max())
    assert (np.isclose(after.max(axis=0), after.max()) | np.isclose(after.min(axis=0), after.min())).all()


def test_eight_bits_cost_less() -> None:
    model = uneven()
    exact = normalized(model)
    plain, even = (np.abs(normalized(in_a_byte(each)) - exact).max() for each in (model, equalized(model)))
    assert even < plain / 3


def test_the_given_model_stays_and_others_come_back_as_they_are() -> None:
    model = uneven()
    before = model.weights["conv/kernel"].copy()
    equalized(model)
    np.testing.assert_array_equal(model.weights["conv/kernel"], before)
    vectors = tiny.vector_classifier()
    assert equalized(vectors).weights.keys() == vectors.weights.keys()
    for name, value in equalized(vectors).weights.items():
        np.testing.assert_array_equal(value, vectors.weights[name])
    twice = tiny.convolution_used_twice()
    np.testing.assert_array_equal(equalized(twice).weights["conv/kernel"], twice.weights["conv/kernel"])
