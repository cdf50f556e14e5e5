"""Callbacks of the epoch loop, in the manner of Keras."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pybridge.errors import BridgeError
from pybridge.training.history import History
from pybridge.training.options import Monitor

Logs = dict[str, float]


@dataclass
class Loop:
    """What a callback may look at and change while training runs.

    Attributes:
        epochs: How many epochs there will be at most.
        learning_rate: The learning rate of the next epoch.
        history: The finished epochs.
        stop_training: Set it to True to end training after the present epoch.
    """

    epochs: int
    learning_rate: float
    history: History
    stop_training: bool = False


class Callback:
    """Base class: override what you need. ``self.loop`` is set before training begins.

    Epochs count from 0, as in Keras. An exception ends training and reaches the caller; a run directory keeps the epochs before.

    Example:
        >>> class Print(Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(epoch, logs["loss"])
    """

    loop: Loop

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called once, before the first epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before each epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after each epoch with its metrics."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once, after the last epoch."""


class LambdaCallback(Callback):
    """Calls functions of yours.

    Args:
        on_epoch_end: ``(epoch, logs) -> None``.
        on_train_begin: ``(logs) -> None``.
        on_train_end: ``(logs) -> None``.
    """

    def __init__(
        self,
        on_epoch_end: Callable[[int, Logs], Any] | None = None,
        on_train_begin: Callable[[Logs], Any] | None = None,
        on_train_end: Callable[[Logs], Any] | None = None,
    ) -> None:
        self._on_epoch_end = on_epoch_end
        self._on_train_begin = on_train_begin
        self._on_train_end = on_train_end

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Calls the function given for it."""
        if self._on_train_begin:
            self._on_train_begin(logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Calls the function given for it."""
        if self._on_epoch_end:
            self._on_epoch_end(epoch, logs or {})

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Calls the function given for it."""
        if self._on_train_end:
            self._on_train_end(logs or {})


class EarlyStopping(Callback):
    """Ends training when a metric no longer improves. The loop itself keeps the best weights.

    Args:
        monitor: The metric; ``val_loss`` by default.
        patience: Epochs without improvement after which training stops.
        min_delta: What counts as an improvement at least.
    """

    def __init__(self, monitor: Monitor = "val_loss", patience: int = 5, min_delta: float = 0.0) -> None:
        if patience < 0 or min_delta < 0:
            raise ValueError(f"patience and min_delta must not be negative, but are {patience} and {min_delta}")
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Stops the loop once the best value is ``patience`` epochs old, as Keras does.

        It looks at the whole history, so that a continued training stops where an uninterrupted one would.
        """
        del epoch, logs
        best, waited = math.inf, 0
        for row in self.loop.history.rows:
            value = signed(row, self.monitor)
            if value < best - self.min_delta:
                best, waited = value, 0
            else:
                waited += 1
        if waited >= max(self.patience, 1):
            self.loop.stop_training = True


class ReduceLROnPlateau(Callback):
    """Lowers the learning rate when a metric no longer improves.

    Args:
        monitor: The metric; ``val_loss`` by default.
        factor: What the rate is multiplied by.
        patience: Epochs without improvement before it is.
        min_lr: The rate is never lowered below this.
    """

    def __init__(self, monitor: Monitor = "val_loss", factor: float = 0.1, patience: int = 3, min_lr: float = 0.0) -> None:
        if not 0 < factor < 1:
            raise ValueError(f"factor must lie between 0 and 1, but is {factor}")
        self.monitor = monitor
        self.factor = factor
        self.patience = patience
        self.min_lr = min_lr
        self._best = math.inf
        self._waited = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Counts the finished epochs of a continued training, whose rate is lowered already."""
        del logs
        self._best, self._waited = math.inf, 0
        for row in self.loop.history.rows:
            self._is_due(row)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Counts the epochs without improvement and lowers the rate when there were enough."""
        del epoch
        if self._is_due(logs or {}):
            self.loop.learning_rate = min(self.loop.learning_rate, max(self.loop.learning_rate * self.factor, self.min_lr))

    def _is_due(self, logs: Logs) -> bool:
        value = signed(logs, self.monitor)
        if value < self._best:
            self._best, self._waited = value, 0
            return False
        self._waited += 1
        if self._waited < self.patience:
            return False
        self._waited = 0
        return True


def signed(logs: Logs, monitor: str) -> float:
    """A metric as a number that is better the smaller it is; accuracies are negated.

    Raises:
        BridgeError: There is no such metric in ``logs``.
    """
    if monitor not in logs:
        raise BridgeError(
            f"The metric {monitor!r} is not among those of this training: {', '.join(logs)}",
            hint="Metrics that begin with val_ need validation data.",
        )
    return -logs[monitor] if "acc" in monitor else logs[monitor]
