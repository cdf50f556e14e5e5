"""The parity report as one HTML page, in the style of a run's report."""

from __future__ import annotations

import math
from importlib import resources

from pybridge.parity.findings import LayerFinding, ParityFindings, RuntimeResult
from pybridge.report.markup import NONE, facts, name, number, percent, table, text

# The browser itself enforces that nothing is loaded from elsewhere.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_MOST_EXAMPLES = 200
_MOST_CELLS = 1024
_COLUMNS = 32


def render(report: ParityFindings, title: str) -> str:
    """The page as text: verdict, table, heat map of examples by runtimes, outputs of the worst example, layers."""
    sections = [
        ("Runtimes", _runtimes(report)),
        ("Inputs by runtimes", _heat_map(report)),
        ("The worst input of each runtime", "".join(_outputs(row) for row in report.runtimes)),
        ("Layers", "".join(_layer(finding) for finding in report.layers or ())),
        ("Training", _training(report)),
        ("How this was measured", _method(report)),
    ]
    body = "\n".join(f"<section><h2>{heading}</h2>{content}</section>" for heading, content in sections if content)
    style = resources.files("pybridge.report").joinpath("report.css").read_text("utf-8")
    verdict = "All runtimes agree." if report.passed else "The runtimes do not agree."
    mark, word = ("✓", "good") if report.passed else ("✗", "bad")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{text(title)} · pybridge parity</title>\n'
        f"<style>\n{style}</style></head>\n<body><main>\n<header><h1>{name(title)}</h1>"
        f"<p>{report.images:,} inputs against {text(report.reference)}</p>"
        f'<p class="verdict {word}">{mark} {verdict}</p></header>\n{body}\n</main></body></html>\n'
    )


def _runtimes(report: ParityFindings) -> str:
    head = [
        "runtime",
        "",
        "inputs",
        "largest difference",
        "relative",
        "last places",
        "allowed",
        "same labels",
        "worst input",
        "s",
    ]
    rows = []
    for row in report.runtimes:
        if row.status != "compared":
            reason = f'<td colspan="8">{text(row.status)}: {text(row.reason)}</td>'
            rows.append([name(row.name), _mark(row, report), reason])
            continue
        allowed = row.tolerance if row.tolerance is not None else report.tolerance
        rows.append(
            [
                name(row.name),
                _mark(row, report),
                number(row.inputs if row.inputs is not None else report.images),
                _number(row.max_abs_diff),
                _number(row.max_rel_diff),
                number(row.max_ulp_diff),
                _number(allowed),
                percent(row.label_agreement, 2) if row.label_agreement is not None else NONE,
                name(row.worst_image) if row.worst_image is not None else NONE,
                f"{row.seconds:.2f}",
            ]
        )
    notes = {row.name: row.note for row in report.runtimes if row.note}
    return table(head, rows) + (facts(notes) if notes else "")


def _heat_map(report: ParityFindings) -> str:
    columns = [row for row in report.runtimes if row.status == "compared" and row.examples]
    if not columns:
        return ""
    count = min(len(report.names), _MOST_EXAMPLES)
    rows = []
    for position in range(count):
        cells = [_cell(row.examples.get(position)) for row in columns]
        rows.append([name(report.names[position]), *cells])
    note = (
        "<p>Each cell is the largest difference of that input's outputs; the colour is its share of what is allowed, "
        "red where it is more. Slow runtimes compute some of the inputs only.</p>"
    )
    more = f"<p>The first {count} of {len(report.names)} inputs.</p>" if count < len(report.names) else ""
    return (
        note + table(["input", *(f"<span>{text(row.name)}</span>" for row in columns)], rows, attributes='class="matrix"') + more
    )


def _cell(found: tuple[float, float] | None) -> str:
    if found is None:
        return '<td class="none">·</td>'
    gap, ratio = found
    shade = (
        100.0 if not math.isfinite(ratio) else 100 * min(ratio, 1.0) if ratio <= 1 else 60 + 40 * min(math.log10(ratio) / 3, 1)
    )
    colour = "right" if ratio <= 1 else "wrong"
    strong = " strong" if shade > 55 else ""
    title = f"{gap:.3g}, {ratio:.3g} of what is allowed"
    return f'<td class="{colour}{strong}" style="--shade:{shade:.0f}%" title="{title}">{_number(gap)}</td>'


def _outputs(row: RuntimeResult) -> str:
    """Differences of the worst input's outputs, as a picture of rectangles in the order of the outputs."""
    if row.status != "compared" or not row.outputs or not any(row.outputs):
        return ""
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
    shown = f"the first {len(values)} outputs" if len(row.outputs) > len(values) else f"{len(values)} outputs"
    return (
        f'<figure class="heat"><svg viewBox="0 0 {width} {lines}" width="{width * 16}" height="{lines * 16}" role="img" '
        f'aria-label="differences" style="border:1px solid var(--line);max-width:100%">{"".join(cells)}</svg>'
        f"<figcaption>{name(row.name)}, {name(row.worst_image)}: differences of {shown}, row by row; the darkest is {top:.3g}"
        "</figcaption></figure>"
    )


def _layer(finding: LayerFinding) -> str:
    heading = f"<h3>{name(finding.runtime)}, {name(finding.example)}</h3>"
    if finding.layer is None:
        said = finding.remark or f"None of {finding.compared} layers differs beyond its tolerance."
        return f"{heading}<p>{text(said)}</p>"
    causes = "".join(f"<li>{text(cause)}</li>" for cause in finding.causes) or "<li>no cause was found</li>"
    rows = [[name(key), text(ours), text(theirs)] for key, ours, theirs in finding.changed_options()]
    options = table(["option", "in the reference", "here"], rows) if rows else ""
    alone = "<p>Given equal inputs it does not differ: the difference builds up before it.</p>" if finding.alone is False else ""
    configs = facts({"in the reference": finding.reference_config, "here": finding.other_config})
    return (
        f"{heading}<p>The first of {finding.compared} layers that differs is <b>{name(finding.layer)}</b> "
        f"({text(finding.class_name)}), by {_number(finding.difference)}; {_number(finding.tolerance)} would pass.</p>"
        f"{alone}<p>Likely cause:</p><ul>{causes}</ul>{options}<details><summary>Configurations</summary>{configs}</details>"
    )


def _training(report: ParityFindings) -> str:
    check = report.training
    if check is None:
        return ""
    told = facts(
        {
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
    )
    head = ["epoch", "loss in Node", "in Python", "engine compiled", "engine layers"]
    columns = (*check.losses.values(), *check.engine_losses.values())
    rows = [[str(i + 1), *(f"{loss:.6f}" for loss in row)] for i, row in enumerate(zip(*columns, strict=True))]
    mark, word = ("✓", "good") if check.passed else ("✗", "bad")
    verdict = "Node and Python train alike." if check.passed else "The trainings differ."
    return f'<p class="verdict {word}">{mark} {verdict}</p>{told}{table(head, rows)}'


def _method(report: ParityFindings) -> str:
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
    return facts(values)


def _mark(row: RuntimeResult, report: ParityFindings) -> str:
    if row.status in ("unavailable", "unsupported") and not row.asked:
        return NONE
    passed = row.passes(report.tolerance)
    return f'<b class="{"good" if passed else "bad"}">{"✓" if passed else "✗"}</b>'


def _number(value: float | None) -> str:
    if value is None:
        return NONE
    return "∞" if not math.isfinite(value) else "0" if value == 0 else f"{value:.2g}"
