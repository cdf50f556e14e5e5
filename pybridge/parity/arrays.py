"""Lists of arrays as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def save_list(file: Path, arrays: Sequence[NDArray[Any]]) -> None:
    """Writes arrays into one ``.npz`` file, in order."""
    with file.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{f"array_{position}": value for position, value in enumerate(arrays)})


def load_list(file: Path) -> list[NDArray[Any]]:
    """The inverse of `save_list`; runs no code of the file."""
    with np.load(file, allow_pickle=False) as stored:
        return [stored[f"array_{position}"] for position in range(len(stored.files))]
