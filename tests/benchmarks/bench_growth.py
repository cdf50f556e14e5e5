"""Time and memory against the number of images and of classes: ``python tests/benchmarks/bench_growth.py [--out growth.json]``.

Small JPEG files, deterministic crops of the shared photos, are trained on by a small base (MobileNetV1 0.25) as a user would,
each number in processes of its own: reading and parting the folder, features, the head, the run directory with its report,
loading it, and prediction of a quarter of the files. Seconds are those of the processors, of Python and Node together, since
they do not depend on what else the machine does; memory is the peak of each process. Markdown tables are printed, and written
beside the JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from pictures import DATA, load  # noqa: E402

import pybridge as pb  # noqa: E402

BASE = "weights/mobilenet_v1_0.25_224/model.json"
EPOCHS = 10
SIDE = 96
IMAGES = (500, 2000, 8000, 32000)
CLASSES = (2, 10, 100, 1000)
# Of the images of another measurement: enough for four images of each of a thousand classes.
IMAGES_FOR_CLASSES = 4000
CLASSES_FOR_IMAGES = 10
STAGES = ("read", "features", "head", "save", "load", "predict")


def write_photos(folder: Path, images: int, classes: int) -> Path:
    """Writes so many small photos in so many classes: crops of the shared photos, mirrored half of the time.

    A class is a photo or a few, so that there is something to learn. All are different files.
    """
    originals = list(load("trashnet").images.images)
    random = np.random.default_rng(0)
    order = random.permutation(len(originals))
    for each in range(classes):
        (folder / f"class_{each:04}").mkdir(parents=True)
    for number in range(images):
        each = number % classes
        which = order[(each + classes * random.integers(max(len(originals) // classes, 1))) % len(originals)]
        with Image.open(originals[which]) as opened:
            opened.draft("RGB", (2 * SIDE, 2 * SIDE))
            photo = opened.convert("RGB")
        side = int(min(photo.size) * random.uniform(0.6, 1))
        left, top = (int(random.integers(room - side + 1)) for room in photo.size)
        photo = photo.resize((SIDE, SIDE), box=(left, top, left + side, top + side))
        if random.random() < 0.5:
            photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        photo.save(folder / f"class_{each:04}" / f"{number:06}.jpg", quality=85)
    return folder


class Meter:
    """Processor time, wall time and peak memory of this process and of Node, stage by stage."""

    def __init__(self, node: pb.Node) -> None:
        self._node = node
        self.stages: dict[str, dict[str, float]] = {}
        self._begun = self._now()

    def end(self, name: str) -> None:
        """Ends a stage; the next one begins."""
        now = self._now()
        values = {key: round(now[key] - self._begun[key], 3) for key in ("wall", "python", "node")}
        self.stages[name] = {**values, "python_peak_mb": now["python_peak_mb"], "node_peak_mb": now["node_peak_mb"]}
        self._begun = self._now()

    def _now(self) -> dict[str, float]:
        pid = self._node.runner.pid
        assert pid is not None
        return {
            "wall": time.perf_counter(),
            "python": time.process_time(),
            "node": _cpu_seconds(pid),
            "python_peak_mb": _peak_mb(os.getpid()),
            "node_peak_mb": _peak_mb(pid),
        }


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(pid: int) -> float:
    line = next(each for each in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if each.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)


class _TrainingBegins(pb.callbacks.Callback):
    """Ends a stage as soon as the features are there."""

    def __init__(self, begins: Callable[[], None]) -> None:
        super().__init__()
        self._begins = begins

    def on_train_begin(self, logs: Any = None) -> None:
        self._begins()


def measure(folder: Path) -> dict[str, Any]:
    """One training and all that follows, in this process."""
    from pybridge.data import read_folder, stratified_split

    with pb.Node() as node, tempfile.TemporaryDirectory() as scratch:
        meter = Meter(node)
        images = read_folder(folder)
        stratified_split(images.labels, 0.2, 0)
        meter.end("read")
        classifier = pb.ImageClassifier(
            str(DATA / BASE), epochs=EPOCHS, patience=None, batch_size=32, engine="compiled", seed=0, node=node
        )
        begins = _TrainingBegins(lambda: meter.end("features"))
        classifier.fit(folder, callbacks=[begins])
        meter.end("head")
        run = Path(scratch, "run")
        classifier.save(run)
        meter.end("save")
        loaded = pb.ImageClassifier.load(run, node=node)
        meter.end("load")
        loaded.predict(list(images.images)[::4])
        meter.end("predict")
        sizes = {file.name: file.stat().st_size for file in (run / "report.html", run / "run.json")}
        return {
            "images": len(images),
            "classes": len(images.class_names),
            "accuracy": round(classifier.metrics_["accuracy"], 4),
            "stages": meter.stages,
            "bytes": {**sizes, "model": sum(file.stat().st_size for file in (run / "model").iterdir())},
        }


def measure_apart(images: int, classes: int, scratch: Path) -> dict[str, Any]:
    """`measure` in a process of its own, whose peak memory is then its own too."""
    folder = write_photos(scratch / f"photos-{images}-{classes}", images, classes)
    try:
        command = [sys.executable, str(Path(__file__).resolve()), "--one", str(folder)]
        done = subprocess.run(command, env={**os.environ, "PYBRIDGE_PROGRESS": "0"}, stdout=subprocess.PIPE, check=True)
        measured: dict[str, Any] = json.loads(done.stdout)
        return measured
    finally:
        shutil.rmtree(folder)


def markdown(rows: Sequence[dict[str, Any]], by: str) -> str:
    """Processor seconds of each stage, peak memory and sizes; the last line says how the values grew for each doubling."""
    head = [by, *(f"{stage}, s" for stage in STAGES), "Python, MB", "Node, MB", "report, KB", "run.json, KB"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    table = [[float(row[by]), *_figures(row)] for row in rows]
    for row in table:
        lines.append("| " + " | ".join([f"{row[0]:,.0f}", *(f"{value:,.2f}" for value in row[1:7])]) + " | ")
        lines[-1] += " | ".join(f"{value:,.0f}" for value in row[7:]) + " |"
    if len(table) > 1:
        first, last = table[-2], table[-1]
        doublings = np.log2(last[0] / first[0])
        grown = [f"{(b / max(a, 1e-3)) ** (1 / doublings):.2f}" for a, b in zip(first[1:], last[1:], strict=True)]
        lines.append("| *for each doubling, last two* | " + " | ".join(grown) + " |")
    return "\n".join(lines)


def _figures(row: dict[str, Any]) -> list[float]:
    seconds = [row["stages"][stage]["python"] + row["stages"][stage]["node"] for stage in STAGES]
    last = row["stages"][STAGES[-1]]
    kilobytes = [row["bytes"][name] / 1024 for name in ("report.html", "run.json")]
    return [*seconds, last["python_peak_mb"], last["node_peak_mb"], *kilobytes]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Measure how time and memory grow.")
    parser.add_argument("--images", nargs="*", type=int, default=list(IMAGES))
    parser.add_argument("--classes", nargs="*", type=int, default=list(CLASSES))
    parser.add_argument("--out", type=Path, default=Path("growth.json"))
    parser.add_argument("--one", type=Path, help="measure the training on this folder, in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    with tempfile.TemporaryDirectory() as scratch:

        def rows(pairs: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
            measured = []
            for images, classes in pairs:
                measured.append(measure_apart(images, classes, Path(scratch)))
                print(json.dumps(measured[-1]), file=sys.stderr, flush=True)
            return measured

        by_images = rows([(count, CLASSES_FOR_IMAGES) for count in options.images])
        by_classes = rows([(IMAGES_FOR_CLASSES, count) for count in options.classes])
    tables = [markdown(each, by) for each, by in ((by_images, "images"), (by_classes, "classes")) if each]
    options.out.write_text(json.dumps({"images": by_images, "classes": by_classes}, indent=2) + "\n", "utf-8")
    options.out.with_suffix(".md").write_text("\n\n".join(tables) + "\n", "utf-8")
    print("\n\n".join(tables))


if __name__ == "__main__":
    main()
