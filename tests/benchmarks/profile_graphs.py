"""Where the time of the compiled graphs goes: ``python tests/benchmarks/profile_graphs.py [features] [partial] [full]``.

The graphs that Node runs are run in Python, by the same TensorFlow, on a batch of 32 pictures, and their operations are timed.
Beside what was measured stands a limit: how long the convolutions' multiplications and additions would take if all of them ran
as fast as a product of two matrices of 2048 x 2048, and all the rest took no time.
"""

from __future__ import annotations

import argparse
import collections
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import tensorflow as tf

from pybridge.benchmark.pictures import cut_pictures
from pybridge.benchmark.preparation import UNFREEZE
from pybridge.graphs import programs_for
from pybridge.graphs.program import Signature
from pybridge.graphs.training.cache import training_program_for
from pybridge.loading import resolve
from pybridge.models import to_keras
from pybridge.runtime import ensure
from pybridge.runtime.processors import usable_processors
from pybridge.tfjs.cuts import choose_cut
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.head import append_classifier, append_pooling
from pybridge.training.options import TrainingOptions
from pybridge.training.preparation import recipe_of
from pybridge.training.transfer import trainable_part

BATCH = 32
CLASSES = 10
RUNS = 12
# The weights' and the inputs' gradients are products of the size of the forward one.
TRAINING = 3
WORKS = ("features", "partial", "full")


@dataclass(frozen=True)
class Call:
    """One call of a graph: its SavedModel, tensors fed and fetched, and the multiplications with an addition in it."""

    title: str
    folder: Path
    feeds: dict[str, Any]
    fetches: list[str]
    multiplications: int


def main() -> None:
    """Profiles the works that were named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("works", nargs="*", choices=[*WORKS, []], help="default: all")
    parser.add_argument("--base", default="efficientnet_lite0")
    options = parser.parse_args()
    rate = matrix_product_rate()
    print(f"TensorFlow {tf.__version__}, {usable_processors()} processors; a product of matrices: {rate / 1e9:.0f} GFLOP/s\n")
    base = resolve(options.base)
    pooled = append_pooling(base.model)
    for work in options.works or WORKS:
        with tempfile.TemporaryDirectory() as scratch:
            calls = (
                feature_calls(base.preprocessing, pooled, Path(scratch)) if work == "features" else training_calls(pooled, work)
            )
            for call in calls:
                show(call, rate)


def feature_calls(preprocessing: Any, pooled: LayersModel, scratch: Path) -> list[Call]:
    """From JPEG files to pixels, and from them to features."""
    pictures = cut_pictures(scratch / "pictures", BATCH)
    files, network = programs_for([preprocessing, pooled], ensure())
    given = [
        np.array([Path(picture).read_bytes() for picture in pictures.images], object),
        np.ones(BATCH, np.int32),
        np.tile(np.float32([0, 0, 1, 1]), (BATCH, 1)),
        np.zeros(BATCH, bool),
        np.ones(BATCH, np.float32),
    ]
    pixels = np.random.default_rng(0).uniform(-1, 1, (BATCH, *files.output_shape)).astype(np.float32)
    products = BATCH * multiplications(to_keras(pooled))
    return [
        Call("Decoding and resizing", files.folder, *ports(files.signatures["files"], given), 0),
        Call("Features", network.folder, *ports(network.signatures["default"], [pixels]), products),
    ]


def training_calls(pooled: LayersModel, work: str) -> list[Call]:
    """One training step, of all layers or of those behind the cut."""
    channels = to_keras(pooled).output_shape[-1]
    model = append_classifier(pooled, channels, CLASSES, dropout=0.2, hidden_units=0, seed=0)
    cut = choose_cut(pooled, UNFREEZE) if work == "partial" else None
    shape = to_keras(model).get_layer(cut).output.shape[1:] if cut else to_keras(model).input_shape[1:]
    tail = trainable_part(model, cut, tuple(shape))
    program = training_program_for(tail, recipe_of(TrainingOptions()), ensure())
    random = np.random.default_rng(0)
    rows = np.arange(BATCH, dtype=np.int32)
    given = [
        *(tail.weights[name] for name in program.weights),
        *(np.zeros(shape, np.float32) for shape in program.slots),
        np.abs(random.normal(size=(BATCH, *shape))).astype(np.float32),
        random.integers(0, CLASSES, BATCH).astype(np.int32),
        rows,
        rows,
        np.ones(BATCH, np.float32),
        np.float32([1e-5]),
        np.ones(1, np.float32),
        np.zeros(4, np.float32),
        *(np.int32(number) for number in (0, 0, BATCH)),
    ]
    title = f"A training step behind {cut}" if cut else "A training step of all layers"
    products = TRAINING * BATCH * multiplications(to_keras(tail))
    return [Call(title, program.folder, *ports(program.signatures["steps"], given), products)]


def ports(signature: Signature, given: Sequence[Any]) -> tuple[dict[str, Any], list[str]]:
    """What is fed and fetched, by the tensors' names."""
    feeds = {port.tensor: value for port, value in zip(signature.inputs, given, strict=True)}
    return feeds, [port.tensor for port in (signature.output, *signature.others)]


def multiplications(model: Any) -> int:
    """Multiplications with an addition in the convolutions and dense layers of a Keras model, for one image."""
    total = 0
    for layer in model._flatten_layers():
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            places = int(np.prod(layer.output.shape[1:-1])) if len(layer.output.shape) > 2 else 1
            total += places * int(np.prod(kernel.shape))
    return total


def matrix_product_rate() -> float:
    """Floating point operations a second of a product of two matrices; the best of some."""
    one, other = tf.random.normal([2, 2048, 2048], seed=0)
    seconds = [timed(lambda: tf.matmul(one, other).numpy())[0] for _ in range(20)]
    return float(2 * 2048**3 / min(seconds))


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the clock and of the processors."""
    begun, used = time.perf_counter(), processor_seconds()
    run()
    return time.perf_counter() - begun, processor_seconds() - used


def processor_seconds() -> float:
    """Of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def show(call: Call, rate: float) -> None:
    """Runs a graph, and prints what its operations took."""
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(call.folder))
        run = session.make_callable(call.fetches, list(call.feeds))
        for _ in range(4):
            run(*call.feeds.values())
        wall, used = np.median([timed(lambda: run(*call.feeds.values())) for _ in range(RUNS)], axis=0)
        seconds, counts = operations(session, call)
    total, processors = sum(seconds.values()), usable_processors()
    print(f"## {call.title}: {1e3 * wall:.0f} ms for {BATCH} images, {BATCH / wall:.0f} images/s")
    print(f"processors busy: {100 * used / (processors * wall):.0f} %")
    if call.multiplications:
        least = 2 * call.multiplications / rate
        print(
            f"limit by matrix products: {1e3 * least:.0f} ms, {BATCH / least:.0f} images/s ({100 * least / wall:.0f} % reached)"
        )
    print("\n| operation | times | share |\n|---|---|---|")
    for name, each in seconds.most_common(10):
        print(f"| {name} | {counts[name]} | {100 * each / total:.1f} % |")
    print()


def operations(session: Any, call: Call) -> tuple[collections.Counter[str], collections.Counter[str]]:
    """Seconds in each kind of operation, and how many there are."""
    seconds: collections.Counter[str] = collections.Counter()
    counts: collections.Counter[str] = collections.Counter()
    options = tf.compat.v1.RunOptions(trace_level=tf.compat.v1.RunOptions.FULL_TRACE)
    recorded = tf.compat.v1.RunMetadata()
    session.run(call.fetches, call.feeds, options=options, run_metadata=recorded)
    for device in recorded.step_stats.dev_stats:
        for node in device.node_stats:
            name = node.timeline_label.partition(" = ")[2].partition("(")[0] or node.node_name
            name = name.removeprefix("_MklNative").removeprefix("_Mkl").removeprefix("_Fused")
            seconds[name] += (node.op_end_rel_micros - node.op_start_rel_micros) / 1e6
            counts[name] += 1
    return seconds, counts


if __name__ == "__main__":
    main()
