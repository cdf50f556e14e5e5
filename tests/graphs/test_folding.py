"""What follows a convolution by a constant is folded into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pybridge.graphs import TensorFlowProcess

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folded(tensorflow: TensorFlowProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return tensorflow.run(Path(tmp_path_factory.mktemp("folding")), "folding_job:fold", {})


def test_results_stay_the_same_but_for_rounding(folded: dict[str, Any]) -> None:
    assert {name: result["difference"] for name, result in folded.items() if result["difference"] > 2e-6} == {}


@pytest.mark.parametrize(
    ("graph", "left"),
    [
        ("convolution", ["BiasAdd", "Conv2D", "Placeholder", "Relu"]),
        ("bias before normalization", ["BiasAdd", "Conv2D", "Placeholder"]),
        ("depthwise with a multiplier", ["BiasAdd", "DepthwiseConv2dNative", "Placeholder"]),
        ("dense", ["BiasAdd", "MatMul", "Placeholder", "Reshape"]),
        ("without scale and centre", ["BiasAdd", "Conv2D", "Placeholder"]),
        ("residual sum", ["AddV2", "BiasAdd", "Conv2D", "Placeholder"]),
    ],
)
def test_normalization_and_bias_become_one_bias_behind_the_folded_kernel(
    folded: dict[str, Any], graph: str, left: list[str]
) -> None:
    kinds = [kind for kind in folded[graph]["after"] if kind not in ("Identity", "Shape", "StridedSlice", "Pack", "Prod")]
    assert kinds == left


@pytest.mark.parametrize("graph", ["normalization first", "a constant picture", "transposed"])
def test_what_cannot_be_folded_is_left_alone(folded: dict[str, Any], graph: str) -> None:
    assert folded[graph]["after"] == folded[graph]["before"]


def test_a_result_that_is_used_elsewhere_too_is_kept(folded: dict[str, Any]) -> None:
    kinds = folded["used twice"]["after"]
    assert (kinds.count("Conv2D"), kinds.count("Mul"), "ConcatV2" in kinds) == (1, 1, True)
