"""A long training needs no more memory at its end than at its beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.graphs import TensorFlowProcess
from pybridge.training.engines import create_trainer
from pybridge.training.options import TrainingOptions
from pybridge.training.trainer import Examples

# The weights with Adam's slots are 1.6 MB, the inputs 1 MB: to lose either of them once in an epoch is ten times the bound.
INPUTS, HIDDEN, EXAMPLES = 512, 256, 512
BOUND_BYTES_IN_AN_EPOCH = 100_000
WARM_UP, EPOCHS = 40, 100
PORTION = 10


@pytest.mark.slow
def test_a_hundred_epochs_leave_no_tensor_and_no_memory_behind(
    node: pb.Node, tensorflow: TensorFlowProcess, tmp_path: Path
) -> None:
    script = tmp_path / "memory.js"
    script.write_text(
        "exports.tensors = () => require('@tensorflow/tfjs-node').memory().numTensors;"
        "exports.resident = () => process.memoryUsage().rss;",
        "utf-8",
    )
    runner = node.runner
    runner.start()
    random = np.random.default_rng(0)
    x, y = random.normal(size=(EXAMPLES, INPUTS)).astype(np.float32), random.integers(0, 3, EXAMPLES).astype(np.int32)
    model = tiny.vector_classifier(INPUTS, dropout=0.3, hidden_units=HIDDEN)
    trainer = create_trainer("compiled", runner, model, TrainingOptions(), tensorflow=tensorflow)
    examples = Examples(runner.call("features.put", {"values": x}), y)

    def resident_after(epochs: int) -> int:
        for epoch in range(epochs):
            trainer.train_epoch(examples, examples.used, 0 * examples.used, batch_size=32, learning_rate=1e-3)
            trainer.evaluate(examples, batch_size=32)
            if epoch % 2:
                trainer.restore(trainer.state())
        return int(node.call(script, "resident"))

    def tensors() -> int:
        return int(node.call(script, "tensors"))

    resident_after(WARM_UP)
    before = tensors()
    resident = [resident_after(PORTION) for _ in range(EPOCHS // PORTION)]
    assert tensors() == before
    assert slope(resident) / PORTION < BOUND_BYTES_IN_AN_EPOCH, resident
    trainer.dispose()
    # Four weights, and two slots for each.
    assert tensors() == before - 12


def slope(values: list[Any]) -> float:
    """The median slope between any two points (Theil and Sen): a garbage collection now or then does not change it."""
    pairs = [(i, j) for j in range(len(values)) for i in range(j)]
    return float(np.median([(values[j] - values[i]) / (j - i) for i, j in pairs]))
