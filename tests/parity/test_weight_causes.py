"""How one set of weights came from another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pybridge.parity.weight_causes import describe_weights

KERNEL = np.random.default_rng(0).normal(size=(3, 3, 4, 8)).astype(np.float32)
VECTORS = [np.arange(4, dtype=np.float32) + i for i in range(4)]


def in_bits(values: NDArray[Any], bits: int) -> NDArray[Any]:
    step = (values.max() - values.min()) / (2**bits - 1)
    return (np.round((values - values.min()) / step) * step + values.min()).astype(np.float32)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (KERNEL.astype(np.float16).astype(np.float32), "rounded to float16"),
        (in_bits(KERNEL, 8), "have 8 bits"),
        (in_bits(KERNEL, 16), "have 16 bits"),
        (KERNEL[:, :, ::-1], "input channels in reverse order"),
        (KERNEL[::-1, ::-1], "turned by 180 degrees"),
        (np.swapaxes(KERNEL, 0, 1), "height and width swapped"),
        (KERNEL + 1, "other weights: kernel differ by up to 1"),
    ],
)
def test_a_changed_kernel_is_described(other: NDArray[Any], said: str) -> None:
    assert said in describe_weights("Conv2D", [KERNEL], [other])


def test_moved_statistics_are_described() -> None:
    gamma, beta, mean, variance = VECTORS
    said = describe_weights("BatchNormalization", VECTORS, [gamma, beta, mean + 7, variance + 7])
    assert said.startswith("batch normalization statistics: moving mean and moving variance")


def test_weights_in_another_order_are_described() -> None:
    gamma, beta, mean, variance = VECTORS
    said = describe_weights("BatchNormalization", VECTORS, [beta, gamma, mean, variance])
    assert "gamma as beta" in said
