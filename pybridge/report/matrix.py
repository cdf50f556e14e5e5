"""The confusion matrix: cells for few classes, a picture and a list for many."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pybridge.report.content import Prediction
from pybridge.report.pages import data_address, percent

MAX_CLASSES_AS_TABLE = 40
MAX_PAIRS = 30

_PICTURE_SIDE = 600
_HEAT = (47, 111, 222)
_WRONG_HEAT = (217, 83, 30)


@dataclass(frozen=True)
class Cell:
    """One pair of classes.

    Attributes:
        true: Number of the true class.
        said: Number of the class that the model gave.
        count: How many images.
        share: Of the true class's images.
        label: The same in words.
        pictures: How many of the images the gallery shows.
        kind: Classes of the style sheet.
        shade: Of the colour, in percent.
    """

    true: int
    said: int
    count: int
    share: float
    label: str
    pictures: int
    kind: str = ""
    shade: str = ""


@dataclass(frozen=True)
class Matrix:
    """What the page shows.

    Attributes:
        rows: The cells, true by predicted; none where there are too many classes.
        pairs: The classes that are confused most.
        picture: For many classes the matrix as the address of a picture.
        side: Of the picture, in pixels.
    """

    rows: Sequence[Sequence[Cell]]
    pairs: Sequence[Cell]
    picture: str | None = None
    side: int = 0


def matrix(confusion: NDArray[np.int64], class_names: Sequence[str], shown: Sequence[Prediction]) -> Matrix:
    """Lays out the confusion matrix, and lists the classes that are confused most.

    Args:
        confusion: Counts, true by predicted.
        class_names: As in `ReportData`.
        shown: The predictions that the gallery shows; cells that have some become buttons.
    """
    pictures = Counter((prediction.true, prediction.predicted) for prediction in shown)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    if len(class_names) > MAX_CLASSES_AS_TABLE:
        picture, side = _picture(confusion, shares)
        return Matrix((), _pairs(confusion, shares, class_names, pictures, MAX_PAIRS), picture, side)
    numbers = range(len(class_names))
    rows = [[_cell(confusion, shares, class_names, i, j, pictures[i, j]) for j in numbers] for i in numbers]
    return Matrix(rows, _pairs(confusion, shares, class_names, pictures, 5))


def _cell(confusion: NDArray[np.int64], shares: NDArray[np.float64], names: Sequence[str], i: int, j: int, pictures: int) -> Cell:
    count, share = int(confusion[i, j]), float(shares[i, j])
    # Few errors must be visible too, so the shade grows with the root of their share.
    shade = 8 + 84 * (share if i == j else share**0.5)
    kind = ("right" if i == j else "wrong") + (" strong" if shade > 55 else "")
    label = f"true {names[i]}, said {names[j]}: {count} ({percent(share)})"
    return Cell(i, j, count, share, label, pictures, kind, f"{shade:.0f}")


def _pairs(
    confusion: NDArray[np.int64],
    shares: NDArray[np.float64],
    names: Sequence[str],
    pictures: Counter[tuple[int, int]],
    limit: int,
) -> list[Cell]:
    errors = confusion.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:limit]
    places = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, errors.shape), strict=True) if errors[i, j]]
    return [
        Cell(i, j, int(errors[i, j]), float(shares[i, j]), f"images of {names[i]} taken for {names[j]}", pictures[i, j])
        for i, j in places
    ]


def _picture(confusion: NDArray[np.int64], shares: NDArray[np.float64]) -> tuple[str, int]:
    from PIL import Image

    classes = len(confusion)
    pixels = np.empty((classes, classes, 4), np.uint8)
    pixels[..., :3] = _WRONG_HEAT
    pixels[np.arange(classes), np.arange(classes), :3] = _HEAT
    pixels[..., 3] = np.where(confusion > 0, 55 + 200 * np.sqrt(shares), 0)
    scale = max(_PICTURE_SIDE // classes, 1)
    buffer = io.BytesIO()
    Image.fromarray(pixels.repeat(scale, 0).repeat(scale, 1)).save(buffer, "PNG", optimize=True)
    return data_address(buffer.getvalue(), "png"), classes * scale
