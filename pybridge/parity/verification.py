"""Runs the same inputs through every runtime there is, and compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.classifier import ImageClassifier
from pybridge.errors import BridgeError, CallTimeoutError, DataError, ModelFormatError, NodeCrashedError
from pybridge.node import Node
from pybridge.parity.bench import Bench, Outputs
from pybridge.parity.difference import classes_output, difference, labels_agree
from pybridge.parity.edge_cases import Cases, InputSpec, edge_cases
from pybridge.parity.inputs import given_cases
from pybridge.parity.report import ParityReport, RuntimeResult, Status
from pybridge.parity.runtimes import REFERENCE, Wanted, choose, limit_for
from pybridge.parity.subjects import Subject, as_subject, input_specs
from pybridge.parity.tolerance import FORMULA, accumulation_depth, derived, largest, perturbed
from pybridge.training.run_directory import RUN_FILE

_WORST_OUTPUTS = 4096


def verify(
    model_or_run: Any,
    inputs: Any = None,
    *,
    against: Any = None,
    runtimes: Sequence[str] | None = None,
    tolerance: float | None = None,
    layers: bool = False,
    training: bool = False,
    training_epochs: int = 2,
    seed: int = 0,
    node: Node | None = None,
    input_shape: Sequence[int] | None = None,
) -> ParityReport:
    """Compares what the runtimes compute for the same inputs with Python's TensorFlow.

    Runtimes that run the reference's own graph on the same library must agree to the last bit. For the others each example
    has a tolerance that comes from the model, ``16 * (epsilon * sqrt(depth) * largest output + noise floor)``; see
    `pybridge.parity.tolerance`. Scores of two classes that are nearer to each other than that are a tie, and not another label.

    Args:
        model_or_run: A run directory or `ImageClassifier`; a Keras model, `LayersModel`, torch module or `pybridge.Model` in
            memory; or anything else that `pybridge.Node.load_model` takes.
        inputs: Arrays, one for each input of the model; image files or a folder of images, where it is known how they are
            prepared; None for generated edge cases. A run needs images.
        against: Another model, which the runtimes run instead: for "my exported model predicts differently".
        runtimes: Names of `pybridge.parity.RUNTIMES`; by default all that this machine has. Slow ones compute a few examples.
        tolerance: The largest absolute difference that passes, instead of the derived ones.
        layers: Where outputs differ, find the first layer that does and guess why.
        training: For a run: train its trainable part in Node and in Python, and compare all weights bit by bit; and compare the
            losses of both engines. The run stays as it is.
        training_epochs: For how many epochs, on at most 64 of the images.
        seed: Of the generated examples.
        node: A Node.js process to use.
        input_shape: For torch and ONNX: the shape of one example.

    Returns:
        The report; ``passed`` says whether all agree.

    Raises:
        ModelFormatError: There is no such model or run, or the two models have other inputs or outputs.
        DataError: The inputs do not fit, or a runtime has no such name.
        BridgeError: A runtime that was asked for by name is not on this machine.

    Example:
        >>> pb.verify(keras_model).raise_for_status()
        >>> print(pb.verify(keras_model, against="exported/", layers=True))
    """
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance must not be negative, but is {tolerance}")
    if training and training_epochs < 1:
        raise ValueError(f"the training that is compared needs at least 1 epoch, not {training_epochs}")
    if isinstance(model_or_run, ImageClassifier) or _is_run(model_or_run):
        from pybridge.parity.runs import verify_run

        if against is not None:
            raise DataError("A run cannot be verified against another model", hint="Verify its model/ folder against the other.")
        epochs = training_epochs if training else None
        return verify_run(model_or_run, inputs, runtimes=runtimes, tolerance=tolerance, layers=layers, training_epochs=epochs)
    if training:
        raise DataError("Only the training of a run can be verified", hint="Give a run directory or an ImageClassifier.")
    options = {} if input_shape is None else {"input_shape": tuple(input_shape)}
    subject = _opened(model_or_run, options)
    tested = subject if against is None else as_subject(against, **options)
    wanted = choose(runtimes, tested, same=against is None)
    with Bench(node) as bench:
        specs, batch = _specs(bench, subject, tested)
        cases = edge_cases(specs, seed) if inputs is None else given_cases(inputs, specs, subject, bench)
        return compare(bench, subject, tested, wanted, cases, batch=batch, tolerance=tolerance, layers=layers)


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
    report = ParityReport(
        REFERENCE if has_python else "tfjs-node-graph",
        tolerance,
        len(cases),
        tuple(rows),
        cases.names,
        FORMULA,
        float(_shares(noise, expected).max()),
        depth,
    )
    if not layers:
        return report
    from pybridge.parity.walk import walk_rows

    return walk_rows(bench, subject, tested, report, cases, batch)


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


def _specs(bench: Bench, subject: Subject, tested: Subject) -> tuple[list[InputSpec], int | None]:
    def of(each: Subject) -> list[InputSpec]:
        if each.refusal is not None:
            return input_specs(each, None)
        with bench.loaded(each) as (model, _):
            return input_specs(each, model)

    specs = of(subject)
    if tested is not subject:
        others = of(tested)
        if [spec.example_shape for spec in specs] != [spec.example_shape for spec in others]:
            raise ModelFormatError(
                f"The models take other inputs: {[spec.shape for spec in specs]} and {[spec.shape for spec in others]}",
                hint="Only models with equal inputs can be compared.",
            )
    return specs, next((spec.shape[0] for spec in specs if spec.shape[0]), None)


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


def _opened(model: Any, options: dict[str, Any]) -> Subject:
    try:
        return as_subject(model, **options)
    except ModelFormatError as error:
        if isinstance(model, str | Path) and Path(model).expanduser().is_dir():
            raise ModelFormatError(f"{model} is not a run directory, nor a model: {error.message}", hint=error.hint) from error
        raise


def _is_run(model: Any) -> bool:
    return isinstance(model, str | Path) and "://" not in str(model) and (Path(model).expanduser() / RUN_FILE).is_file()
