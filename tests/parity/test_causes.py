"""What the other side did in another way, although it is called the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pybridge.parity.arrays import save_list
from pybridge.parity.bench import Bench

IMAGE = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
POOL = {"pool_size": [3, 3], "strides": [2, 2], "padding": "same", "data_format": "channels_last"}
STATISTICS = [np.full(3, value, np.float32) for value in (1.5, 0.5, 0.1, 2.0)]


def pooled_with_equal_padding() -> NDArray[Any]:
    padded = np.pad(IMAGE, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2]
    return windows.max(axis=(-2, -1))


def normalized(mean: Any, variance: Any, epsilon: float) -> NDArray[Any]:
    return (IMAGE - mean) / np.sqrt(variance + epsilon) * 1.5 + 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("class_name", "config", "weights", "found", "cause"),
    [
        ("MaxPooling2D", POOL, [], pooled_with_equal_padding(), "pads equally before and after"),
        ("Flatten", {}, [], np.moveaxis(IMAGE, -1, 1).reshape(2, -1), "channels first"),
        ("Activation", {"activation": "relu"}, [], np.tanh(IMAGE), "behaves as with 'tanh'"),
        ("ReLU", {"max_value": 1.0}, [], np.maximum(IMAGE, 0), "seems to ignore max_value=1.0"),
        ("BatchNormalization", {"epsilon": 0.001}, STATISTICS, normalized(0.1, 2.0, 0.01), "behaves as with 0.01"),
        (
            "BatchNormalization",
            {"epsilon": 0.001},
            STATISTICS,
            normalized(IMAGE.mean((0, 1, 2)), IMAGE.var((0, 1, 2)), 0.001),
            "statistics of the batch",
        ),
        ("UpSampling2D", {"size": [2, 2], "interpolation": "bilinear"}, [], IMAGE.repeat(2, 1).repeat(2, 2), "'nearest'"),
        ("Activation", {"activation": "relu"}, [], np.maximum(IMAGE[..., ::-1], 0), "RGB and BGR"),
        ("Activation", {"activation": "relu"}, [], np.cos(IMAGE), None),
    ],
    ids=["padding", "layout", "activation", "ignored", "epsilon", "training", "resize", "channels", "unknown"],
)
def test_the_way_is_named(
    bench: Bench, class_name: str, config: dict[str, Any], weights: Any, found: NDArray[Any], cause: str | None
) -> None:
    folder = bench.folder()
    save_list(folder / "weights.npz", weights)
    save_list(folder / "inputs.npz", [IMAGE])
    save_list(folder / "found.npz", [found.astype(np.float32)])
    named = {"name": "layer", **config}
    arguments = {"class_name": class_name, "config": named, "other_config": named, "tolerance": 1e-4}
    causes = bench.job("explain", folder, arguments)["causes"]
    if cause is None:
        assert causes == []
    else:
        assert cause in causes[0]
