"""A set of pictures with their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import DataError

Picture = Path | NDArray[np.uint8]
"""A file, or pixels of shape (height, width, 3), RGB."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Pictures, either files or pixels, each with the number of its class.

    Args:
        images: Pixels as uint8 of shape (N, H, W, 3), RGB; or a list of paths, or of pixels of several sizes.
        labels: int32 of shape (N,); ``class_names[labels[i]]`` is the class of picture ``i``.
        class_names: One name for each class.
        positions: int64 of shape (N,): where each picture stood in the array that the user gave. Default: 0 to N - 1.

    Raises:
        DataError: The lengths differ, or a label has no class name.

    Example:
        >>> pixels = np.zeros((2, 8, 8, 3), np.uint8)
        >>> ImageSet(pixels, np.array([0, 1], np.int32), ("cat", "dog")).take([1]).source(0)
        'array[1]'
    """

    images: Sequence[Picture] | NDArray[np.uint8]
    labels: NDArray[np.int32]
    class_names: tuple[str, ...]
    positions: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise DataError(f"{len(self.images)} images, but {len(self.labels)} labels")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise DataError(
                f"labels run from {self.labels.min()} to {self.labels.max()}, but there are {len(self.class_names)} classes"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def is_array(self) -> bool:
        """Whether the pictures are pixels of one size in memory; False for files, and for pixels of several sizes."""
        return isinstance(self.images, np.ndarray)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Pictures of each class: int64 of shape (classes,)."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    def source(self, index: int) -> str:
        """Name one picture for people: its path, or ``"array[12]"`` by its place in the array that the user gave."""
        if isinstance(picture := self.images[index], Path):
            return str(picture)
        return f"array[{index if self.positions is None else int(self.positions[index])}]"

    def take(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> ImageSet:
        """The pictures at ``indices``, in that order, as a set with the same classes."""
        chosen = np.asarray(indices, np.int64)
        labels = self.labels[chosen]
        positions = chosen if self.positions is None else self.positions[chosen]
        if isinstance(self.images, np.ndarray):
            return ImageSet(self.images[chosen], labels, self.class_names, positions)
        return ImageSet([self.images[i] for i in chosen], labels, self.class_names, positions)
