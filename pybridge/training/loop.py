"""The epoch loop: order, best weights, early stopping, checkpoints, progress."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import NodeCrashedError
from pybridge.progress import Progress, progress
from pybridge.training.callbacks import Callback, EarlyStopping, Loop, signed
from pybridge.training.history import History
from pybridge.training.options import Monitor, TrainingOptions
from pybridge.training.schedules import mixing_shares, rate_factors
from pybridge.training.trainer import Examples, Trainer, Weights

logger = logging.getLogger(__name__)


@dataclass
class FitState:
    """Where a training stands after an epoch; enough to continue it to the same end.

    Attributes:
        history: The finished epochs.
        trainer: The trainer's state after the last of them.
        best_weights: The weights of ``history.best_epoch``.
        learning_rate: Of the next epoch.
    """

    history: History
    trainer: dict[str, Any]
    best_weights: Weights
    learning_rate: float


@dataclass
class FitResult:
    """What `fit` leaves: the history, and whether Ctrl-C ended it. The trainer holds the best weights."""

    history: History = field(default_factory=History)
    interrupted: bool = False


def fit(
    trainer: Trainer,
    training: Examples,
    validation: Examples | None,
    options: TrainingOptions,
    *,
    callbacks: Sequence[Callback] = (),
    resume: FitState | None = None,
    on_epoch: Callable[[FitState], None] | None = None,
    description: str = "Training",
) -> FitResult:
    """Trains until the epochs are over or the monitored metric stops improving; the trainer then holds the best weights.

    The order of the examples and the choice of views depend on the seed and the epoch's number alone, so that a continued
    training goes the way of an uninterrupted one.

    Args:
        trainer: What trains.
        training: Data to train on.
        validation: Data to judge by, or None.
        options: How long, in which portions, and at which rates. The trainer has been made with them too.
        callbacks: Called around the epochs, after the loop's own bookkeeping.
        resume: The state after an earlier epoch, to go on from.
        on_epoch: Told the state after each epoch; saves it.
        description: Names the work in the progress bar.

    Returns:
        The history. On Ctrl-C the best weights so far are kept and ``interrupted`` is True; without a finished epoch
        KeyboardInterrupt is raised.
    """
    history = resume.history if resume else History()
    history.engine = trainer.engine
    loop = Loop(options.epochs, resume.learning_rate if resume else options.learning_rate, history)
    best = resume.best_weights if resume else trainer.weights()
    monitor: Monitor = options.monitor or ("val_loss" if validation is not None else "loss")
    start = _judge_start(trainer, validation or training, options, monitor)
    if resume:
        trainer.restore(resume.trainer)
    everyone = [*([EarlyStopping(monitor, options.patience)] if options.patience is not None else []), *callbacks]
    for callback in everyone:
        callback.loop = loop
        callback.on_train_begin({})
    if resume and history.rows:
        _early_stopping_of(everyone, history)
    interrupted = False
    try:
        to_do = max(options.epochs - len(history), 0)
        with progress(to_do * len(training.used), description, "example") as bar:
            for epoch in range(len(history), options.epochs):
                if loop.stop_training:
                    bar.finish()
                    break
                for callback in everyone:
                    callback.on_epoch_begin(epoch, {})
                bar.set_description(f"{description}, epoch {epoch + 1}/{options.epochs}")
                order, views = _order(options.seed, epoch, training)
                steps = -(-len(order) // options.batch_size)
                factors = rate_factors(options.schedule, options.warmup_epochs, epochs=options.epochs, epoch=epoch, steps=steps)
                logs = trainer.train_epoch(
                    training,
                    order,
                    views,
                    batch_size=options.batch_size,
                    learning_rate=(loop.learning_rate * factors).astype(np.float32),
                    mixing=mixing_shares(options.mixup, seed=options.seed, epoch=epoch, steps=steps),
                    on_progress=_counter(bar),
                )
                if validation is not None:
                    measured, _ = trainer.evaluate(validation, batch_size=options.batch_size)
                    logs = {**logs, **{f"val_{name}": value for name, value in measured.items()}}
                logs = {**logs, "learning_rate": loop.learning_rate * float(factors[-1])}
                if _rank(logs, monitor) < (_rank(history.best, monitor) if history.best_epoch else start):
                    best, history.best_epoch = trainer.weights(), epoch + 1
                history.rows.append({"epoch": epoch + 1, **logs})
                for callback in everyone:
                    callback.on_epoch_end(epoch, dict(logs))
                if on_epoch:
                    on_epoch(FitState(history, trainer.state(), best, loop.learning_rate))
                bar.set_postfix(**{name: f"{value:.3f}" for name, value in logs.items() if name != "learning_rate"})
    except KeyboardInterrupt:
        if not history.rows:
            raise
        interrupted = True
        logger.warning("Stopped after %d epochs; the weights of epoch %s are kept.", len(history), history.best_epoch)
    except NodeCrashedError as error:
        error.hint = (
            f"{len(history)} epochs were finished; a training with a run directory goes on from the last of them "
            "with --resume (resume=True)."
        )
        raise
    trainer.set_weights(best)
    for callback in everyone:
        callback.on_train_end({})
    return FitResult(history, interrupted)


def _counter(bar: Progress) -> Callable[[dict[str, Any]], None]:
    seen = 0

    def count(value: dict[str, Any]) -> None:
        nonlocal seen
        bar.update(value["examples"] - seen)
        seen = value["examples"]

    return count


def _judge_start(trainer: Trainer, examples: Examples, options: TrainingOptions, monitor: str) -> tuple[float, float]:
    if not options.keep_start:
        return math.inf, math.inf
    logs, _ = trainer.evaluate(examples, batch_size=options.batch_size)
    return _rank({f"{prefix}{name}": value for name, value in logs.items() for prefix in ("", "val_")}, monitor)


def _rank(logs: Mapping[str, float], monitor: str) -> tuple[float, float]:
    """The smaller, the better. Few validation images give equal accuracies often; the loss decides between them."""
    prefix = "val_" if monitor.startswith("val_") else ""
    return signed(dict(logs), monitor), logs.get(f"{prefix}loss", 0.0)


def _order(seed: int, epoch: int, examples: Examples) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(examples.used)
    return order, random.integers(examples.views, size=len(order), dtype=np.int32)


def _early_stopping_of(callbacks: Sequence[Callback], history: History) -> None:
    """Lets early stopping see a history that had already ended by it."""
    for callback in callbacks:
        if isinstance(callback, EarlyStopping):
            callback.on_epoch_end(len(history) - 1, history.rows[-1])
