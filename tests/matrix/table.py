"""The table of the documentation."""

from __future__ import annotations

from cases import ABSTRACT, Case
from crossing import Outcome
from keras import layers


def summary(outcomes: list[tuple[Case, Outcome]]) -> list[str]:
    """The lines with the counts; equal in the document and in a fresh run."""
    exact = [(case, outcome) for case, outcome in outcomes if not case.refused]
    passed = sum(outcome.passes(case) for case, outcome in exact)
    refused = sum(outcome.passes(case) for case, outcome in outcomes if case.refused)
    stock = sum(outcome.passes(case) and not outcome.own for case, outcome in exact)
    trained = sum(case.train and outcome.step_equal for case, outcome in exact)
    return [
        f"- {len(outcomes)} cases, {len({case.class_name for case, _ in outcomes})} classes.",
        f"- {passed} of {len(exact)} with an exact meaning in TensorFlow.js pass ({100 * passed / len(exact):.1f} %).",
        f"- {stock} of these load in TensorFlow.js as it is; {passed - stock} need the `pybridge-layers.js` beside the model.",
        f"- {trained} have the same weights after one training step; the others have nothing that trains, or are random then.",
        f"- {refused} are refused by name.",
    ]


def document(outcomes: list[tuple[Case, Outcome]]) -> str:
    """The whole file."""
    lines = [
        "# Keras 3 layers in TensorFlow.js",
        "",
        "Written by `python tests/matrix --write docs/keras-layers.md`. Each case is a small model with random weights",
        "that goes through Keras, TensorFlow.js in Node.js, and back. *Outputs*: the largest difference as a part of",
        "the largest output (at most 1e-4). *Step*: the largest difference of a weight after one step of gradient",
        "descent, as a part of the largest change (at most 1e-2).",
        "*Back*: config, weights (bit for bit) and outputs after the return to Keras.",
        "",
        *summary(outcomes),
        "",
        "| case | converts | loads | outputs | step | back | written as | note |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case, outcome in outcomes:
        if outcome.refused:
            lines.append(f"| {case.name} | refused | | | | | | {_reason(case, outcome)} |")
            continue
        step = "-" if outcome.step is None else _figure(outcome.step)
        own = ", ".join(f"`{name}`" for name in outcome.own) or "TensorFlow.js"
        resaved = f"TensorFlow.js cannot load what it saves of it itself: {outcome.resaved}" if outcome.resaved else ""
        failed = "" if outcome.passes(case) else f"FAILS: {outcome.problem}"
        note = "; ".join(part for part in (case.note, resaved, failed) if part)
        cells = [
            case.name,
            "yes" if outcome.converts else "no",
            "yes" if outcome.loads else "no",
            _figure(outcome.difference),
            step,
        ]
        lines.append(f"| {' | '.join([*cells, 'yes' if outcome.back else 'no', own, note.replace('|', '/')])} |")
    lines += ["", "## Other names in `keras.layers`", ""]
    covered = {case.class_name for case, _ in outcomes}
    for name in sorted(name for name in dir(layers) if isinstance(getattr(layers, name), type)):
        real = getattr(layers, name).__name__
        if name in ABSTRACT:
            lines.append(f"- `{name}`: {ABSTRACT[name]}.")
        elif name not in covered and real in covered:
            lines.append(f"- `{name}`: another name of `{real}`.")
        elif name not in covered:
            lines.append(f"- `{name}`: not covered.")
    return "\n".join(lines) + "\n"


def _figure(value: float | None) -> str:
    return "-" if value is None else "0" if value == 0 else f"{value:.0e}"


def _reason(case: Case, outcome: Outcome) -> str:
    line = next((part.strip() for part in outcome.refused.splitlines() if case.refused and case.refused in part), "")
    return (line or outcome.refused.splitlines()[0]).replace("|", "/")[:200]
