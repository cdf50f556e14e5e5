"""Runs a traced training with Python's TensorFlow: the reference that Node's weights are compared with."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pybridge.graphs.tensorflow_process import TensorFlowProcess
from pybridge.graphs.training.program import TrainingProgram


class TrainingNumbers(Protocol):
    """What of a training's settings its graph takes as inputs."""

    @property
    def graph_seed(self) -> int:
        """Of dropout."""

    @property
    def numbers(self) -> NDArray[np.float32]:
        """Momentum, weight decay, clip norm and label smoothing: float32 of shape (4,)."""


@dataclass(frozen=True)
class ReferenceTraining:
    """What Python's training gave.

    Attributes:
        weights: After the last epoch, by name.
        losses: Of each step: float32 of shape (steps of all epochs,).
    """

    weights: dict[str, NDArray[np.float32]]
    losses: NDArray[np.float32]


def train_reference(
    program: TrainingProgram,
    weights: Mapping[str, NDArray[Any]],
    x: NDArray[np.float32],
    targets: NDArray[Any],
    orders: Sequence[NDArray[np.int32]],
    *,
    batch_size: int,
    settings: TrainingNumbers,
    tensorflow: TensorFlowProcess,
    learning_rate: float = 0.02,
    mixing: Sequence[NDArray[np.float32]] | None = None,
) -> ReferenceTraining:
    """Trains some epochs in Python.

    Args:
        program: From `training_program_for`.
        weights: At the beginning, by name.
        x: Inputs, float32 of shape (N, ...).
        targets: As `Examples.targets`.
        orders: For each epoch the examples in their order.
        batch_size: Examples in a step.
        settings: The trainer's.
        tensorflow: The process that trains.
        learning_rate: Of every step.
        mixing: For mixup: for each epoch the shares of its steps.

    Raises:
        BridgeError: TensorFlow refused an input, or its process died.
    """
    with tempfile.TemporaryDirectory(prefix="pybridge-training-") as scratch:
        folder = Path(scratch)
        arrays: dict[str, NDArray[Any]] = {f"weights/{i}": weights[name] for i, name in enumerate(program.weights)}
        for epoch, order in enumerate(orders):
            steps = -(-len(order) // batch_size)
            arrays[f"rows/{epoch}"] = order
            arrays[f"rates/{epoch}"] = np.full(steps, learning_rate, np.float32)
            arrays[f"mixing/{epoch}"] = np.ones(steps, np.float32) if mixing is None else mixing[epoch]
        examples = {"x": x, "targets": targets, "example_weights": np.ones(len(x), np.float32)}
        np.savez(folder / "training.npz", allow_pickle=False, **examples, **arrays)
        arguments = {
            "program": str(program.folder),
            "epochs": len(orders),
            "numbers": settings.numbers.tolist(),
            "seed": settings.graph_seed,
            "batch_size": batch_size,
        }
        tensorflow.run(folder, "pybridge.graphs.training.jobs:run_training", arguments)
        with np.load(folder / "weights.npz", allow_pickle=False) as file:
            after = {name: file[f"weights/{i}"] for i, name in enumerate(program.weights)}
            return ReferenceTraining(after, file["losses"])
