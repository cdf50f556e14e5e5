"""Gives every peer its turn: one repetition of each, again and again, never two at once."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pybridge.benchmark.catalogue import PEER, Peer, Work
from pybridge.benchmark.process import PeerFailedError, PeerProcess
from pybridge.benchmark.sizes import Plan, Sizes
from pybridge.progress import Progress
from pybridge.runtime import Runtime, cache_dir
from pybridge.runtime.bundle import find_bundle
from pybridge.runtime.commands import python_module
from pybridge.runtime.free_memory import free_memory

_MEMORY_SHARE = 0.85


@dataclass
class Measured:
    """What one peer needed for one work.

    Attributes:
        plan: What it did in each repetition.
        costs: Seconds for one unit, for each repetition.
        checks: What it reported of its result, for each repetition.
        shares: The bridge's own share of the time, where it is known.
        memory: The most that its processes held in any repetition, in bytes, by the programs' names.
        versions: Of what it used.
        failure: Why it has no or fewer figures.
    """

    plan: Plan
    costs: list[float] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    failure: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Limits:
    """What a peer may take for one answer.

    Attributes:
        seconds: Time.
        memory: Bytes; None for any number.
    """

    seconds: float = 600.0
    memory: int | None = None

    @classmethod
    def of_this_machine(cls, seconds: float) -> Limits:
        """Most of the memory that is free."""
        free = free_memory()
        return cls(seconds, None if free is None else int(free * _MEMORY_SHARE))


def run_work(
    work: Work,
    peers: Sequence[Peer],
    sizes: Sizes,
    folder: Path,
    runtime: Runtime,
    limits: Limits,
    *,
    say: Callable[[str], None],
    bar: Progress,
) -> dict[str, Measured]:
    """Measures one work by all peers that can do it.

    A peer that fails is left out from then on, with the reason.

    Args:
        work: What.
        peers: Who; those that cannot do it are passed over.
        sizes: How much.
        folder: The workload.
        runtime: The Node.js side.
        limits: Of time and memory.
        say: Told who works.
        bar: Counts repetitions.

    Returns:
        The figures by the peers' names, in the order of ``work.peers``.
    """
    chosen = [PEER[name] for name in work.peers if any(peer.name == name for peer in peers)]
    results = {peer.name: Measured(sizes.plan(work.name, peer.name)) for peer in chosen}
    with ExitStack() as processes:
        running: dict[str, PeerProcess] = {}

        def start(peer: Peer, stack: ExitStack) -> PeerProcess:
            order = {"folder": str(folder), "work": work.name, "plan": _plan(results[peer.name].plan, peer)}
            process = PeerProcess(*_command(peer, folder, runtime, stack), seconds=limits.seconds, memory=limits.memory)
            stack.callback(process.close)
            results[peer.name].versions = process.ask(order)["versions"]
            return process

        def repeat(peer: Peer) -> None:
            if work.fresh:
                with ExitStack() as once:
                    begun = time.perf_counter()
                    process = start(peer, once)
                    answer = process.ask({"run": True})
                    _note(results[peer.name], {**answer, "seconds": time.perf_counter() - begun}, process)
                return
            if peer.name not in running:
                running[peer.name] = start(peer, processes)
                if results[peer.name].costs:
                    # What its ended process had behind it: memory that was never touched is slow.
                    running[peer.name].ask({"run": True})
            process = running[peer.name]
            _note(results[peer.name], process.ask({"run": True}), process)
            leave_room(running, peer.name, limits)

        for round_ in range(sizes.repeat):
            for peer in chosen:
                if results[peer.name].failure is not None:
                    continue
                say(f"{work.name}: {peer.title}, {round_ + 1} of {sizes.repeat}")
                try:
                    repeat(peer)
                except PeerFailedError as error:
                    results[peer.name].failure = error.message
                    if peer.name in running:
                        running.pop(peer.name).close()
                bar.update()
    return results


def leave_room(running: dict[str, PeerProcess], name: str, limits: Limits) -> None:
    """Ends a peer after its repetition where all that wait for their turns hold much together: the next would lack memory.

    It starts anew before its next repetition, and does one that is not measured.

    Args:
        running: The peers' processes; one is taken out.
        name: The peer whose turn is over.
        limits: Half of their memory is for those that wait.
    """
    held = sum(process.memory_now() for process in running.values())
    if limits.memory is not None and held > limits.memory / 2:
        running.pop(name).close()


def _note(measured: Measured, answer: Mapping[str, Any], process: PeerProcess) -> None:
    measured.costs.append(float(answer["seconds"]) / measured.plan.units)
    measured.checks.append(float(answer["check"]))
    if "computing" in answer:
        measured.shares.append(1 - float(answer["computing"]) / float(answer["seconds"]))
    measured.memory = max(measured.memory, process.peak_memory(), key=lambda held: sum(held.values()))


def _plan(plan: Plan, peer: Peer) -> dict[str, Any]:
    return {"images": plan.images, "epochs": plan.epochs, "cached": peer.name == "keras-cached"}


def _command(peer: Peer, folder: Path, runtime: Runtime, stack: ExitStack) -> tuple[list[str], dict[str, str]]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"), "PYBRIDGE_PROGRESS": "0"}
    scripts = find_bundle().node_runner / "benchmark"
    javascript = peer.program.endswith(".js")
    if javascript or peer.name == "json":
        environment.update(runtime.environment())
        environment.update(BENCH_NODE=str(runtime.node), BENCH_SCRIPT=str(scripts / "json_lines.js"))
    if peer.name == "pybridge-cold":
        environment["PYBRIDGE_CACHE"] = stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix="cold-"))
        _copy_runtime(Path(environment["PYBRIDGE_CACHE"]))
    # pybridge decides for its own child; the others run as their users have them, or with oneDNN where that is what is measured.
    if not peer.name.startswith("pybridge"):
        environment.pop("TF_ENABLE_ONEDNN_OPTS", None)
    if peer.onednn is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = str(int(peer.onednn))
    if javascript:
        return [str(runtime.node), str(scripts / peer.program)], environment
    return python_module(f"pybridge.benchmark.peers.{peer.program}"), environment


def _copy_runtime(cache: Path) -> None:
    """A cache in which the Node.js side is installed, but nothing was traced yet."""
    if (cache_dir() / "runtime").is_dir():
        (cache / "runtime").symlink_to(cache_dir() / "runtime", target_is_directory=True)
    models = cache_dir() / "models"
    if models.is_dir():
        shutil.copytree(models, cache / "models", symlinks=True, copy_function=os.link)
