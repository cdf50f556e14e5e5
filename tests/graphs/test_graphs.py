"""What traced graphs compute in another form than Keras, so that it takes less time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pybridge.graphs import TensorFlowProcess

pytestmark = pytest.mark.slow


def _job(tensorflow: TensorFlowProcess, folder: Path, name: str) -> Any:
    return tensorflow.run(folder, f"graphs_job:{name}", {})


def test_depthwise_layers_compute_what_keras_computes(tensorflow: TensorFlowProcess, tmp_path: Path) -> None:
    differences = _job(tensorflow, tmp_path, "gradients")

    assert len(differences) == 83
    assert {name: difference for name, difference in differences.items() if difference > 3e-6} == {}


def test_large_depthwise_filters_and_biases_of_large_images_have_gradients_of_their_own(
    tensorflow: TensorFlowProcess, tmp_path: Path
) -> None:
    assert _job(tensorflow, tmp_path, "kernels") == {
        "3": ["DepthwiseConv2dNativeBackpropFilter SAME"],
        "5": ["DepthwiseConv2dNativeBackpropFilter EXPLICIT"],
        "bias at 14x14": ["BiasAddGrad"],
        "bias at 28x28": ["MatMul"],
    }


def test_running_on_portions_gives_the_bits_of_each_portion(tensorflow: TensorFlowProcess, tmp_path: Path) -> None:
    assert set(_job(tensorflow, tmp_path, "portions").items()) == {(str(n), True) for n in (0, 1, 7, 8, 9, 16, 20)}


def test_portions_are_for_networks_that_look_at_each_image_alone(tensorflow: TensorFlowProcess, tmp_path: Path) -> None:
    gains = _job(tensorflow, tmp_path, "gains")

    assert sorted(name for name, gain in gains.items() if gain) == ["convolutions", "nested", "softmax over the channels"]
