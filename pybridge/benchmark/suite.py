"""A whole run: the workload, all works by all peers, and the document of what was measured."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pybridge.benchmark.catalogue import PEER, PEERS, WORK, WORKS
from pybridge.benchmark.driver import Limits, Measured, run_work
from pybridge.benchmark.machine import describe_machine
from pybridge.benchmark.preparation import make_workload
from pybridge.benchmark.sizes import STANDARD, Sizes
from pybridge.benchmark.summary import summarize
from pybridge.errors import DataError
from pybridge.progress import progress
from pybridge.runtime import ensure

FORMAT = 1


def bench(
    works: Sequence[str] | None = None,
    peers: Sequence[str] | None = None,
    *,
    sizes: Sizes = STANDARD,
    repeat: int | None = None,
    base: str = "efficientnet_lite0",
    images: str | Path | None = None,
    seconds: float = 600.0,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measures pybridge beside the others, in interleaved repetitions.

    Each work starts one process for each peer, which gets ready and warms up; then each in turn does one repetition, until all
    are done. A peer that fails, or takes too much time or memory, is reported as such.

    Args:
        works: Names of `WORKS`; all by default.
        peers: Names of `PEERS`; by default all but those that have to be asked for. pybridge always takes part.
        sizes: How much is measured.
        repeat: Repetitions; those of ``sizes`` by default.
        base: The base model, as `ImageClassifier` takes it.
        images: A folder with one folder of JPEG files for each class; crops of scikit-learn's photos by default.
        seconds: How long a peer may take for one repetition.
        say: Told what is being done.

    Returns:
        A document of plain JSON values; see `summary` for what can be made of it.

    Raises:
        DataError: There is no such work or peer, or the pictures cannot be used.

    Example:
        >>> bench(["call"], sizes=QUICK)["works"]["call"]["peers"]["pybridge"]["median"]
        6.1e-05
    """
    chosen_works = _choose(works, WORK, [work.name for work in WORKS], "work")
    chosen_peers = _choose(peers, PEER, [peer.name for peer in PEERS if peer.by_default], "peer")
    if not any(peer.name == "pybridge" for peer in chosen_peers):
        chosen_peers.insert(0, PEER["pybridge"])
    if repeat is not None:
        if repeat < 1:
            raise DataError(f"repeat must be at least 1, but is {repeat}")
        sizes = replace(sizes, repeat=repeat)
    runtime = ensure(report=say)
    turns = sum(sizes.repeat for work in chosen_works for peer in chosen_peers if peer.name in work.peers)
    measured: dict[str, dict[str, Measured]] = {}
    with tempfile.TemporaryDirectory(prefix="pybridge-bench-") as scratch, progress(turns, "Benchmark", "turn") as bar:

        def tell(text: str) -> None:
            bar.set_description(text)
            say(text)

        folder = Path(scratch)
        workload = make_workload(folder, sizes, base=base, images=None if images is None else Path(images).expanduser(), say=tell)
        limits = Limits.of_this_machine(seconds)
        for work in chosen_works:
            measured[work.name] = run_work(work, chosen_peers, sizes, folder, runtime, limits, say=tell, bar=bar)
    return {
        "format": FORMAT,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "machine": describe_machine(),
        "sizes": workload["sizes"],
        "model": workload["model"],
        "pictures": "crops of scikit-learn's photos" if images is None else "a folder of the user's",
        "works": {name: summarize(WORK[name], each) for name, each in measured.items()},
    }


def _choose(names: Sequence[str] | None, known: dict[str, Any], default: list[str], kind: str) -> list[Any]:
    for name in names or ():
        if name not in known:
            raise DataError(f"There is no {kind} {name!r}", hint=f"Known are: {', '.join(known)}.")
    wanted = list(names or default)
    return [value for name, value in known.items() if name in wanted]
