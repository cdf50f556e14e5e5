"""What the runtimes give for the same examples, compared with the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import BridgeError, CallTimeoutError, NodeCrashedError
from pybridge.parity.bench import Bench, Outputs
from pybridge.parity.difference import classes_output, difference, labels_agree
from pybridge.parity.edge_cases import Cases
from pybridge.parity.findings import RuntimeResult, Status
from pybridge.parity.report import ParityReport
from pybridge.parity.runtimes import REFERENCE, Wanted, limit_for
from pybridge.parity.subjects import Subject
from pybridge.parity.tolerance import FORMULA, accumulation_depth, derived, largest, perturbed
from pybridge.parity.walk import walk_layers

_WORST_OUTPUTS = 4096


def compare(
    bench: Bench,
    subject: Subject,
    tested: Subject,
    wanted: Sequence[Wanted],
    cases: Cases,
    *,
    batch: int | None = None,
    tolerance: float | None = None,
    layers: bool = False,
    reference: Outputs | None = None,
) -> ParityReport:
    """Compares runtimes on given examples.

    Args:
        bench: Runs them.
        subject: The model that is right.
        tested: The model that the runtimes run.
        wanted: Which runtimes.
        cases: The examples.
        batch: How many examples the models take at once; None for any number.
        tolerance: See `verify`.
        layers: See `verify`.
        reference: What Python gave, where that is known already.
    """
    has_python = _in_python(subject)
    expected = reference or (bench.reference if has_python else _graph_reference(bench))(subject, cases, batch)
    noise = _noise_floor(bench, subject, cases, expected, batch)
    depth = accumulation_depth(subject.layers)
    rows = []
    for each in wanted:
        if each.missing is not None:
            rows.append(RuntimeResult.missing(each.name, *each.missing, asked=each.asked))
            continue
        positions = _spread(len(cases), limit_for(each.name, tested, cases), batch)
        try:
            found = each.run(bench, tested, cases.take(positions), batch)
        except BridgeError as error:
            # These two run all that can be converted, where another backend may lack an operation. A crash is no answer anywhere.
            essential = each.name in ("node", "tfjs-node-layers") or isinstance(error, NodeCrashedError | CallTimeoutError)
            status: Status = "failed" if essential else "unsupported"
            rows.append(RuntimeResult.missing(each.name, status, _first_line(error), asked=each.asked))
            continue
        rows.append(_row(each, cases, positions, expected, found, noise, depth, tolerance))
    found_layers = None
    if layers:
        found_layers = walk_layers(bench, subject, tested, rows, cases, batch=batch, tolerance=tolerance)
    return ParityReport(
        REFERENCE if has_python else "tfjs-node-graph",
        tolerance,
        len(cases),
        tuple(rows),
        cases.names,
        FORMULA,
        float(_shares(noise, expected).max()),
        depth,
        found_layers,
    )


def _row(
    wanted: Wanted,
    cases: Cases,
    positions: list[int],
    expected: Outputs,
    found: Outputs,
    noise: NDArray[np.float64],
    depth: int,
    tolerance: float | None,
) -> RuntimeResult:
    reference = [output[positions] for output in expected.arrays]
    shapes = [output.shape for output in found.arrays]
    if shapes != [output.shape for output in reference]:
        reason = f"outputs have the shapes {shapes}, not {[output.shape for output in reference]}"
        return RuntimeResult.missing(wanted.name, "failed", reason, asked=wanted.asked)
    gap = difference(reference, found.arrays)
    if tolerance is not None:
        allowed = np.full(len(positions), tolerance)
    elif wanted.exact:
        allowed = np.zeros(len(positions))
    else:
        allowed = derived([output.astype(np.float64) for output in reference], noise[positions], depth, found.precision)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(gap.absolute == 0, 0.0, gap.absolute / allowed)
    worst = int(ratios.argmax()) if ratios.max(initial=0) > 0 else int(gap.absolute.argmax())
    classes = classes_output(reference)
    agreement = None
    if classes is not None:
        agreement = float(labels_agree(reference[classes], found.arrays[classes], allowed).mean())
    flat = [np.abs(one[worst].astype(float) - other[worst]).ravel() for one, other in zip(reference, found.arrays, strict=True)]
    return RuntimeResult(
        name=wanted.name,
        max_abs_diff=float(gap.absolute.max()),
        max_abs_diff_features=None,
        max_ulp_diff=gap.ulp,
        label_agreement=agreement,
        identical=gap.identical,
        worst_image=cases.names[positions[worst]] if gap.absolute[worst] > 0 else None,
        seconds=found.seconds,
        max_rel_diff=float(gap.relative.max()),
        inputs=len(positions),
        tolerance=float(allowed[worst]),
        excess=float(ratios.max(initial=0)),
        asked=wanted.asked,
        note=found.note,
        examples={at: (float(gap.absolute[i]), float(ratios[i])) for i, at in enumerate(positions)},
        outputs=tuple(np.nan_to_num(np.concatenate(flat)[:_WORST_OUTPUTS], nan=np.inf).tolist()),
    )


def _noise_floor(bench: Bench, subject: Subject, cases: Cases, expected: Outputs, batch: int | None) -> NDArray[np.float64]:
    """How far the reference's outputs move when nothing but roundings changes: float64 of shape (examples,)."""
    moved = Cases(perturbed(cases.inputs), cases.names)
    others = [(bench.reference if _in_python(subject) else _graph_reference(bench))(subject, moved, batch)]
    if subject.keras is not None or subject.layers is not None:
        others.append(bench.keras(subject, cases, batch))
    gaps = [difference(expected.arrays, other.arrays).absolute for other in others]
    floor: NDArray[np.float64] = np.nan_to_num(np.max(gaps, axis=0), posinf=0.0)
    return floor


def _in_python(subject: Subject) -> bool:
    return any(form is not None for form in (subject.keras, subject.layers, subject.saved))


def _graph_reference(bench: Bench) -> Callable[[Subject, Cases, int | None], Outputs]:
    return lambda subject, cases, batch: bench.tfjs("tfjs-node-graph", subject, cases, batch)


def _shares(noise: NDArray[np.float64], expected: Outputs) -> NDArray[np.float64]:
    scale = np.max([largest(output.astype(np.float64)) for output in expected.arrays], axis=0)
    shares: NDArray[np.float64] = np.divide(noise, scale, out=np.zeros_like(noise), where=scale > 0)
    return shares


def _spread(count: int, limit: int | None, batch: int | None) -> list[int]:
    """Positions of the examples that a runtime computes, from all over them; a fixed batch stays whole."""
    if limit is None or limit >= count:
        return list(range(count))
    if batch is not None:
        return list(range(min(count, max(limit // batch, 1) * batch)))
    return sorted({int(position) for position in np.linspace(0, count - 1, limit)})


def _first_line(error: BridgeError) -> str:
    lines = error.message.strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
