"""What was measured, as a drawing: how many times as long as pybridge each peer takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pybridge.benchmark.catalogue import PEER
from pybridge.benchmark.table import shown
from pybridge.report.pages import Markup, escape, number, render_page

_WIDTH, _LEFT, _RIGHT = 960, 330, 150
_BAR, _GAP, _TOP, _BOTTOM = 16, 26, 30, 34
# Told apart by brightness too, for those who see no colours.
_COLOURS = {
    "pybridge": "#1b6e4b",
    "pybridge-cold": "#5aa786",
    "keras-onednn": "#d9822b",
    "keras-cached": "#b3541e",
    "keras": "#f0b775",
    "tfjs": "#3b6fb5",
    "tfjs-plain": "#6f5bb5",
    "tfjs-onednn": "#7ea6dc",
    "json": "#8a8f98",
}
_STYLE = (
    "svg{font:13px system-ui,sans-serif;background:#fff}text{fill:#222}.title{font-weight:600}.value{fill:#444}"
    ".grid{stroke:#ddd}.even{stroke:#222;stroke-dasharray:4 3}"
)


def chart(document: Mapping[str, Any]) -> str:
    """An SVG that stands alone: for each work a bar for each peer, on a logarithmic scale on which pybridge is 1.

    Args:
        document: As `bench` gives it.
    """
    works = [(work, _ratios(work)) for work in document["works"].values()]
    works = [(work, ratios) for work, ratios in works if ratios]
    values = [ratio for _, ratios in works for ratio in ratios.values()]
    low, high = _decade(min(values, default=1.0), down=True), _decade(max(values, default=10.0), down=False)
    height = _TOP + _BOTTOM + sum(len(ratios) * _BAR + _GAP for _, ratios in works)

    def x(ratio: float) -> float:
        return round(_LEFT + (math.log10(ratio) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = []
    for decade in range(low, high + 1):
        at, kind = x(10.0**decade), "even" if decade == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{at}" x2="{at}" y1="{_TOP - 8}" y2="{height - _BOTTOM}"/>')
        parts.append(f'<text x="{at}" y="{height - 12}" text-anchor="middle">{number(10.0**decade)}x</text>')
    parts.append(f'<text x="{_LEFT}" y="14">times as long as pybridge takes (logarithmic; less is better)</text>')
    y = _TOP
    for work, ratios in works:
        parts.append(f'<text class="title" x="8" y="{y + 10}">{escape(work["title"])}</text>')
        y += _GAP - _BAR + 6
        for name, ratio in ratios.items():
            parts += _bar(name, work, ratio, x(min(1.0, ratio)), x(max(1.0, ratio)), y)
            y += _BAR
        y += _BAR - 6
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="Times as long as pybridge takes, by work and peer"><style>{_STYLE}</style>{"".join(parts)}</svg>\n'
    )


def page(document: Mapping[str, Any], tables: str) -> str:
    """One HTML file with the drawing and, below, all figures as text."""
    return render_page("bench.html", chart=Markup(chart(document)), tables=tables)


def _bar(name: str, work: Mapping[str, Any], ratio: float, start: float, end: float, y: float) -> list[str]:
    label, told = PEER[name].title, shown(work, work["peers"][name]["median"])
    width = max(end - start, 2.0)
    return [
        f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(label)}</text>',
        f'<rect x="{start}" y="{y + 2}" width="{width:.1f}" height="{_BAR - 4}" fill="{_COLOURS[name]}">'
        f"<title>{escape(label)}: {told}, {number(ratio)} times as long</title></rect>",
        f'<text class="value" x="{start + width + 6:.1f}" y="{y + 12}">{escape(told)}</text>',
    ]


def _ratios(work: Mapping[str, Any]) -> dict[str, float]:
    ours = work["peers"].get("pybridge", {}).get("median")
    if not ours:
        return {}
    return {name: each["median"] / ours for name, each in work["peers"].items() if each["median"]}


def _decade(value: float, *, down: bool) -> int:
    exponent = math.log10(value)
    return min(0, math.floor(exponent)) if down else max(1, math.ceil(exponent))
