"""Presets: how much is tried for a more accurate classifier, and what may be tried in the time that there is."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from typing import Any

from pybridge import zoo
from pybridge.training.callbacks import Callback
from pybridge.training.options import Preset

logger = logging.getLogger(__name__)

# Of the time that all features took: an epoch of fine-tuning with its judging, and what comes before the first one.
_EPOCH_SHARE, _BEGINNING_SHARE = 0.8, 2.0
_FEWEST_EPOCHS = 2


@dataclass(frozen=True)
class Plan:
    """What a preset tries behind the head.

    Attributes:
        bases: Whether the heads of all bases at hand are compared.
        epochs: Of fine-tuning; 0 for none.
        unfreeze: How much of the base then trains.
    """

    bases: bool = False
    epochs: int = 0
    unfreeze: float = 0.3


PLANS: dict[Preset, Plan] = {
    "fast": Plan(),
    "balanced": Plan(epochs=10),
    "best": Plan(bases=True, epochs=20),
}


@dataclass
class Budget:
    """The time that there is for a training.

    Args:
        seconds: All of it; None for as long as it takes.
    """

    seconds: float | None
    _begun: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._begun

    @property
    def left(self) -> float:
        """Seconds."""
        return math.inf if self.seconds is None else self.seconds - self.spent

    def epochs(self, wanted: int, head_seconds: float) -> int:
        """How many epochs of fine-tuning fit in, at most as many as are wanted; 0 where too few do.

        Args:
            wanted: How many there would be.
            head_seconds: What the features and the head took.
        """
        if math.isinf(self.left):
            return wanted
        fitting = (self.left - _BEGINNING_SHARE * head_seconds) / max(_EPOCH_SHARE * head_seconds, 1e-3)
        return min(wanted, int(fitting)) if fitting >= _FEWEST_EPOCHS else 0


class Deadline(Callback):
    """Ends training where another epoch would not fit into the time that is left.

    Args:
        budget: The time.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._last = budget.spent

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002, a callback's call
        """Starts the clock of the first epoch."""
        self._last = self._budget.spent

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002, a callback's call
        """Compares the time of the epoch with what is left."""
        took, self._last = self._budget.spent - self._last, self._budget.spent
        if took > self._budget.left:
            logger.warning("The time is over after epoch %d.", epoch + 1)
            self.loop.stop_training = True


def bases_at_hand(base: Any) -> list[Any]:
    """The base that was asked for, and what else of the zoo is on this machine.

    Args:
        base: As `ImageClassifier` takes it.
    """
    return [base, *(entry.name for entry in zoo.at_hand() if entry.name != base)]
