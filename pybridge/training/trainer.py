"""Trainers: what trains a model in Node. The seam between the epoch loop and the engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import BridgeError, NodeCrashedError, RemoteError
from pybridge.rpc import Connection
from pybridge.training.options import EngineName

OnProgress = Callable[[dict[str, Any]], None]
Weights = dict[str, NDArray[np.float32]]


class DivergedError(BridgeError):
    """The loss is no longer a number."""


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
    def engine(self) -> EngineName:
        """Which engine trains it."""

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
        engine: EngineName,
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
