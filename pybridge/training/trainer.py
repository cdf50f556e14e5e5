"""Trainers: what trains a model in Node. The seam between the epoch loop and the engines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import BridgeError, NodeCrashedError, RemoteError
from pybridge.optimizers import training_optimizer
from pybridge.rpc import Connection

OnProgress = Callable[[dict[str, Any]], None]
Weights = dict[str, NDArray[np.float32]]

ENGINES = ("compiled", "layers")
AUTO = "auto"
"""Asks for the first engine that can train the model."""
LOSSES = (
    "binary_crossentropy",
    "categorical_crossentropy",
    "mean_absolute_error",
    "mean_squared_error",
    "sparse_categorical_crossentropy",
)


class DivergedError(BridgeError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class TrainerSettings:
    """How a model trains; every engine understands the same settings.

    Args:
        optimizer: ``adam``, ``adamw`` (``adam`` with a weight decay of 0.004 where none is given), ``rmsprop`` or ``sgd``.
        learning_rate: The rate of the first epoch.
        momentum: For ``sgd``.
        nesterov: Whether the momentum is Nesterov's.
        weight_decay: Decoupled decay of kernels at each step, as a share of the learning rate; 0 is none.
        global_clipnorm: Gradients that are longer, all of them together as one vector, are shortened to this; None for none.
        loss: A Keras loss name, such as ``sparse_categorical_crossentropy``.
        mixup: Whether examples are mixed, with the shares that `Trainer.train_epoch` is given.
        label_smoothing: Share of the target that is spread over all classes; for ``sparse_categorical_crossentropy``.
        seed: Of dropout.
        hold_batch_normalization: Whether batch normalization stays in inference mode while its layer trains.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    global_clipnorm: float | None = None
    loss: str = "sparse_categorical_crossentropy"
    label_smoothing: float = 0.0
    mixup: bool = False
    seed: int = 0
    hold_batch_normalization: bool = True

    def __post_init__(self) -> None:
        training_optimizer(self.optimizer)
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not {self.loss!r}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, not {self.learning_rate!r}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), not {self.label_smoothing!r}")
        if not 0 <= self.weight_decay < math.inf or not 0 <= self.momentum < 1:
            raise ValueError("weight_decay must be finite and not negative, and momentum must be in [0, 1)")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, but is {self.seed!r}")

        if self.nesterov and not (self.optimizer == "sgd" and self.momentum):
            raise ValueError("nesterov needs the optimizer sgd with a momentum")
        if self.global_clipnorm is not None and not self.global_clipnorm > 0:
            raise ValueError(f"global_clipnorm must be positive or None, not {self.global_clipnorm!r}")

    @property
    def algorithm(self) -> str:
        """Whose steps the optimizer makes; see `TrainingOptimizer`."""
        return training_optimizer(self.optimizer).algorithm

    @property
    def decay(self) -> float:
        """The weight decay in use."""
        return self.weight_decay or training_optimizer(self.optimizer).weight_decay

    @property
    def graph_seed(self) -> int:
        """The seed as a graph takes it, which is int32."""
        return self.seed % 2**31

    @property
    def numbers(self) -> NDArray[np.float32]:
        """Momentum, weight decay, clip norm (0 for none) and label smoothing: float32 of shape (4,)."""
        return np.array([self.momentum, self.decay, self.global_clipnorm or 0.0, self.label_smoothing], np.float32)

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

    @property
    def engine(self) -> str:
        """Which engine trains it: one of `ENGINES`."""

    def train_epoch(
        self,
        examples: Examples,
        order: NDArray[np.int32],
        views: NDArray[np.int32],
        *,
        batch_size: int,
        learning_rate: float | NDArray[np.float32],
        mixing: NDArray[np.float32] | None = None,
        on_progress: OnProgress | None = None,
    ) -> dict[str, float]:
        """Trains one pass over ``order``, with view ``views[i]`` of example ``order[i]``; gives the metrics.

        Args:
            examples: What to train on.
            order: int32, the examples in their order.
            views: int32, the view of each.
            batch_size: Examples in a step.
            learning_rate: One for all steps, or float32 of shape (steps,).
            mixing: For mixup, the share that examples keep of themselves in each step: float32 of shape (steps,).
            on_progress: Told ``{"examples", "loss"}``, what the epoch has seen so far.

        Raises:
            DivergedError: The loss is no longer a number.
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


class NodeTrainer:
    """The Python side of a trainer in ``node_runner/engines``; all engines answer the same calls.

    Args:
        engine: Its name.
        connection: To the process that holds it. After a crash, calls must not reach its successor.
        method: What creates it in Node.
        parameters: Of that method.
        names: The weights' names, in the order in which Node gives and takes them.
        rest: Weights that do not take part.
    """

    def __init__(
        self,
        engine: str,
        connection: Connection,
        method: str,
        parameters: dict[str, Any],
        names: Sequence[str],
        rest: Weights | None = None,
    ) -> None:
        self.engine = engine
        self._connection = connection
        self._names = list(names)
        self._rest = dict(rest or {})
        self._trainer: int = connection.call(method, parameters)

    def train_epoch(
        self,
        examples: Examples,
        order: NDArray[np.int32],
        views: NDArray[np.int32],
        *,
        batch_size: int,
        learning_rate: float | NDArray[np.float32],
        mixing: NDArray[np.float32] | None = None,
        on_progress: OnProgress | None = None,
    ) -> dict[str, float]:
        """Trains one pass; see `Trainer.train_epoch`."""
        weights = examples.sample_weights
        steps = -(-len(order) // batch_size)
        rates = np.broadcast_to(np.asarray(learning_rate, np.float32), steps)
        parameters = {
            **self._examples(examples, order, views, batch_size),
            "sampleWeights": None if weights is None else weights[order].astype(np.float32),
            "rates": np.ascontiguousarray(rates),
            "mixing": np.ones(steps, np.float32) if mixing is None else mixing.astype(np.float32),
        }
        try:
            logs: dict[str, float] = self._connection.call("training.epoch", parameters, on_progress=on_progress)
        except RemoteError as error:
            if error.name != "DivergenceError":
                raise
            raise DivergedError(
                f"Training diverged: {error.remote_message}",
                hint=f"Lower the learning rate, which was {rates.max():g}, and look for NaN in the data.",
            ) from None
        return logs

    def evaluate(
        self, examples: Examples, *, batch_size: int, on_progress: OnProgress | None = None
    ) -> tuple[dict[str, float], NDArray[np.float32]]:
        """Metrics over all examples, and the outputs."""
        order = examples.used
        parameters = self._examples(examples, order, np.zeros_like(order), batch_size)
        answer = self._connection.call("training.evaluate", parameters, on_progress=on_progress)
        return answer["logs"], answer["outputs"]

    def weights(self) -> Weights:
        """All weights by name."""
        values = self._connection.call("training.weights", {"trainer": self._trainer})
        return {**dict(zip(self._names, values, strict=True)), **self._rest}

    def set_weights(self, weights: Weights) -> None:
        """Replaces all weights."""
        values = [weights[name] for name in self._names]
        self._connection.call("training.setWeights", {"trainer": self._trainer, "weights": values})

    def state(self) -> dict[str, Any]:
        """All that `restore` needs."""
        state: dict[str, Any] = self._connection.call("training.state", {"trainer": self._trainer})
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self._connection.call("training.restore", {"trainer": self._trainer, "state": state})

    def dispose(self) -> None:
        """Frees what the trainer holds in Node."""
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
