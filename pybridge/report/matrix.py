"""The confusion matrix: cells for few classes, a picture and a list for many."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pybridge.report.content import Prediction
from pybridge.report.markup import name, percent, table, text

MAX_CLASSES_AS_TABLE = 40
MAX_PAIRS = 30

_PICTURE_SIDE = 600
_HEAT = (47, 111, 222)
_WRONG_HEAT = (217, 83, 30)


def matrix(confusion: NDArray[np.int64], class_names: Sequence[str], shown: Sequence[Prediction]) -> str:
    """Draw the confusion matrix and list the classes that are confused most.

    Args:
        confusion: Counts, true by predicted.
        class_names: As in `ReportData`.
        shown: The predictions that the gallery shows; cells that have some become buttons.

    Returns:
        HTML.
    """
    pictures = Counter((prediction.true, prediction.predicted) for prediction in shown)
    if len(class_names) > MAX_CLASSES_AS_TABLE:
        return _picture(confusion) + _pairs(confusion, class_names, pictures)
    return _table(confusion, class_names, pictures) + _pairs(confusion, class_names, pictures, limit=5)


def _table(confusion: NDArray[np.int64], class_names: Sequence[str], pictures: Counter[tuple[int, int]]) -> str:
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    numbers = range(len(class_names))
    head = "".join(f'<th scope="col"><span>{name(class_names[j])}</span></th>' for j in numbers)
    rows = []
    for i in numbers:
        cells = "".join(_cell(confusion, shares, class_names, i, j, pictures[i, j]) for j in numbers)
        rows.append(f'<tr><th scope="row">{name(class_names[i])}</th>{cells}</tr>')
    size = "small" if len(class_names) > 15 else "large"
    return (
        f'<div class="scroll whole" tabindex="0"><table class="matrix {size}"><caption>Rows: the true class. '
        "Columns: what the model said. Colour: share of the row. Click an underlined number for its images.</caption>"
        f'<thead><tr><td class="corner">true \\ said</td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(confusion: NDArray[np.int64], shares: NDArray[np.float64], names: Sequence[str], i: int, j: int, pictures: int) -> str:
    count, share = int(confusion[i, j]), float(shares[i, j])
    if not count:
        return '<td class="none">·</td>'
    kind = "right" if i == j else "wrong"
    # Few errors must be visible too, so the shade grows with the root of their share.
    shade = 8 + 84 * (share if i == j else share**0.5)
    strong = " strong" if shade > 55 else ""
    label = text(f"true {names[i]}, said {names[j]}: {count} ({percent(share)})")
    return (
        f'<td class="{kind}{strong}" style="--shade:{shade:.0f}%" title="{label}">'
        f"{_button(i, j, str(count), label, pictures)}</td>"
    )


def _pairs(confusion: NDArray[np.int64], names: Sequence[str], pictures: Counter[tuple[int, int]], limit: int = MAX_PAIRS) -> str:
    errors = confusion.copy()
    np.fill_diagonal(errors, 0)
    support = confusion.sum(axis=1)
    order = np.argsort(-errors, axis=None, kind="stable")[:limit]
    rows = []
    for i, j in zip(*np.unravel_index(order, errors.shape), strict=True):
        if not errors[i, j]:
            break
        count = str(int(errors[i, j]))
        label = text(f"images of {names[i]} taken for {names[j]}")
        button = _button(int(i), int(j), count, label, pictures[int(i), int(j)])
        rows.append([name(names[i]), name(names[j]), button, percent(errors[i, j] / support[i])])
    if not rows:
        return ""
    return table(
        ["true class", "taken for", "images", "share of the class"],
        rows,
        caption="Confused most often",
        attributes='class="pairs"',
    )


def _button(i: int, j: int, content: str, label: str, pictures: int) -> str:
    if not pictures:
        return content
    return f'<button type="button" data-true="{i}" data-said="{j}" aria-label="{label}: show images">{content}</button>'


def _picture(confusion: NDArray[np.int64]) -> str:
    from PIL import Image

    classes = len(confusion)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    pixels = np.empty((classes, classes, 4), np.uint8)
    pixels[..., :3] = _WRONG_HEAT
    pixels[np.arange(classes), np.arange(classes), :3] = _HEAT
    pixels[..., 3] = np.where(confusion > 0, 55 + 200 * np.sqrt(shares), 0)
    scale = max(_PICTURE_SIDE // classes, 1)
    buffer = io.BytesIO()
    Image.fromarray(pixels.repeat(scale, 0).repeat(scale, 1)).save(buffer, "PNG", optimize=True)
    address = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    side = classes * scale
    return (
        f'<figure class="heat"><img src="{address}" width="{side}" height="{side}" alt="Confusion matrix of {classes} '
        'classes as a picture; the most frequent errors are in the table below."><figcaption>Rows: the true class. '
        "Columns: what the model said. Blue: right. Orange: wrong.</figcaption></figure>"
    )
