"""The parity report as one HTML page, in the style of a run's report."""

from __future__ import annotations

import math
from typing import Any

from pybridge.parity.findings import ParityFindings, RuntimeResult, TrainingCheck
from pybridge.report.pages import NONE, Markup, render_page

_MOST_EXAMPLES = 200
_MOST_CELLS = 1024
_COLUMNS = 32


def render(report: ParityFindings, title: str) -> str:
    """The page as text: verdict, table, heat map of examples by runtimes, outputs of the worst example, layers."""
    return render_page(
        "parity.html",
        title=title,
        report=report,
        notes={row.name: row.note for row in report.runtimes if row.note},
        map=_heat_map(report),
        outputs=[_outputs(row) for row in report.runtimes if row.status == "compared" and any(row.outputs)],
        training=report.training and _training(report.training),
        method=_method(report),
        size=_size,
    )


def _heat_map(report: ParityFindings) -> dict[str, Any]:
    columns = [row for row in report.runtimes if row.status == "compared" and row.examples]
    shown = range(min(len(report.names), _MOST_EXAMPLES))
    rows = [(report.names[position], [_cell(row.examples.get(position)) for row in columns]) for position in shown]
    return {"columns": [row.name for row in columns], "rows": rows, "total": len(report.names)}


def _cell(found: tuple[float, float] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    gap, ratio = found
    shade = (
        100.0 if not math.isfinite(ratio) else 100 * min(ratio, 1.0) if ratio <= 1 else 60 + 40 * min(math.log10(ratio) / 3, 1)
    )
    kind = ("right" if ratio <= 1 else "wrong") + (" strong" if shade > 55 else "")
    return {"gap": gap, "kind": kind, "shade": f"{shade:.0f}", "title": f"{gap:.3g}, {ratio:.3g} of what is allowed"}


def _outputs(row: RuntimeResult) -> dict[str, Any]:
    """Differences of the worst input's outputs, as a picture of rectangles in the order of the outputs."""
    values = row.outputs[:_MOST_CELLS]
    finite = [value for value in values if math.isfinite(value)]
    top = max(finite, default=1.0) or 1.0
    lines = math.ceil(len(values) / _COLUMNS)
    cells = []
    for i, value in enumerate(values):
        if value == 0:
            continue
        opacity = 1.0 if not math.isfinite(value) else max(value / top, 0.04)
        cells.append(
            f'<rect x="{i % _COLUMNS}" y="{i // _COLUMNS}" width="1" height="1" fill="#c2410c" fill-opacity="{opacity:.3g}">'
            f"<title>output {i}: {value:.3g}</title></rect>"
        )
    width = min(len(values), _COLUMNS)
    svg = (
        f'<svg viewBox="0 0 {width} {lines}" width="{width * 16}" height="{lines * 16}" role="img" '
        f'aria-label="differences" style="border:1px solid var(--line);max-width:100%">{"".join(cells)}</svg>'
    )
    shown = f"the first {len(values)} outputs" if len(row.outputs) > len(values) else f"{len(values)} outputs"
    return {"svg": Markup(svg), "runtime": row.name, "input": row.worst_image, "shown": shown, "top": f"{top:.3g}"}


def _training(check: TrainingCheck) -> dict[str, Any]:
    told = {
        "images": check.images,
        "epochs": check.epochs,
        "weight values": check.values,
        "changed by the training": check.changed,
        "different in Node and Python": check.different,
        "largest difference": check.max_abs_diff,
        "most different weight": check.worst_weight,
        "images for both engines": check.engine_images,
        "largest difference of their losses, as a share": check.max_loss_diff,
        "allowed": check.tolerance,
    }
    columns = (*check.losses.values(), *check.engine_losses.values())
    rows = [[str(i + 1), *(f"{loss:.6f}" for loss in row)] for i, row in enumerate(zip(*columns, strict=True))]
    return {"told": told, "rows": rows}


def _method(report: ParityFindings) -> dict[str, object]:
    values: dict[str, object] = {"compared with": report.reference}
    if report.tolerance is not None:
        values["allowed difference"] = report.tolerance
    elif report.formula is not None:
        values["allowed difference of an input"] = report.formula
        values["epsilon"] = "2^-24, half a unit in the last place of float32; 4 times that for WebGL; 2^-11 for half floats"
        values["depth: roundings on the way through the model"] = report.depth
        values["noise floor: largest share of an output"] = report.noise_floor
        values["runtimes that run the reference's own graph"] = "0: equal to the last bit"
    values["same labels"] = "two classes that are nearer to each other than twice the allowed difference are a tie"
    return values


def _size(value: float | None) -> str:
    if value is None:
        return NONE
    return "∞" if not math.isfinite(value) else "0" if value == 0 else f"{value:.2g}"
