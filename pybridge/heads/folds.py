"""Which photos each fold of a cross-validation holds out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pybridge.heads.solver import Folds

_MOST = 5
# Products of a pass over all folds, from which on there are fewer of them.
_MANY, _VERY_MANY = 5e8, 1.5e9


def fold_count(examples: int, channels: int, classes: int) -> int:
    """Five folds; three or two where there is so much to compute that more would take minutes."""
    work = float(examples) * channels * classes
    return _MOST if work <= _MANY else 3 if work <= _VERY_MANY else 2


def stratified_folds(targets: NDArray[np.integer], count: int, seed: int) -> Folds:
    """Parts of equal size with the same mix of classes.

    The members of a class that has fewer than there are folds are each in a part of their own; the only member of a class is in
    none, so that every fold knows every class.

    Args:
        targets: Classes of shape (N,).
        count: How many parts; fewer where no class has so many members.
        seed: Equal seeds give equal parts.

    Example:
        >>> sorted(stratified_folds(np.array([0, 0, 0, 1, 1, 2]), 5, 0).parts.tolist())
        [-1, 0, 0, 1, 1, 2]
    """
    random = np.random.default_rng([seed, count])
    counts = np.bincount(targets)
    count = int(min(count, counts.max(initial=1)))
    parts = np.full(len(targets), -1, np.int32)
    start = 0
    for each in np.flatnonzero(counts):
        members = random.permutation(np.flatnonzero(targets == each))
        if len(members) == 1:
            continue
        parts[members] = (start + np.arange(len(members))) % count
        # The next class goes on where this one ended, so that parts have equal sizes.
        start = (start + len(members)) % count
    return Folds(parts, max(count, 1))
