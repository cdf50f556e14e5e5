"""What the peers written in Python read of the workload. It imports nothing of pybridge, of which some are to use nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORKLOAD_FILE = "workload.json"
SCRIPT = "crossing.js"
HEAD_RATE = 1e-3
FINE_TUNING_RATE = 1e-5
"""Learning rates of Adam; the second as in Keras's guide to transfer learning."""
SEED = 0


@dataclass(frozen=True)
class Workload:
    """A workload's folder.

    Attributes:
        folder: Where it is.
        facts: What its ``workload.json`` says.
    """

    folder: Path
    facts: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Workload:
        """Reads ``workload.json``."""
        return cls(folder, json.loads((folder / WORKLOAD_FILE).read_text("utf-8")))

    @property
    def batch(self) -> int:
        """Pictures in a step."""
        return int(self.facts["batch"])

    def files(self, count: int) -> list[Path]:
        """The first pictures."""
        return [self.folder / name for name in self.facts["files"][:count]]

    def labels(self, count: int) -> NDArray[np.int32]:
        """Their classes: int32 of shape (count,)."""
        return np.array(self.facts["labels"][:count], np.int32)

    def pixels(self, count: int) -> NDArray[np.uint8]:
        """They, decoded and resized: uint8 of shape (count, height, width, 3)."""
        shape = (count, self.facts["height"], self.facts["width"], 3)
        pixels = np.fromfile(self.folder / "pixels.bin", np.uint8, int(np.prod(shape)))
        return pixels.reshape(shape)

    def scaled(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pixels as the model takes them: float32 of the same shape."""
        mean, std = np.array(self.facts["mean"], np.float32), np.array(self.facts["std"], np.float32)
        scaled: NDArray[np.float32] = (pixels.astype(np.float32) - mean) / std
        return scaled

    def features(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Cached features, float32 of shape (rows, channels), and their classes, int32 of shape (rows,)."""
        values = np.fromfile(self.folder / "features.bin", np.float32).reshape(-1, self.facts["features"])
        return values, np.fromfile(self.folder / "feature_labels.bin", np.int32)

    def order(self, count: int) -> NDArray[np.int64]:
        """The order in which pybridge trains on so many examples in its first epoch, for the others to do the same."""
        return np.random.default_rng([SEED, 0]).permutation(count)
