"""Training curves as SVG drawings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pybridge.report.pages import NONE, Markup, escape, number, percent

_WIDTH, _HEIGHT = 520, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 16, 40

Point = tuple[float, float]


def curves(history: Sequence[Mapping[str, float]], best_epoch: int | None) -> Markup:
    """Loss and accuracy over the epochs, as two figures with SVG drawings.

    Args:
        history: As in `ReportData`.
        best_epoch: Marked in the drawings.
    """
    return Markup("").join(_chart(history, key, title, best_epoch) for key, title in (("loss", "Loss"), ("accuracy", "Accuracy")))


def unit(history: Sequence[Mapping[str, float]]) -> str:
    """What an entry of the history is: an epoch, or a step of the search for the best head, which has a C."""
    return "step" if history and "C" in history[0] else "epoch"


def numbers(history: Sequence[Mapping[str, float]], best_epoch: int | None) -> list[list[str]]:
    """The same as a table of text: a row of headings, and one for each epoch."""
    keys = [key for key in ("loss", "val_loss", "accuracy", "val_accuracy") if any(key in entry for entry in history)]
    rows = [[unit(history), *(key.replace("val_", "validation ") for key in keys)]]
    for i, entry in enumerate(history):
        epoch = int(entry.get("epoch", i + 1))
        kept = " (kept)" if epoch == best_epoch else ""
        rows.append([f"{epoch}{kept}", *(_cell(key, entry.get(key)) for key in keys)])
    return rows


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values that cover ``low`` to ``high`` in about ``count`` equal steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        low, high = low - abs(low) * 0.1 - 1e-3, high + abs(high) * 0.1 + 1e-3
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _series(history: Sequence[Mapping[str, float]], key: str) -> list[Point]:
    points = [(float(entry.get("epoch", i + 1)), entry.get(key)) for i, entry in enumerate(history)]
    return [(epoch, float(value)) for epoch, value in points if value is not None and math.isfinite(value)]


def _chart(history: Sequence[Mapping[str, float]], key: str, title: str, best_epoch: int | None) -> Markup:
    train, validation = _series(history, key), _series(history, f"val_{key}")
    if not train and not validation:
        return Markup("")
    values = [value for _, value in train + validation]
    epochs = [epoch for epoch, _ in train + validation]
    marks = ticks(min(values), max(values))
    first, last = min(epochs), max(epochs)
    x_marks = [mark for mark in ticks(first, last, 6) if mark == int(mark) and first <= mark <= last] or [first]

    def x(epoch: float) -> float:
        share = (epoch - first) / (last - first) if last > first else 0.5
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_HEIGHT - _BOTTOM - (value - marks[0]) / (marks[-1] - marks[0]) * (_HEIGHT - _TOP - _BOTTOM), 1)

    say = percent if key == "accuracy" else number
    parts = []
    for mark in marks:
        label = percent(mark, 0 if marks[1] - marks[0] >= 0.00999 else 1) if key == "accuracy" else number(mark)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(mark)}" y2="{y(mark)}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y(mark) + 4}" text-anchor="end">{escape(label)}</text>')
    parts += [f'<text class="tick" x="{x(mark)}" y="{_HEIGHT - 20}" text-anchor="middle">{int(mark)}</text>' for mark in x_marks]
    parts.append(f'<text class="tick" x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 3}" text-anchor="middle">{unit(history)}</text>')
    if best_epoch is not None and first <= best_epoch <= last:
        at = x(best_epoch)
        parts.append(f'<line class="best" x1="{at}" x2="{at}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
    for points, kind, label in ((train, "train", "training"), (validation, "val", "validation")):
        if len(points) > 1:
            path = " ".join(f"{x(epoch)},{y(value)}" for epoch, value in points)
            parts.append(f'<polyline class="{kind}" points="{path}"/>')
        for epoch, value in points:
            radius = 4 if len(points) == 1 or epoch == best_epoch else 2.5 if len(points) <= 60 else 1.2
            told = escape(f"epoch {int(epoch)}, {label}: {say(value)}")
            dot = f'<circle class="{kind}" cx="{x(epoch)}" cy="{y(value)}" r="{radius}">'
            parts.append(f"{dot}<title>{told}</title></circle>")
    summary = "; ".join(
        f"{label} from {say(points[0][1])} to {say(points[-1][1])}"
        for points, label in ((train, "training"), (validation, "validation"))
        if points
    )
    return Markup(
        f'<figure class="chart"><figcaption>{title}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(f"{title} by epoch: {summary}")}">{"".join(parts)}</svg></figure>'
    )


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return NONE
    return percent(value) if key.endswith("accuracy") else f"{value:.4f}"
