"""What training reports for each finished epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pybridge.training.options import EngineName


@dataclass
class History:
    """The metrics of each epoch, in the manner of Keras's ``History``.

    Attributes:
        rows: One dict for each finished epoch, with ``epoch`` counted from 1.
        best_epoch: The epoch whose weights were kept, counted from 1; None before the first epoch.
        engine: Which engine trained, the last one where a run was fine-tuned; None before training.

    Example:
        >>> History([{"epoch": 1, "loss": 0.7}, {"epoch": 2, "loss": 0.5}]).history["loss"]
        [0.7, 0.5]
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int | None = None
    engine: EngineName | None = None

    @property
    def history(self) -> dict[str, list[float]]:
        """Each metric's values over the epochs, as Keras names them: ``loss``, ``accuracy``, ``val_loss``, ..."""
        names = [name for name in (self.rows[0] if self.rows else {}) if name != "epoch"]
        return {name: [row[name] for row in self.rows if name in row] for name in names}

    @property
    def epoch(self) -> list[int]:
        """The epochs' numbers, counted from 0 as in Keras."""
        return [int(row["epoch"]) - 1 for row in self.rows]

    @property
    def best(self) -> dict[str, float]:
        """The metrics of the epoch whose weights were kept; empty before the first epoch."""
        return next((row for row in self.rows if row["epoch"] == self.best_epoch), {})

    def __len__(self) -> int:
        return len(self.rows)

    def extended(self, rows: Iterable[Mapping[str, float]], best_epoch: int | None, engine: EngineName | None = None) -> History:
        """This history, followed by the epochs of a later training, numbered on.

        Args:
            rows: Those epochs, with ``epoch`` counted from 1.
            best_epoch: The best of them; None where none was better than what this history ended with.
            engine: Which engine trained them; None where there are none yet.
        """
        offset = len(self.rows)
        later = [{**row, "epoch": row["epoch"] + offset} for row in rows]
        return History(
            [*self.rows, *later], self.best_epoch if best_epoch is None else best_epoch + offset, engine or self.engine
        )

    def __repr__(self) -> str:
        best = ", ".join(f"{name} {value:.4f}" for name, value in self.best.items() if name != "epoch")
        return f"History({len(self.rows)} epochs" + (f"; best is {self.best_epoch}: {best})" if best else ")")
