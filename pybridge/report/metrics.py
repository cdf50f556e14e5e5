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

    They are those of `sklearn.metrics` with ``zero_division=0``; only the interval is not in there.

    Args:
        confusion: Counts of shape (classes, classes), true class by predicted class.

    Raises:
        DataError: The matrix is not square, is empty, or holds anything but whole counts.

    Example:
        >>> metrics_from_confusion([[8, 2], [1, 9]]).accuracy
        0.85
    """
    # Imported here: who only draws a page need not wait for it.
    from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support, recall_score

    matrix = check_confusion(confusion)
    classes, support = np.arange(len(matrix)), matrix.sum(axis=1)
    total, correct = int(support.sum()), int(np.trace(matrix))
    if not total:
        none = np.zeros(len(matrix))
        return Metrics(none, none, none, support, 0.0, wilson_interval(0, 0), 0.0, 0.0, 0.0)
    # Each cell is one pair of labels that counts as often as it was seen.
    true, said = np.nonzero(matrix)
    pairs = {"y_true": true, "y_pred": said, "sample_weight": matrix[true, said]}
    precision, recall, f1, _ = precision_recall_fscore_support(**pairs, labels=classes, zero_division=0)
    known, present = classes[support > 0], np.union1d(true, said)
    return Metrics(
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        accuracy=float(accuracy_score(**pairs)),
        accuracy_interval=wilson_interval(correct, total),
        balanced_accuracy=float(recall_score(**pairs, labels=known, average="macro", zero_division=0)),
        macro_f1=float(f1_score(**pairs, labels=present, average="macro", zero_division=0)),
        majority=float(support.max() / total),
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


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, for draws at random.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", J. Am. Stat. Assoc. 22, 1927.

    Args:
        correct: How many were right.
        total: How many there were.

    Returns:
        Lower and upper end, 0 to 1; everything is possible where there were none.

    Example:
        >>> wilson_interval(8, 10)
        (0.4901624715366418, 0.9433178485456248)
    """
    if not total:
        return 0.0, 1.0
    share, z2 = correct / total, _Z95 * _Z95
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return max(centre - half, 0.0), min(centre + half, 1.0)
