"""Trainers: what trains a model in Node. The seam between the epoch loop and the engines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import BridgeError, NodeCrashedError, RemoteError
from pybridge.models.layers_model import LayersModel
from pybridge.runner import Runner

OnProgress = Callable[[dict[str, Any]], None]
Weights = dict[str, NDArray[np.float32]]

ENGINES = ("layers",)
OPTIMIZERS = ("adam", "rmsprop", "sgd")
LOSSES = (
    "binary_crossentropy",
    "categorical_crossentropy",
    "mean_absolute_error",
    "mean_squared_error",
    "sparse_categorical_crossentropy",
)


@dataclass(frozen=True)
class TrainerSettings:
    """How a model trains; every engine understands the same settings.

    Args:
        optimizer: ``adam``, ``rmsprop`` or ``sgd``.
        learning_rate: The rate of the first epoch.
        momentum: For ``sgd``.
        weight_decay: Decoupled decay of kernels at each step, as a share of the learning rate; 0 is none.
        loss: A Keras loss name, such as ``sparse_categorical_crossentropy``.
        label_smoothing: Share of the target that is spread over all classes; for ``sparse_categorical_crossentropy``.
        seed: Of dropout.
        hold_batch_normalization: Whether batch normalization stays in inference mode while its layer trains.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    loss: str = "sparse_categorical_crossentropy"
    label_smoothing: float = 0.0
    seed: int = 0
    hold_batch_normalization: bool = True

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not {self.loss!r}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, not {self.learning_rate!r}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), not {self.label_smoothing!r}")
        if not self.weight_decay >= 0 or not 0 <= self.momentum < 1:
            raise ValueError("weight_decay must not be negative, and momentum must be in [0, 1)")

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Examples:
    """Training or validation data whose inputs lie in a feature store in Node.

    Args:
        store: The store's handle. Example ``i`` has the rows ``i * views`` to ``i * views + views - 1``.
        targets: int32 classes of shape (N,), or float32 targets of shape (N, ...).
        views: How many (augmented) views of each example the store holds; the first is the example itself.
        sample_weights: float32 of shape (N,), or None.
        order: int32, the examples to use, in this order; None for all N.
    """

    store: int
    targets: NDArray[Any]
    views: int = 1
    sample_weights: NDArray[np.float32] | None = None
    order: NDArray[np.int32] | None = None

    @property
    def used(self) -> NDArray[np.int32]:
        """The examples to use: int32."""
        return np.arange(len(self.targets), dtype=np.int32) if self.order is None else self.order


class Trainer(Protocol):
    """A model that trains in Node."""

    def train_epoch(
        self,
        examples: Examples,
        order: NDArray[np.int32],
        views: NDArray[np.int32],
        *,
        batch_size: int,
        learning_rate: float,
        on_progress: OnProgress | None = None,
    ) -> dict[str, float]:
        """Trains one pass over ``order``, with view ``views[i]`` of example ``order[i]``; gives the metrics.

        Raises:
            BridgeError: The loss is no longer a number.
        """

    def evaluate(
        self, examples: Examples, *, batch_size: int, on_progress: OnProgress | None = None
    ) -> tuple[dict[str, float], NDArray[np.float32]]:
        """Metrics over all examples, and the model's outputs."""

    def weights(self) -> Weights:
        """All weights, trained and frozen, by name."""

    def set_weights(self, weights: Weights) -> None:
        """Replaces all weights."""

    def state(self) -> dict[str, Any]:
        """Weights, optimizer state and step count: all that `restore` needs to go on exactly as before."""

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""

    def dispose(self) -> None:
        """Frees what the trainer holds in Node."""


def create_trainer(engine: str, runner: Runner, model: LayersModel, settings: TrainerSettings) -> Trainer:
    """Makes a trainer of the named engine.

    Args:
        engine: ``layers``: TensorFlow.js's own gradients and optimizers.
        runner: The Node process that shall train.
        model: What trains, with its initial weights.
        settings: How.

    Raises:
        ValueError: There is no such engine.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    return _LayersTrainer(runner, model, settings)


class _LayersTrainer:
    """The Python side of ``node_runner/engines/layers_trainer.js``."""

    def __init__(self, runner: Runner, model: LayersModel, settings: TrainerSettings) -> None:
        # The trainer lives in this one process: after a crash, calls must not reach its successor.
        self._connection = runner.start().connection
        self._names = list(model.weights)
        camel = {
            "loss": settings.loss,
            "labelSmoothing": settings.label_smoothing,
            "seed": settings.seed,
            "holdBatchNormalization": settings.hold_batch_normalization,
            "optimizer": {
                "name": settings.optimizer,
                "learningRate": settings.learning_rate,
                "momentum": settings.momentum,
                "weightDecay": settings.weight_decay,
            },
        }
        source = {"topology": model.topology, "names": self._names, "weights": list(model.weights.values())}
        self._trainer: int = self._connection.call("training.create", {"model": source, "settings": camel})

    def train_epoch(
        self,
        examples: Examples,
        order: NDArray[np.int32],
        views: NDArray[np.int32],
        *,
        batch_size: int,
        learning_rate: float,
        on_progress: OnProgress | None = None,
    ) -> dict[str, float]:
        weights = examples.sample_weights
        parameters = {
            **self._examples(examples, order, views, batch_size),
            "sampleWeights": None if weights is None else weights[order],
            "learningRate": learning_rate,
        }
        try:
            logs: dict[str, float] = self._connection.call("training.epoch", parameters, on_progress=on_progress)
        except RemoteError as error:
            if error.name != "DivergenceError":
                raise
            raise BridgeError(
                f"Training diverged: {error.remote_message}",
                hint=f"Lower the learning rate, which was {learning_rate:g}, and look for NaN in the data.",
            ) from None
        return logs

    def evaluate(
        self, examples: Examples, *, batch_size: int, on_progress: OnProgress | None = None
    ) -> tuple[dict[str, float], NDArray[np.float32]]:
        order = examples.used
        parameters = self._examples(examples, order, np.zeros_like(order), batch_size)
        answer = self._connection.call("training.evaluate", parameters, on_progress=on_progress)
        return answer["logs"], answer["outputs"]

    def weights(self) -> Weights:
        values = self._connection.call("training.weights", {"trainer": self._trainer})
        return dict(zip(self._names, values, strict=True))

    def set_weights(self, weights: Weights) -> None:
        values = [weights[name] for name in self._names]
        self._connection.call("training.setWeights", {"trainer": self._trainer, "weights": values})

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._connection.call("training.state", {"trainer": self._trainer})
        return state

    def restore(self, state: dict[str, Any]) -> None:
        self._connection.call("training.restore", {"trainer": self._trainer, "state": state})

    def dispose(self) -> None:
        # Where Node has died, there is nothing left to free.
        with suppress(NodeCrashedError):
            self._connection.call("training.dispose", {"trainer": self._trainer})

    def _examples(
        self, examples: Examples, order: NDArray[np.int32], views: NDArray[np.int32], batch_size: int
    ) -> dict[str, Any]:
        return {
            "trainer": self._trainer,
            "store": examples.store,
            "targets": examples.targets,
            "rows": (order * examples.views + views).astype(np.int32),
            "targetRows": order,
            "batchSize": batch_size,
        }
