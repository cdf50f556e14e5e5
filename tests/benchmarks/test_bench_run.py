"""A run of `pybridge bench` from end to end, on a model so small that all of its time is overhead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny

from pybridge.benchmark import bench
from pybridge.benchmark.sizes import QUICK
from pybridge.benchmark.table import markdown

# Each peer of each work is a process that imports TensorFlow.
pytestmark = [pytest.mark.timeout(900), pytest.mark.exhaustive]

SIZES = replace(
    QUICK,
    repeat=1,
    features=16,
    head_rows=64,
    head_epochs=2,
    partial=16,
    partial_epochs=2,
    full=16,
    latency=4,
    throughput=8,
    calls=20,
)
SIZES = replace(
    SIZES, array_bytes=1_000_000, json_bytes=20_000, slow_share=1.0, slow_images=16, slow_epochs=2, slow_partial_epochs=2
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    base = tmp_path_factory.mktemp("base")
    tiny.convolution(size=32).write(base)
    works = ["features", "head", "partial", "full", "call"]
    return bench(works, ["pybridge", "keras-onednn", "tfjs", "json"], sizes=SIZES, base=str(base / "model.json"))


@pytest.mark.slow
def test_everybody_does_every_work(results: dict[str, Any]) -> None:
    failures = {
        (work, peer): measured["failure"]
        for work, each in results["works"].items()
        for peer, measured in each["peers"].items()
        if measured["failure"] or not measured["median"] > 0
    }
    assert not failures
    assert [len(each["peers"]) for each in results["works"].values()] == [3, 3, 3, 3, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "peer", "tolerance"),
    [
        ("features", "keras-onednn", 1e-3),
        ("head", "keras-onednn", 0.01),
        ("head", "tfjs", 0.01),
        # Stock TensorFlow.js moves the statistics of batch normalization here, so that its loss is another.
        ("partial", "keras-onednn", 1e-3),
        ("full", "keras-onednn", 1e-3),
    ],
)
def test_everybody_does_the_same_work(results: dict[str, Any], work: str, peer: str, tolerance: float) -> None:
    peers = results["works"][work]["peers"]
    ours = peers["pybridge"]["checks"][0]
    assert ours > 0
    assert peers[peer]["checks"][0] == pytest.approx(ours, rel=tolerance)


@pytest.mark.slow
def test_memory_of_both_processes_is_known(results: dict[str, Any]) -> None:
    held = results["works"]["full"]["peers"]["pybridge"]["memory"]
    assert len(held) == 2
    assert min(held.values()) > 20_000_000


@pytest.mark.slow
def test_the_results_make_a_page(results: dict[str, Any], tmp_path: Path) -> None:
    page = markdown(results)
    assert "failed" not in page
    assert "Fine-tuning all of the network" in page
