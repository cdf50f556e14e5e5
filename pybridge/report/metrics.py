"""How good a classifier is, from its confusion matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybridge.errors import DataError

_Z95 = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Metrics:
    """Figures of a classifier; all shares are 0 to 1.

    Args:
        precision: float64 of shape (classes,): of the pictures given this class, the share that belongs to it. 0 where
            the class was never predicted.
        recall: float64 of shape (classes,): of this class's pictures, the share that was found. 0 where it has none.
        f1: float64 of shape (classes,): harmonic mean of the two.
        support: int64 of shape (classes,): pictures of each class.
        accuracy: Share of all pictures that are right.
        accuracy_interval: 95 % interval of the accuracy after Wilson (1927), for pictures drawn at random.
        balanced_accuracy: Mean recall of the classes that have pictures.
        macro_f1: Mean F1 of the classes that have pictures or were predicted.
        majority: Accuracy of always naming the most common class.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    support: NDArray[np.int64]
    accuracy: float
    accuracy_interval: tuple[float, float]
    balanced_accuracy: float
    macro_f1: float
    majority: float


def metrics_from_confusion(confusion: ArrayLike) -> Metrics:
    """Work out the usual figures.

    Precision, recall, F1, balanced accuracy and macro F1 are those of scikit-learn with ``zero_division=0``.

    Args:
        confusion: Counts of shape (classes, classes), true class by predicted class.

    Raises:
        DataError: The matrix is not square, is empty, or holds anything but whole counts.

    Example:
        >>> metrics_from_confusion([[8, 2], [1, 9]]).accuracy
        0.85
    """
    matrix = check_confusion(confusion)
    support, predicted, right = matrix.sum(axis=1), matrix.sum(axis=0), np.diag(matrix)
    total = int(support.sum())
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(support + predicted, 1)
    known, present = support > 0, (support + predicted) > 0
    correct = int(right.sum())
    return Metrics(
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        accuracy=correct / total if total else 0.0,
        accuracy_interval=_wilson(correct, total),
        balanced_accuracy=float(recall[known].mean()) if known.any() else 0.0,
        macro_f1=float(f1[present].mean()) if present.any() else 0.0,
        majority=float(support.max() / total) if total else 0.0,
    )


def check_confusion(confusion: ArrayLike) -> NDArray[np.int64]:
    """The matrix as int64.

    Raises:
        DataError: As `metrics_from_confusion`.
    """
    matrix: NDArray[Any] = np.asarray(confusion)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise DataError(f"a confusion matrix must have the shape (classes, classes), not {matrix.shape}")
    if matrix.dtype.kind not in "iu" or matrix.min() < 0:
        raise DataError(f"a confusion matrix must hold counts from 0 on, not {matrix.dtype} from {matrix.min()}")
    return matrix.astype(np.int64)


def _wilson(correct: int, total: int) -> tuple[float, float]:
    if not total:
        return 0.0, 1.0
    share, z2 = correct / total, _Z95 * _Z95
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return max(centre - half, 0.0), min(centre + half, 1.0)
