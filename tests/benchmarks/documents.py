"""Results of a benchmark that were not measured, for tests of what is made of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pybridge.benchmark.catalogue import WORK
from pybridge.benchmark.driver import Measured
from pybridge.benchmark.sizes import QUICK
from pybridge.benchmark.suite import FORMAT
from pybridge.benchmark.summary import summarize


def measured(work: str, peer: str, *costs: float, **more: Any) -> Measured:
    return Measured(QUICK.plan(work, peer), list(costs), [0.5] * len(costs), **more)


def document(**works: dict[str, Measured]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "date": "2026-01-31",
        "machine": {"processor": "A processor", "cores": 2, "system": "Linux x86_64", "memory_gb": 8.0, "load": 0.1},
        "sizes": asdict(QUICK),
        "model": {"base": "efficientnet_lite0", "layers": 100, "parameters": 3_400_000},
        "pictures": "crops of scikit-learn's photos",
        "works": {name: summarize(WORK[name], each) for name, each in works.items()},
    }


def full(ours: float, keras: float, stock: float, **memory: int) -> dict[str, Measured]:
    costs = {"pybridge": ours, "keras-onednn": keras, "tfjs": stock}
    return {
        peer: measured("full", peer, cost, cost * 1.1, cost * 0.9, memory={"1 x": memory.get(peer.replace("-", "_"), 10**9)})
        for peer, cost in costs.items()
    }
