"""What one writes first: Node.js as a child process, a line of JSON for each call, arrays as lists."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.benchmark.peers.answering import Repetition, serve
from pybridge.benchmark.peers.timing import calls, crossing, numbers, one_by_one, timed
from pybridge.benchmark.peers.workload import Workload


def main() -> None:
    """Answers the driver."""
    works = {"latency": _latency, "throughput": _throughput, "upload": _upload, "download": _download, "call": _call}
    serve(works, lambda: {"python": platform.python_version(), "numpy": np.__version__})


class JsonBridge:
    """A Node.js process that answers lines."""

    def __init__(self) -> None:
        # The driver, which knows the Node.js that pybridge uses, says which one.
        command = [os.environ["BENCH_NODE"], os.environ["BENCH_SCRIPT"]]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def call(self, method: str, value: Any) -> Any:
        """Sends a line, waits for a line."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps({"method": method, "value": value}) + "\n")
        self._child.stdin.flush()
        answer = json.loads(self._child.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]


def _model(workload: Workload) -> JsonBridge:
    bridge = JsonBridge()
    bridge.call("load", str(workload.folder / "run" / "model" / "model.json"))
    return bridge


def _predict(bridge: JsonBridge, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.array(bridge.call("predict", x.tolist()), np.float32)


def _latency(workload: Workload, plan: dict[str, Any]) -> Repetition:
    bridge = _model(workload)
    return timed(one_by_one(workload, plan["images"], lambda pixels: _predict(bridge, workload.scaled(pixels))))


def _throughput(workload: Workload, plan: dict[str, Any]) -> Repetition:
    bridge, pixels = _model(workload), workload.pixels(plan["images"])

    def work() -> float:
        starts = range(0, len(pixels), workload.batch)
        parts = [_predict(bridge, workload.scaled(pixels[start : start + workload.batch])).max(axis=1) for start in starts]
        return float(np.concatenate(parts).mean())

    _predict(bridge, workload.scaled(pixels[:1]))
    return timed(work)


def _upload(_workload: Workload, plan: dict[str, Any]) -> Repetition:
    bridge, array = JsonBridge(), numbers(plan["images"])
    return crossing(lambda: float(bridge.call("size", array.tolist())))


def _download(_workload: Workload, plan: dict[str, Any]) -> Repetition:
    bridge = JsonBridge()
    bridge.call("make", plan["images"])
    return crossing(lambda: float(np.array(bridge.call("give", None), np.float32).size))


def _call(_workload: Workload, plan: dict[str, Any]) -> Repetition:
    bridge = JsonBridge()
    return calls(plan["images"], lambda number: int(bridge.call("same", number)))


if __name__ == "__main__":
    main()
