"""What grows with the number of images and classes, and what must not: counted in bytes, since seconds prove nothing."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from PIL import Image

import pybridge as pb
from pybridge.classifier.evaluation import Evaluation, report_data
from pybridge.data import ImageSet, Preprocessing
from pybridge.features import FeatureExtractor
from pybridge.graphs import Program, programs_for
from pybridge.report import render
from pybridge.runtime import ensure
from pybridge.training.engines import create_trainer
from pybridge.training.history import History
from pybridge.training.loop import fit
from pybridge.training.options import TrainingOptions
from pybridge.training.trainer import Examples
from pybridge.training.transfer import trainable_part

pytestmark = pytest.mark.slow

FEW, MANY = 400, 2000
SIDE = 224
MEGABYTE = 2**20
FEATURES = 8 * 8 * 4

METER = """
const fs = require('node:fs');
const v8 = require('node:v8');
const vm = require('node:vm');
v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');
exports.pipe = () => {
  const sockets = process._getActiveHandles().filter((handle) => handle.constructor.name === 'Socket' && handle.bytesRead > 0);
  return { sockets: sockets.length, bytes: sockets[0].bytesRead };
};
exports.memory = async function () {
  for (let i = 0; i < 3; i++) {
    await new Promise(setImmediate);
    collect();
  }
  const { heapUsed, external } = process.memoryUsage();
  const status = fs.readFileSync('/proc/self/status', 'latin1');
  const peak = 1024 * Number(/VmHWM:\\s+(\\d+)/.exec(status)[1]);
  return { held: heapUsed + external, peak, tensors: this.tf.memory().numTensors };
};
"""


@dataclass(frozen=True)
class Figures:
    """What an extraction and a training on so many files cost, in bytes.

    Attributes:
        files: The files' own bytes.
        sent: What Node received while extracting.
        sent_in_training: What Node received while training.
        held: How much more Node holds after the extraction, with its features.
        left: How much more Node holds after all was released.
        node_peak: The highest resident memory of Node so far.
        python_peak: The highest use of Python's memory while extracting and training, above that before.
        tensors: How many more tensors there are after all was released.
    """

    files: int
    sent: int
    sent_in_training: int
    held: int
    left: int
    node_peak: int
    python_peak: int
    tensors: int


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = tmp_path_factory.mktemp("meter") / "meter.js"
    script.write_text(METER, "utf-8")
    return script


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fifty photos of noise of about 45 KB each, which is more than anything else that a training sends for an image."""
    folder, random = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    paths = [folder / f"{number:02}.jpg" for number in range(50)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(path, quality=90)
    return paths


@pytest.fixture(scope="module")
def own_node() -> Iterator[pb.Node]:
    """Its peak is that of these tests alone."""
    with pb.Node() as node:
        yield node


@pytest.fixture(scope="module")
def figures(own_node: pb.Node, meter: Path, files: list[Path]) -> dict[int, Figures]:
    stages = programs_for([Preprocessing(16, 16), tiny.convolution()], ensure())
    extractor = FeatureExtractor(own_node.runner)

    def images(count: int) -> ImageSet:
        return ImageSet([files[i % len(files)] for i in range(count)], np.arange(count, dtype=np.int32) % 2, ("a", "b"))

    # What is loaded and reserved once belongs to neither number.
    _measure(own_node, meter, extractor, stages, images(FEW))
    return {count: _measure(own_node, meter, extractor, stages, images(count)) for count in (FEW, MANY)}


def _measure(node: pb.Node, meter: Path, extractor: FeatureExtractor, stages: list[Program], images: ImageSet) -> Figures:
    def pipe() -> int:
        answer = node.call(meter, "pipe")
        assert answer["sockets"] == 1
        return int(answer["bytes"])

    def memory() -> dict[str, int]:
        values: dict[str, int] = node.call(meter, "memory")
        return values

    before, sent = memory(), pipe()
    gc.collect()
    tracemalloc.start()
    store, _ = extractor.extract(stages, images)
    extracted, with_features = pipe(), memory()
    begun = pipe()
    tail = trainable_part(tiny.convolutional_classifier(), "relu", (8, 8, 4))
    trainer = create_trainer("compiled", node.runner, tail, TrainingOptions())
    try:
        fit(trainer, Examples(store, images.labels), None, TrainingOptions(epochs=4, patience=None))
    finally:
        trainer.dispose()
    trained = pipe()
    _, python_peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    extractor.release(store)
    after = memory()
    return Figures(
        files=sum(Path(file).stat().st_size for file in images.images),
        sent=extracted - sent,
        sent_in_training=trained - begun,
        held=with_features["held"] - before["held"],
        left=after["held"] - before["held"],
        node_peak=after["peak"],
        python_peak=python_peak,
        tensors=after["tensors"] - before["tensors"],
    )


def _per_image(figures: dict[int, Figures], name: str) -> float:
    few, many = (getattr(figures[count], name) for count in (FEW, MANY))
    return float(many - few) / (MANY - FEW)


def test_an_image_crosses_the_pipe_once_encoded_and_with_little_beside_it(figures: dict[int, Figures]) -> None:
    file, sent = _per_image(figures, "files"), _per_image(figures, "sent")
    assert 0 <= sent - file < 128


def test_training_sends_a_few_numbers_for_each_example(figures: dict[int, Figures]) -> None:
    epochs = 4
    # Row, target and the place of the target, 4 bytes each.
    assert 12 <= _per_image(figures, "sent_in_training") / epochs < 32


def test_node_keeps_the_features_of_images_and_hardly_more(figures: dict[int, Figures]) -> None:
    many = figures[MANY]
    # Memory to receive into, which is used again, and garbage that was not collected yet.
    assert many.held < 4 * FEATURES * MANY + many.files / 10


def test_node_gives_all_back_in_the_end(figures: dict[int, Figures]) -> None:
    many = figures[MANY]
    assert many.tensors == 0
    assert many.left < many.files / 10


def test_peak_memory_of_both_processes_does_not_follow_the_files(figures: dict[int, Figures]) -> None:
    more = figures[MANY].files - figures[FEW].files
    assert more > 60 * MEGABYTE
    assert figures[MANY].node_peak - figures[FEW].node_peak < more / 2
    # A few batches are read ahead.
    assert figures[MANY].python_peak < figures[MANY].files / 4


def _report(classes: int, images: int) -> str:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (images, 16, 16, 3), np.uint8)
    labels = (np.arange(images) % classes).astype(np.int32)
    names = tuple(f"a class with a name of some length, number {i}" for i in range(classes))
    probabilities = random.dirichlet(np.ones(8), images).astype(np.float32)
    spread = np.zeros((images, classes), np.float32)
    spread[:, :8] = probabilities
    history = History([{"epoch": i + 1, "loss": 1 / (i + 1), "accuracy": 0.5} for i in range(100)], 100)
    return render(report_data("growth", Evaluation(ImageSet(pixels, labels, names), spread), history, {}, {}))


def test_a_report_does_not_grow_with_the_images() -> None:
    assert len(_report(10, 20_000)) < 1.1 * len(_report(10, 2000))


def test_a_report_of_a_thousand_classes_opens_in_any_browser() -> None:
    assert len(_report(1000, 4000)) < 2 * MEGABYTE


def test_the_record_of_a_thousand_classes_says_each_name_a_few_times(own_node: pb.Node, tmp_path: Path) -> None:
    classes = 1000
    pixels = np.random.default_rng(0).integers(0, 256, (2 * classes, 16, 16, 3), np.uint8)
    names = np.array([f"class {i:04}" for i in range(classes)])
    with pb.ImageClassifier(tiny.convolution(), epochs=1, seed=0, node=own_node) as classifier:
        classifier.fit(pixels, np.tile(names, 2), validation_split=0.5)
        classifier.save(tmp_path / "run")
        measured: dict[str, Any] = classifier.evaluate(pixels, np.tile(names, 2))
    record = (tmp_path / "run" / "run.json").stat().st_size
    assert record < 100 * classes
    assert len(json.dumps(measured["per_class"])) < 200 * classes
