"""Measures the server under load: ``python tests/benchmarks/bench_serve.py [--seconds 30] [--out FOLDER]``.

The same model answers behind ``pybridge serve`` and behind a plain Express handler that decodes and predicts one picture after
the other with stock TensorFlow.js layers. autocannon asks with 1, 8, 64 and 256 connections, each server in turn, so that all of
them meet the same machine of the day: compare figures of one run only. The model is an EfficientNet-Lite0 with a head for
TrashNet, trained for the occasion unless a run is given.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pictures import DATA, REPOSITORY

import pybridge as pb
from pybridge.runtime import Runtime, ensure

HERE = Path(__file__).parent
CONNECTIONS = (1, 8, 64, 256)
TARGET_CONNECTIONS = 64
TARGET_RATIO = 2.5
TIGHT_QUEUE = 64
PHOTOS = 60


def photos(count: int) -> list[Path]:
    """Photos of all classes of TrashNet, evenly."""
    classes = [sorted(folder.glob("*.jpg")) for folder in sorted((DATA / "trashnet").iterdir())]
    return [files[number] for number in range(count // len(classes)) for files in classes]


def train(folder: Path) -> Path:
    """A head on a few photos of each class: what it says does not matter here, how fast does."""
    for photo in photos(2 * PHOTOS):
        place = folder / "photos" / photo.parent.name / photo.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(photo)
    classifier = pb.ImageClassifier("efficientnet_lite0", epochs=3, seed=0)
    classifier.fit(folder / "photos")
    classifier.save(folder / "run")
    return folder / "run"


@contextlib.contextmanager
def express(package: Path, runtime: Runtime, *, onednn: bool) -> Iterator[str]:
    """The peer; gives its address."""
    tensorflow = REPOSITORY / "node_runner" / "tensorflow"
    environment = {**os.environ, **runtime.environment(), "TF_ENABLE_ONEDNN_OPTS": "1" if onednn else "0"}
    command = [str(runtime.node), str(HERE / "express_peer.js"), str(package), str(tensorflow)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def load(url: str, connections: int, seconds: float, runtime: Runtime, files: list[Path]) -> dict[str, Any]:
    """One measurement."""
    given = {
        "url": url,
        "path": "/classify",
        "connections": connections,
        "seconds": seconds,
        "pictures": [str(file) for file in files],
    }
    command = [str(runtime.node), str(HERE / "serve_load.js")]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True, timeout=seconds + 300)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def measure(package: Path, options: argparse.Namespace) -> dict[str, dict[int, list[dict[str, Any]]]]:
    """All servers, one after the other at each number of connections, as often as asked."""
    runtime, files = ensure(), photos(PHOTOS)
    with contextlib.ExitStack() as stack:
        servers = {}
        for workers in options.workers:
            name = f"pybridge serve, {workers} worker" + ("s" if workers > 1 else "")
            servers[name] = stack.enter_context(pb.serve(package, workers=workers, log_level="error")).url
        tight = stack.enter_context(pb.serve(package, limits={"max_queue": TIGHT_QUEUE}, log_level="error")).url
        servers[f"pybridge serve, queue of {TIGHT_QUEUE}"] = tight
        servers["Express, tfjs layers"] = stack.enter_context(express(package, runtime, onednn=False))
        servers["Express, tfjs layers, oneDNN"] = stack.enter_context(express(package, runtime, onednn=True))
        found: dict[str, dict[int, list[dict[str, Any]]]] = {name: {} for name in servers}
        for url in servers.values():
            load(url, 4, min(options.seconds, 5), runtime, files)
        for _ in range(options.repeats):
            for connections in options.connections:
                for name, url in servers.items():
                    if url == tight and connections <= TIGHT_QUEUE:
                        continue
                    result = load(url, connections, options.seconds, runtime, files)
                    found[name].setdefault(connections, []).append(result)
                    print(
                        f"{connections:4d} connections  {name:34s}{result['perSecond']:7.1f}/s  p99 {result['p99']} ms",
                        flush=True,
                    )
    return found


def summarize(found: dict[str, dict[int, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """A row for each server and number of connections, with medians of the repetitions."""
    rows = []
    for name, by_connections in found.items():
        for connections, results in by_connections.items():
            figures = {key: _median([each[key] for each in results]) for key in ("perSecond", "p50", "p99")}
            failed = sum(each["errors"] + each["timeouts"] for each in results)
            statuses: dict[str, int] = {}
            for each in results:
                for status, count in each["statuses"].items():
                    statuses[status] = statuses.get(status, 0) + count
            rows.append({"server": name, "connections": connections, **figures, "errors": failed, "statuses": statuses})
    return rows


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def ratio(rows: list[dict[str, Any]], connections: int) -> float | None:
    """How many times the better peer's throughput the best of ours reaches."""
    here = [row for row in rows if row["connections"] == connections]
    ours = [row["perSecond"] for row in here if row["server"].startswith("pybridge") and "queue" not in row["server"]]
    peers = [row["perSecond"] for row in here if row["server"].startswith("Express")]
    return max(ours) / max(peers) if ours and peers and max(peers) > 0 else None


def markdown(document: dict[str, Any]) -> str:
    """The table for people."""
    lines = [
        "| connections | server | answers/s | p50 ms | p99 ms | refused (429, 503) | errors |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(document["rows"], key=lambda row: row["connections"]):
        refused = sum(row["statuses"].get(status, 0) for status in ("429", "503"))
        others = sum(count for status, count in row["statuses"].items() if status not in ("200", "429", "503"))
        p50, p99 = (f"{row[key]:.0f}" if row[key] is not None else "-" for key in ("p50", "p99"))
        cells = [row["connections"], row["server"], f"{row['perSecond']:.1f}", p50, p99, refused, row["errors"] + others]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    reached = document["ratio"]
    if reached is not None:
        words = "reached" if reached >= TARGET_RATIO else "missed"
        lines += ["", f"At {TARGET_CONNECTIONS} connections {reached:.2f} times the better peer; {TARGET_RATIO} is {words}."]
    machine = document["machine"]
    lines += ["", f"{machine['cores']} cores, {machine['processor']}, {document['seconds']:g} s each."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the server under load, beside a plain Express handler.")
    parser.add_argument("--run", type=Path, help="a run of an EfficientNet-Lite0; by default one is trained")
    parser.add_argument("--seconds", type=float, default=30, help="of each measurement (default 30)")
    parser.add_argument("--repeats", type=int, default=1, help="rounds, of which medians are taken (default 1)")
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of processes to compare (default 1 2)")
    parser.add_argument("--out", type=Path, help="folder for serve.json and serve.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = options.run or train(Path(scratch))
        package = pb.deploy(run, Path(scratch) / "lite0", saved_model=True, force=True).path
        rows = summarize(measure(package, options))
    document = {
        "machine": {"cores": len(os.sched_getaffinity(0)), "processor": platform.processor() or platform.machine()},
        "seconds": options.seconds,
        "repeats": options.repeats,
        "ratio": ratio(rows, TARGET_CONNECTIONS),
        "rows": rows,
    }
    print(markdown(document))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "serve.json").write_text(json.dumps(document, indent=1) + "\n")
        (options.out / "serve.md").write_text(markdown(document))


if __name__ == "__main__":
    main()
