"""Checkpoints: one file that holds all a killed training needs to go on, replaced atomically after each epoch."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import ModelFormatError
from pybridge.storage.files import replacing
from pybridge.training.history import History
from pybridge.training.loop import FitState

CHECKPOINT = "latest.npz"


def write_checkpoint(folder: Path, state: FitState) -> None:
    """Writes the state after an epoch; a reader finds the former file or the new one, never a part."""
    folder.mkdir(parents=True, exist_ok=True)
    trainer = state.trainer
    arrays: dict[str, NDArray[Any]] = {f"best/{name}": value for name, value in state.best_weights.items()}
    for group in ("weights", "optimizer"):
        arrays |= {f"{group}/{position}": value for position, value in enumerate(trainer[group])}
    plain = {
        "rows": state.history.rows,
        "best_epoch": state.history.best_epoch,
        "engine": state.history.engine,
        "learning_rate": state.learning_rate,
        "trainer": {name: value for name, value in trainer.items() if name not in ("weights", "optimizer")},
    }
    with replacing(folder / CHECKPOINT) as file:
        np.savez(file, allow_pickle=False, state=np.array(json.dumps(plain)), **arrays)


def read_checkpoint(folder: Path) -> FitState | None:
    """The state that `write_checkpoint` left, or None where there is none.

    Raises:
        ModelFormatError: The file is damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        plain = json.loads(str(arrays.pop("state")))
        trainer = dict(plain["trainer"])
        for group in ("weights", "optimizer"):
            count = sum(name.startswith(f"{group}/") for name in arrays)
            trainer[group] = [arrays[f"{group}/{position}"] for position in range(count)]
        best = {name.removeprefix("best/"): value for name, value in arrays.items() if name.startswith("best/")}
        return FitState(History(plain["rows"], plain["best_epoch"], plain.get("engine")), trainer, best, plain["learning_rate"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise ModelFormatError(
            f"The checkpoint {path} is damaged: {error}", hint="Delete it to train from the beginning."
        ) from error
