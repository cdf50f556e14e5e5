"""Two forms of what compiled graphs compute, side by side: ``python tests/benchmarks/bench_gradients.py``.

The gradient of a depthwise filter by oneDNN's kernel and by TensorFlow's own; that of a bias merged with the gradient of the
convolution's weights and apart from it; a network on a whole batch and on portions of it. Batches of 32, medians of some
interleaved runs, in milliseconds. `pybridge.graphs.training.gradients` and `pybridge.graphs.portions` choose by such figures.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np
import tensorflow as tf

from pybridge.graphs import portions
from pybridge.runtime.processors import usable_processors

BATCH = 32
RUNS = 15
# Height and width, channels, size of the filter, stride.
DEPTHWISE = (
    (112, 32, 3, 1),
    (56, 144, 3, 1),
    (56, 144, 5, 2),
    (28, 240, 5, 1),
    (14, 672, 5, 1),
    (14, 672, 5, 2),
    (14, 384, 7, 1),
    (7, 1152, 3, 1),
    (7, 1152, 5, 1),
)
# Height and width, channels before and behind a convolution of 1x1.
POINTWISE = ((112, 16, 96), (112, 32, 16), (56, 24, 144), (28, 40, 240), (14, 112, 672), (7, 192, 1152))


def main() -> None:
    """Measures and prints three tables."""
    print(f"TensorFlow {tf.__version__}, {usable_processors()} processors, batches of {BATCH}, ms\n")
    print("| gradient of a depthwise filter | oneDNN | TensorFlow |\n|---|---|---|")
    for side, channels, size, stride in DEPTHWISE:
        x = values(side, channels)
        upstream = values(-(-side // stride), channels)
        forms = {rule: depthwise_gradient(x, upstream, size, stride, rule) for rule in ("SAME", "EXPLICIT")}
        row(f"{size}x{size}, stride {stride}, {side}x{side}x{channels}", forms)
    print("\n| gradients of a convolution of 1x1 and its bias | merged | apart |\n|---|---|---|")
    for side, before, behind in POINTWISE:
        forms = {
            name: pointwise_gradients(values(side, before), values(side, behind), name == "apart") for name in ("merged", "apart")
        }
        row(f"{before} to {behind} channels, {side}x{side}", forms)
    print("\n| MobileNetV2, inference | whole | 16 | 8 | 4 |\n|---|---|---|---|---|")
    row("224x224", network_forms())


def values(side: int, channels: int) -> Any:
    """Random numbers of shape (BATCH, side, side, channels)."""
    return tf.random.stateless_normal([BATCH, side, side, channels], [side, channels])


def depthwise_gradient(x: Any, upstream: Any, size: int, stride: int, rule: str) -> Callable[[], Any]:
    """The gradient of a filter; with explicit paddings TensorFlow's own kernel computes it."""
    whole = max((upstream.shape[1] - 1) * stride + size - x.shape[1], 0)
    sides = [whole // 2, whole - whole // 2]

    @tf.function(autograph=False)
    def compute() -> Any:
        return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=x,
            filter_sizes=[size, size, x.shape[-1], 1],
            out_backprop=upstream,
            strides=[1, stride, stride, 1],
            padding=rule,
            explicit_paddings=[0, 0, *sides, *sides, 0, 0] if rule == "EXPLICIT" else [],
        )

    return compute


def pointwise_gradients(x: Any, upstream: Any, apart: bool) -> Callable[[], Any]:
    """The gradients of weights and bias. TensorFlow merges them where it finds both of the usual operations."""
    before, behind = x.shape[-1], upstream.shape[-1]

    @tf.function(autograph=False)
    def compute() -> Any:
        weights = tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=[1, 1, before, behind], out_backprop=upstream, strides=[1, 1, 1, 1], padding="SAME"
        )
        if apart:
            rows = tf.reshape(upstream, [-1, behind])
            return weights[0, 0, 0] + tf.matmul(tf.ones([1, tf.shape(rows)[0]]), rows)[0]
        return weights[0, 0, 0] + tf.raw_ops.BiasAddGrad(out_backprop=upstream)

    return compute


def network_forms() -> dict[str, Callable[[], Any]]:
    """MobileNetV2 on a whole batch, and on portions of several sizes."""
    model = keras.applications.MobileNetV2(weights=None, include_top=False, pooling="avg")
    x = values(224, 3)

    def by(size: int) -> Callable[[], Any]:
        @tf.function(autograph=False)
        def compute() -> Any:
            return portions.in_portions(lambda part: model(part, training=False), x, model.output_shape, portion=size)

        return compute

    return {
        "whole": tf.function(lambda: model(x, training=False), autograph=False),
        **{str(size): by(size) for size in (16, 8, 4)},
    }


def row(title: str, forms: Mapping[str, Callable[[], Any]]) -> None:
    """Runs the forms in turns, and prints their medians."""
    times: dict[str, list[float]] = {name: [] for name in forms}
    for turn in range(RUNS + 2):
        for name, form in forms.items():
            begun = time.perf_counter()
            form().numpy()
            if turn >= 2:
                times[name].append(1e3 * (time.perf_counter() - begun))
    print(f"| {title} | " + " | ".join(f"{np.median(each):.1f}" for each in times.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
