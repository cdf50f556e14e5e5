"""Two sets of outputs, compared example by example."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pybridge.parity.tolerance import FLUSHED, largest


@dataclass(frozen=True)
class Difference:
    """How outputs differ from those of the reference.

    Attributes:
        absolute: The largest absolute difference of each example, over all outputs: float64 of shape (examples,). A number on
            one side and none on the other, or infinities of other signs, count as infinitely far apart.
        relative: The same, as a share of the largest output of the example in the reference; 0 where the difference is next
            to nothing, so that a denormal number beside 0 is not infinitely far from it.
        ulp: The largest distance in units in the last place of float32, over everything.
        identical: Whether every bit is the same; any NaN equals any other.
    """

    absolute: NDArray[np.float64]
    relative: NDArray[np.float64]
    ulp: int
    identical: bool


def difference(reference: list[NDArray[np.generic]], found: list[NDArray[np.generic]]) -> Difference:
    """Compares outputs of equal shapes, each of shape (examples, ...)."""
    pairs = list(zip(reference, found, strict=True))
    each = [_absolute(one, other) for one, other in pairs]
    scales = [largest(one.astype(np.float64)) for one, _ in pairs]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [np.where(gap <= FLUSHED, 0.0, gap / scale) for gap, scale in zip(each, scales, strict=True)]
    return Difference(
        absolute=np.max(each, axis=0),
        relative=np.max(shares, axis=0),
        ulp=max(max_ulp_diff(one, other) for one, other in pairs),
        identical=all(np.array_equal(one, other, equal_nan=True) for one, other in pairs),
    )


def labels_agree(
    reference: NDArray[np.generic], found: NDArray[np.generic], tolerances: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """For each example whether both give the same class; classes that are nearer to each other than the tolerance are a tie.

    Args:
        reference: Scores of shape (examples, classes).
        found: The same from another runtime.
        tolerances: How far a score may be off, for each example.

    Returns:
        True where the other runtime's class is the best one in the reference, or less than two tolerances below the best one.
        The difference of two scores may be off by both their errors.
    """
    rows = np.arange(len(reference))
    scores = reference.astype(np.float64)
    gap = scores.max(axis=1) - scores[rows, found.argmax(axis=1)]
    agree: NDArray[np.bool_] = (reference.argmax(axis=1) == found.argmax(axis=1)) | (gap <= 2 * tolerances) & (tolerances > 0)
    return agree


def classes_output(outputs: list[NDArray[np.generic]]) -> int | None:
    """The position of the first output that looks like scores of classes: of shape (examples, 2 or more)."""
    return next((i for i, output in enumerate(outputs) if output.ndim == 2 and output.shape[1] > 1), None)


def max_ulp_diff(one: NDArray[np.generic], other: NDArray[np.generic]) -> int:
    """The largest distance of two float32 arrays in units in the last place: how many floats lie between.

    The bits of a float, read as a sign and a magnitude, count the floats from zero on; the two's complement is
    undone for negative numbers (Bruce Dawson, "Comparing Floating Point Numbers", 2012). Two NaN are 0 apart.
    """
    if not one.size:
        return 0
    distance = np.abs(_ordered(one) - _ordered(other))
    return int(np.where(np.isnan(one.astype(np.float32)) & np.isnan(other.astype(np.float32)), 0, distance).max())


def _ordered(values: NDArray[np.generic]) -> NDArray[np.int64]:
    bits = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _absolute(one: NDArray[np.generic], other: NDArray[np.generic]) -> NDArray[np.float64]:
    first, second = one.astype(np.float64), other.astype(np.float64)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore"):
        gaps = np.where(same, 0.0, np.abs(first - second))
    gaps = np.where(np.isnan(gaps), np.inf, gaps)
    worst: NDArray[np.float64] = gaps.reshape(len(gaps), -1).max(axis=1, initial=0.0)
    return worst
