"""How much of a job's time is TensorFlow's own."""

from __future__ import annotations

import time
from typing import Any

import pybridge as pb


def test_the_clock_counts_calls_of_programs_and_the_time_within_them(
    node: pb.Node, trained: pb.ImageClassifier, pixels: Any
) -> None:
    before = node.runner.call("program.clock", {})
    begun = time.perf_counter()
    trained.predict(pixels[0])
    wall = 1e3 * (time.perf_counter() - begun)
    after = node.runner.call("program.clock", {})
    # Preprocessing, the base, and the head.
    assert after["calls"] - before["calls"] == 3
    assert 0 < after["computeMilliseconds"] - before["computeMilliseconds"] < wall


def test_the_clock_stands_while_nothing_is_computed(node: pb.Node) -> None:
    assert node.runner.call("program.clock", {}) == node.runner.call("program.clock", {})
