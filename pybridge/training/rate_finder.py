"""The learning-rate range test: a short training whose rate rises until the loss explodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import BridgeError, DataError
from pybridge.progress import progress
from pybridge.report.rates import rates_page, rates_svg
from pybridge.training.schedules import mixing_shares
from pybridge.training.trainer import DivergedError, Examples, Trainer

# The usual numbers of this test, as fastai has them: what counts as an explosion, and how far below the minimum one stays.
_EXPLOSION = 4.0
_BELOW_MINIMUM = 10.0
_SMOOTHING = 0.9
# As many losses as the smoothed one remembers; before that it follows single batches, whose differences are no descent.
_SETTLED = round(1 / (1 - _SMOOTHING))
_FEWEST = 5


@dataclass(frozen=True)
class RateSearch:
    """Which rates are tried.

    Args:
        lowest: The first.
        highest: The last; the test ends before where the loss explodes.
        steps: How many, each by the same factor greater than the one before.
        batch_size: Examples in a step.
        seed: Of their order.
        mixup: As in `TrainingOptions`.
    """

    lowest: float = 1e-6
    highest: float = 10.0
    steps: int = 100
    batch_size: int = 32
    seed: int = 0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.lowest < self.highest < math.inf:
            raise ValueError(f"learning rates must rise from above 0, not from {self.lowest!r} to {self.highest!r}")
        if self.steps < _FEWEST:
            raise ValueError(f"steps must be at least {_FEWEST}, not {self.steps!r}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, but is {self.batch_size}")

    @property
    def rates(self) -> NDArray[np.float64]:
        """All of them: float64 of shape (steps,)."""
        return np.geomspace(self.lowest, self.highest, self.steps)


@dataclass(frozen=True)
class RateCurve:
    """What the loss did as the learning rate rose.

    Attributes:
        rates: Of the steps that were made.
        losses: Of each step's batch, before the step.
        smoothed: Their exponentially weighted mean.
        exploded: Whether the loss ended the test, and not the last rate.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    exploded: bool

    @property
    def suggestion(self) -> float:
        """The rate to train with: where the smoothed loss falls fastest, but at most a tenth of where it is lowest.

        Of 12 trainings of a head on EfficientNet-Lite0 (TrashNet and sign_digits, 40 images a class, adam and sgd, three seeds)
        the steepest descent ended with the lower validation loss in 10, one was a tie, and in one it was a late jump and far
        too high; a tenth of the minimum was ten times too high on TrashNet with adam. The smaller of both was never the worse.
        """
        return min(self.steepest, self.tenth_of_minimum)

    @property
    def tenth_of_minimum(self) -> float:
        """A tenth of the rate where the smoothed loss is lowest."""
        return self.rates[int(np.argmin(self.smoothed))] / _BELOW_MINIMUM

    @property
    def steepest(self) -> float:
        """The rate where the smoothed loss falls fastest, as a function of the rate's logarithm.

        The first ten steps are not looked at, where there are others: the mean of fewer losses jumps from batch to batch.
        """
        end = max(int(np.argmin(self.smoothed)) + 1, 2)
        slopes = np.gradient(np.array(self.smoothed[:end]), np.log(self.rates[:end]))
        start = _SETTLED if end > 2 * _SETTLED else 0
        return self.rates[start + int(np.argmin(slopes[start:]))]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "suggestion": self.suggestion,
            "tenth_of_minimum": self.tenth_of_minimum,
            "steepest": self.steepest,
            "exploded": self.exploded,
            "rates": list(self.rates),
            "losses": list(self.losses),
            "smoothed": list(self.smoothed),
        }

    def svg(self) -> str:
        """The curve as an SVG drawing."""
        return rates_svg(self.rates, self.losses, self.smoothed, self.suggestion)

    def write_html(self, path: str | Path) -> None:
        """Writes the curve as one HTML file.

        Raises:
            DataError: The file cannot be written.
        """
        rates_page(Path(path), self.rates, self.losses, self.smoothed, self.suggestion)

    def _repr_html_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        lowest = int(np.argmin(self.smoothed))
        return (
            f"learning rate {self.suggestion:.2g}  (the loss falls fastest at {self.steepest:.2g}, and is lowest at "
            f"{self.rates[lowest]:.2g} with {self.smoothed[lowest]:.4f})"
        )


def find_rates(trainer: Trainer, examples: Examples, search: RateSearch) -> RateCurve:
    """Trains one step with each rate, from the lowest on, until the loss explodes; the trainer then is as it was.

    This is the range test of Smith (2017, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186, section
    3.3), with rates that rise exponentially.

    Args:
        trainer: What trains.
        examples: Data to train on.
        search: Which rates.

    Raises:
        DataError: The loss is no number from the beginning.

    Example:
        >>> find_rates(trainer, examples, RateSearch()).suggestion
        0.0066
    """
    start = trainer.state()
    losses: list[float] = []
    smoothed: list[float] = []
    exploded = False
    mean = 0.0
    batches = _batches(examples, search)
    mixing = mixing_shares(search.mixup, seed=search.seed, epoch=0, steps=search.steps)
    try:
        with progress(search.steps, "Learning rates", "step") as bar:
            for i, rate in enumerate(search.rates):
                try:
                    loss = _step(trainer, examples, batches[i], float(rate), None if mixing is None else mixing[i : i + 1])
                except DivergedError as error:
                    if not losses:
                        raise DataError(f"There is no loss to follow: {error.message}", hint=error.hint) from None
                    exploded = True
                    break
                mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
                losses.append(loss)
                # The mean begins at 0: without this it would be drawn towards it (Kingma and Ba 2015, section 3).
                smoothed.append(mean / (1 - _SMOOTHING ** len(losses)))
                bar.update()
                if smoothed[-1] > _EXPLOSION * min(smoothed):
                    exploded = True
                    break
    finally:
        _restore(trainer, start)
    rates = tuple(float(rate) for rate in search.rates[: len(losses)])
    return RateCurve(rates, tuple(losses), tuple(smoothed), exploded)


def _step(
    trainer: Trainer, examples: Examples, order: NDArray[np.int32], rate: float, mixing: NDArray[np.float32] | None
) -> float:
    logs = trainer.train_epoch(examples, order, np.zeros_like(order), batch_size=len(order), learning_rate=rate, mixing=mixing)
    return logs["loss"]


def _batches(examples: Examples, search: RateSearch) -> list[NDArray[np.int32]]:
    size = min(search.batch_size, len(examples.used))
    random = np.random.default_rng([search.seed, 2])
    rounds = -(-search.steps * size // len(examples.used)) + 1
    order = np.concatenate([random.permutation(examples.used) for _ in range(rounds)])
    return [order[i * size : (i + 1) * size] for i in range(search.steps)]


def _restore(trainer: Trainer, state: dict[str, Any]) -> None:
    try:
        trainer.restore(state)
    except BridgeError:
        # Where Node has died there is nothing to restore, and the first error is the one to tell.
        return
