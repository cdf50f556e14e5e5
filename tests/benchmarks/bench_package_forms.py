"""The two forms of a deployed package on WebAssembly, in turn: ``python tests/benchmarks/bench_package_forms.py``.

One JPEG file to a label, EfficientNet-Lite0 with a head: the layers as they were trained, and the fused graph.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

import pybridge as pb
from pybridge.runtime import ensure
from pybridge.runtime.processors import usable_processors

ROUNDS = 60
WARM_UP = 10


def main() -> None:
    """Measures, and prints a table."""
    with tempfile.TemporaryDirectory() as scratch:
        photos = crops(Path(scratch) / "photos")
        with pb.Node() as node:
            classifier = pb.ImageClassifier(seed=0, node=node)
            classifier.fit(Path(scratch) / "photos")
            classifier.save(Path(scratch) / "run")
            package = pb.deploy(Path(scratch) / "run", Path(scratch) / "classifier", images=photos, node=node)
        measured = measure(package.path, photos)
    medians = {form: statistics.median(times[WARM_UP:]) for form, times in measured["times"].items()}
    print(f"Node.js {measured['node']}, {usable_processors()} processors, {ROUNDS - WARM_UP} pictures each, medians\n")
    print("| form | load, s | one JPEG to a label, ms | of the layers |\n|---|---|---|---|")
    for form, median in medians.items():
        print(f"| {form} | {measured['loads'][form] / 1000:.2f} | {median:.1f} | {median / medians['layers']:.2f} |")
    print(f"\nThe probabilities differ by at most {measured['difference']:.1e}.")


def crops(folder: Path) -> list[Path]:
    """Twenty crops of each of scikit-learn's two photos, as JPEG files in a folder for each."""
    random = np.random.default_rng(0)
    files = []
    for name, photo in zip(("temple", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            y, x = (int(random.integers(0, size - 300)) for size in photo.shape[:2])
            files.append(folder / name / f"{number}.jpg")
            Image.fromarray(photo[y : y + 300, x : x + 300]).save(files[-1], quality=90)
    return files


def measure(package: Path, photos: list[Path]) -> Any:
    """What the script beside this one found."""
    runtime = ensure()
    command = [runtime.node, Path(__file__).with_name("package_forms.js"), package, str(ROUNDS), *photos]
    environment = {**os.environ, **runtime.environment()}
    # The packages of the runner have TensorFlow.js with WebAssembly; NODE_PATH finds them from anywhere.
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
