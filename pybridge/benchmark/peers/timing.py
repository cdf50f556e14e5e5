"""What peers time in the same way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pybridge.benchmark.peers.answering import Repetition
from pybridge.benchmark.peers.workload import Workload

_CROSSINGS: Final = 9


def timed(work: Callable[[], float]) -> Repetition:
    """One call of a work that gives what shows that it was done."""

    def run() -> dict[str, float]:
        begun = time.perf_counter()
        check = work()
        return {"seconds": time.perf_counter() - begun, "check": check}

    return run


def crossing(work: Callable[[], float]) -> Repetition:
    """An array that crosses some times, with the median as the cost of once.

    Memory that was never touched is slow to get, whoever asks for it; a few of the times a virtual machine must get it from its
    host.
    """
    for _ in range(3):
        work()

    def run() -> dict[str, float]:
        times, check = [], 0.0
        for _ in range(_CROSSINGS):
            begun = time.perf_counter()
            check = work()
            times.append(time.perf_counter() - begun)
        return {"seconds": float(np.median(times)), "check": check}

    return run


def calls(count: int, call: Callable[[int], int]) -> Repetition:
    """Many calls, with the median as the cost of each: a few are held up by the machine."""
    for number in range(200):
        call(number)

    def run() -> dict[str, float]:
        times, total = [], 0
        for number in range(count):
            begun = time.perf_counter()
            total += call(number)
            times.append(time.perf_counter() - begun)
        return {"seconds": float(np.median(times)) * count, "check": float(total), "p99": float(np.percentile(times, 99))}

    return run


def one_by_one(
    workload: Workload, count: int, predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
) -> Callable[[], float]:
    """Predictions of one image at a time; gives the mean of the highest probabilities."""
    pixels = workload.pixels(min(count, 32))
    predict(pixels[:1])

    def work() -> float:
        return float(np.mean([predict(pixels[i % len(pixels)][None]).max() for i in range(count)]))

    return work


def numbers(count: int) -> NDArray[np.float32]:
    """Numbers with as many digits as real ones: float32 of shape (count,)."""
    return np.random.default_rng(0).normal(size=count).astype(np.float32)
