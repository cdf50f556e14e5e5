"""Measures the pipe: ``python tests/benchmarks/bench_pipe.py [--json]``.

Every figure is printed with its goal, next to newline-delimited JSON over stdin and stdout, measured in the same run:
compare the two, since the machine of the day moves both.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from pybridge.errors import NodeCrashedError  # noqa: E402
from pybridge.node import NodePool  # noqa: E402
from pybridge.rpc.runner import Runner  # noqa: E402

CALLS = 5000
MEGABYTES = 100
REPEATS = 7
ASYNC_CALLS = 10_000
IN_FLIGHT = 200
THREADS = 8
CALLBACKS = 1000
WORK_ROUNDS = 30_000_000

USER_SCRIPT = """
const big = new Float32Array(BYTES / 4).fill(1);
exports.up = (array) => array.size;
exports.down = () => big;
exports.same = (value) => value;
exports.back = async (callback, count) => { for (let i = 0; i < count; i += 1) await callback(i); };
exports.work = (rounds) => { let x = 1; for (let i = 0; i < rounds; i += 1) x = (x * 16807) % 2147483647; return x; };
exports.spin = function () { this.progress(process.pid); for (;;); };
"""
BASELINE_SCRIPT = """
const big = Buffer.from(new Float32Array(BYTES / 4).fill(1).buffer).toString('base64');
require('node:readline').createInterface({input: process.stdin}).on('line', (line) => {
  const {id, method, params} = JSON.parse(line);
  let result = params;
  if (method === 'up') result = new Float32Array(Buffer.from(params, 'base64').buffer).length;
  if (method === 'down') result = big;
  process.stdout.write(JSON.stringify({jsonrpc: '2.0', id, result}) + '\\n');
});
"""


class PlainNode:
    """A Node.js without TensorFlow."""

    node = Path(shutil.which("node") or "node")
    main_js = REPOSITORY / "node_runner" / "main.js"

    def environment(self) -> dict[str, str]:
        """Nothing more is needed."""
        return {}


class Baseline:
    """What one writes first: a line of JSON for each call, arrays as base64."""

    def __init__(self, script: Path) -> None:
        self._child = subprocess.Popen([PlainNode.node, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def call(self, method: str, params: Any) -> Any:
        """Send a line, wait for a line."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())
        self._child.stdin.write(b"\n")
        self._child.stdin.flush()
        return json.loads(self._child.stdout.readline())["result"]

    def close(self) -> None:
        """End it."""
        self._child.kill()
        self._child.communicate()


def seconds(work: Callable[[], object]) -> float:
    """Time one piece of work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def latency(call: Callable[[int], object]) -> tuple[float, float]:
    """Median and 99th percentile of small calls, in microseconds, after a warm-up."""
    for number in range(500):
        call(number)
    times = [seconds(lambda number=number: call(number)) * 1e6 for number in range(CALLS)]
    return float(np.percentile(times, 50)), float(np.percentile(times, 99))


def speed(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median GB/s at which ``work`` moves the megabytes, after a warm-up."""
    # A virtual machine gets memory that it never used before from its host, at a tenth of the speed measured here.
    for _ in range(repeats):
        work()
    return MEGABYTES * 2**20 / 1e9 / statistics.median(seconds(work) for _ in range(repeats))


def calls_per_second_of_threads(runner: Runner, parameters: dict[str, Any]) -> float:
    """Eight threads that call as fast as they can."""

    def work() -> None:
        for _ in range(ASYNC_CALLS // THREADS):
            runner.call("script.call", parameters)

    def together() -> None:
        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return ASYNC_CALLS / seconds(together)


def calls_per_second_of_tasks(runner: Runner, parameters: dict[str, Any]) -> float:
    """The same number of calls in one thread, two hundred of them in flight."""
    connection = runner.start().connection

    async def work(count: int) -> None:
        for _ in range(count):
            await connection.call_async("script.call", parameters)

    async def together() -> None:
        await asyncio.gather(*(work(ASYNC_CALLS // IN_FLIGHT) for _ in range(IN_FLIGHT)))

    return ASYNC_CALLS / seconds(lambda: asyncio.run(together()))


def callback_microseconds(runner: Runner, script: Path) -> float:
    """A round trip from JavaScript to a Python function."""
    parameters = {"path": str(script), "function": "back", "args": [lambda value: value, CALLBACKS]}
    return statistics.median(seconds(lambda: runner.call("script.call", parameters)) for _ in range(REPEATS)) / CALLBACKS * 1e6


def pool_factor(script: Path) -> float:
    """How many times as fast two processes do a job for the processor as one."""

    def job(workers: int) -> float:
        with NodePool(workers, runtime=PlainNode()) as pool:
            list(pool.map(script, "work", [1] * 8))
            return seconds(lambda: list(pool.map(script, "work", [WORK_ROUNDS] * 16)))

    return statistics.median(job(1) / job(2) for _ in range(3))


def ready_milliseconds() -> float:
    """From nothing to a process that answers."""

    def start() -> None:
        with Runner(PlainNode()) as runner:
            times.append(time.perf_counter() - begun)
            assert runner.alive

    times: list[float] = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        start()
    return statistics.median(times) * 1e3


def crash_milliseconds(script: Path) -> float:
    """From SIGKILL to the exception in a waiting call."""
    times = []
    for _ in range(REPEATS):
        with Runner(PlainNode()) as runner:
            moments: list[float] = []

            def kill(pid: int, moments: list[float] = moments) -> None:
                moments.append(time.perf_counter())
                os.kill(pid, signal.SIGKILL)

            try:
                runner.call("script.call", {"path": str(script), "function": "spin"}, on_progress=kill)
            except NodeCrashedError:
                times.append(time.perf_counter() - moments[0])
    return statistics.median(times) * 1e3


def orphan_milliseconds(script: Path) -> float:
    """From the death of Python by SIGKILL to the end of a Node.js that computes without pause."""
    program = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from bench_pipe import PlainNode, Runner
        report = lambda pid: print(pid, flush=True)
        Runner(PlainNode()).call(
            "script.call", {{"path": {str(script)!r}, "function": "spin"}}, on_progress=report)
    """)
    times = []
    for _ in range(REPEATS):
        python = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert python.stdout is not None
        node = int(python.stdout.readline())
        begun = time.perf_counter()
        python.kill()
        while is_running(node):
            time.sleep(0.0005)
        times.append(time.perf_counter() - begun)
        python.communicate()
    return statistics.median(times) * 1e3


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        os.kill(pid, 0)
        return sys.platform != "linux" or " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def measure() -> dict[str, Any]:
    """All figures."""
    array = np.ones(MEGABYTES * 2**20 // 4, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        script, baseline_script = Path(folder, "user.js"), Path(folder, "baseline.js")
        script.write_text(USER_SCRIPT.replace("BYTES", str(array.nbytes)))
        baseline_script.write_text(BASELINE_SCRIPT.replace("BYTES", str(array.nbytes)))
        with Runner(PlainNode()) as runner:

            def script_call(function: str, *args: Any) -> Any:
                return runner.call("script.call", {"path": str(script), "function": function, "args": list(args)})

            p50, p99 = latency(lambda number: runner.call("echo", {"value": number}))
            up, down = speed(lambda: runner.call("echo.size", {"value": array})), speed(lambda: script_call("down"))
            up_to_script = speed(lambda: script_call("up", array))
            node_version = runner.start().node_version
            parameters = {"path": str(script), "function": "same", "args": [1]}
            by_threads, by_tasks = calls_per_second_of_threads(runner, parameters), calls_per_second_of_tasks(runner, parameters)
            callback = callback_microseconds(runner, script)
        baseline = Baseline(baseline_script)
        base50, base99 = latency(lambda number: baseline.call("echo", number))
        base_up = speed(lambda: baseline.call("up", base64.b64encode(array).decode()), 2)
        base_down = speed(lambda: np.frombuffer(base64.b64decode(baseline.call("down", None)), np.float32), 2)
        baseline.close()
        return {
            "call_p50_us": {"pybridge": p50, "baseline": base50, "goal": "< 100"},
            "call_p99_us": {"pybridge": p99, "baseline": base99, "goal": "< 1500"},
            "up_gb_per_s": {"pybridge": up, "baseline": base_up, "goal": ">= 2.5"},
            "up_to_script_gb_per_s": {"pybridge": up_to_script, "baseline": base_up, "goal": ">= 1"},
            "down_gb_per_s": {"pybridge": down, "baseline": base_down, "goal": ">= 2.5"},
            "async_to_8_threads": {"pybridge": by_tasks / by_threads, "baseline": None, "goal": ">= 0.8"},
            "async_calls_per_s": {"pybridge": by_tasks, "baseline": None, "goal": ""},
            "callback_us": {"pybridge": callback, "baseline": None, "goal": "< 200"},
            "pool_of_2_factor": {"pybridge": pool_factor(script), "baseline": None, "goal": ">= 1.8"},
            "ready_ms": {"pybridge": ready_milliseconds(), "baseline": None, "goal": "< 250"},
            "crash_to_exception_ms": {"pybridge": crash_milliseconds(script), "baseline": None, "goal": "< 50"},
            "orphan_gone_ms": {"pybridge": orphan_milliseconds(script), "baseline": None, "goal": "< 100"},
            "machine": {
                "cores": os.cpu_count(),
                "platform": platform.platform(),
                "python": platform.python_version(),
                "node": node_version,
                "numpy": np.__version__,
                "load": os.getloadavg()[0],
            },
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the pipe between Python and Node.js.")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    figures = measure()
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    machine = figures.pop("machine")
    print("  ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{'':24}{'pybridge':>12}{'JSON lines':>12}   goal")
    for name, row in figures.items():
        baseline = "" if row["baseline"] is None else f"{row['baseline']:.2f}"
        print(f"{name:24}{row['pybridge']:12.2f}{baseline:>12}   {row['goal']}")


if __name__ == "__main__":
    main()
