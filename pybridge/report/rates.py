"""The curve of a learning-rate range test as a drawing and as a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pybridge.report.curves import ticks
from pybridge.report.pages import Markup, escape, number, render_page, write_page

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 16, 44


def rates_svg(rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestion: float) -> str:
    """Loss over the logarithm of the learning rate, with the suggestion marked.

    Args:
        rates: Ascending.
        losses: One for each rate.
        smoothed: One for each rate.
        suggestion: The rate to mark.

    Returns:
        An ``<svg>`` element that needs no style sheet.
    """
    first, last = math.log10(rates[0]), math.log10(rates[-1])
    # The explosion itself would flatten all that is worth seeing.
    top = max(max(smoothed[: max(len(smoothed) // 2, 1)]), 1.3 * min(smoothed))
    marks = ticks(min(min(losses), min(smoothed)), top)

    def x(rate: float) -> float:
        share = (math.log10(rate) - first) / (last - first) if last > first else 0.5
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(loss: float) -> float:
        share = (min(loss, marks[-1]) - marks[0]) / (marks[-1] - marks[0])
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    parts = [
        f'<path d="M{_LEFT} {y(mark)}H{_WIDTH - _RIGHT}" stroke="currentColor" stroke-opacity=".15"/>'
        f'<text x="{_LEFT - 8}" y="{y(mark) + 4}" text-anchor="end">{escape(number(mark))}</text>'
        for mark in marks
    ]
    parts += [
        f'<text x="{x(10.0**power)}" y="{_HEIGHT - 24}" text-anchor="middle">1e{power}</text>'
        for power in range(math.ceil(first), math.floor(last) + 1)
    ]
    parts.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">learning rate</text>')
    parts += [
        f'<circle cx="{x(rate)}" cy="{y(loss)}" r="1.8" fill="#2f6fde" fill-opacity=".5"/>'
        for rate, loss in zip(rates, losses, strict=True)
    ]
    line = " ".join(f"{x(rate)},{y(loss)}" for rate, loss in zip(rates, smoothed, strict=True))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#2f6fde" stroke-width="2"/>')
    if rates[0] <= suggestion <= rates[-1]:
        at = x(suggestion)
        parts.append(
            f'<line x1="{at}" x2="{at}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="#d9531e" stroke-width="2"/>'
            f'<text x="{at + 6}" y="{_TOP + 12}" style="fill:#d9531e">{escape(f"{suggestion:.2g}")}</text>'
        )
    label = f"Loss by learning rate from {rates[0]:.2g} to {rates[-1]:.2g}; {suggestion:.2g} is suggested"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" '
        f'aria-label="{escape(label)}" font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
        f"{''.join(parts)}</svg>"
    )


def rates_page(
    path: Path,
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggestion: float,
) -> None:
    """Writes the drawing and its numbers as one HTML file.

    Raises:
        DataError: The file cannot be written.
    """
    rows = [[f"{a:.3g}", f"{b:.5f}", f"{c:.5f}"] for a, b, c in zip(rates, losses, smoothed, strict=True)]
    lowest = rates[min(range(len(rates)), key=lambda i: smoothed[i])]
    told = {"suggested learning rate": suggestion, "where the loss is lowest": lowest, "steps": len(rates)}
    chart = Markup(rates_svg(rates, losses, smoothed, suggestion))
    write_page(path, render_page("rates.html", chart=chart, told=told, rows=rows))
