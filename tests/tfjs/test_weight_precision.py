"""Weights stored in fewer bits, read by stock TF.js and by Python alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pybridge as pb
from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel

SCRIPT = Path(__file__).parents[1] / "support" / "saved_by_tfjs.js"
ENTRANCE = {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 2], "dtype": "float32"}}
TOPOLOGY = {"class_name": "Sequential", "config": {"name": "nothing", "layers": [ENTRANCE]}}


def model() -> LayersModel:
    random = np.random.default_rng(0)
    kernel = random.normal(size=(7, 5)).astype(np.float32)
    kernel[2] = 0
    weights = {
        "a/kernel": kernel,
        "a/bias": random.normal(size=5).astype(np.float32),
        "a/constant": np.full((2, 2), 3.25, np.float32),
        "a/empty": np.zeros((0, 2), np.float32),
        "a/count": np.array([[1, -2]], np.int32),
        "a/words": np.array([b"one", "zwei \u00e4".encode()], object),
    }
    return LayersModel(TOPOLOGY, weights)


# Half a step of float16 in [2, 4) is 2**-10; of the others the range (less than 6) by twice the number of steps.
@pytest.mark.parametrize(("precision", "error"), [("float32", 0.0), ("float16", 2**-10), ("uint16", 5e-5), ("uint8", 0.0125)])
def test_tfjs_reads_what_python_reads(precision: str, error: float, node: pb.Node, tmp_path: Path) -> None:
    original = model()
    original.write(tmp_path, precision=precision)
    read = LayersModel.read(tmp_path)
    seen = dict(zip(original.weights, node.call(SCRIPT, "readWeights", str(tmp_path)), strict=True))
    for name, value in original.weights.items():
        assert read.weights[name].dtype == value.dtype
        if name == "a/words":
            assert [*seen[name]] == ["one", "zwei \u00e4"]
            assert [*read.weights[name]] == [*value]
            continue
        np.testing.assert_array_equal(seen[name], read.weights[name])
        assert np.max(np.abs(read.weights[name] - value), initial=0) <= error
    assert np.all(read.weights["a/kernel"][2] == 0)


def test_fewer_bits_make_smaller_files(tmp_path: Path) -> None:
    large = LayersModel(TOPOLOGY, {"a/kernel": np.random.default_rng(0).normal(size=(100, 100)).astype(np.float32)})
    sizes = {}
    for precision in ("float32", "float16", "uint16", "uint8"):
        large.write(tmp_path / precision, precision=precision)
        sizes[precision] = sum(file.stat().st_size for file in (tmp_path / precision).glob("*.bin"))
    assert sizes == {"float32": 40_000, "float16": 20_000, "uint16": 20_000, "uint8": 10_000}


@pytest.mark.parametrize(("value", "precision"), [(1e6, "float16"), (np.nan, "uint8"), (1.0, "int4")])
def test_what_does_not_fit_is_refused_and_leaves_nothing(value: float, precision: str, tmp_path: Path) -> None:
    broken = LayersModel(TOPOLOGY, {"a/kernel": np.full((2, 2), value, np.float32)})
    with pytest.raises(ModelFormatError):
        broken.write(tmp_path / "model", precision=precision)
    assert not (tmp_path / "model").exists()
