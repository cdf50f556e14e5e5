"""Runs the same inputs through every runtime there is, and compares."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pybridge.classifier import ImageClassifier
from pybridge.errors import DataError, ModelFormatError
from pybridge.node import Node
from pybridge.parity.bench import Bench
from pybridge.parity.comparison import compare
from pybridge.parity.edge_cases import InputSpec, edge_cases
from pybridge.parity.inputs import given_cases
from pybridge.parity.report import ParityReport
from pybridge.parity.runs import verify_run
from pybridge.parity.runtimes import choose
from pybridge.parity.subjects import Subject, as_subject, input_specs
from pybridge.training.run_directory import is_run


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
    allow_operations: Collection[str] = (),
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
        allow_operations: Operations that a SavedModel may have besides those that compute; see `pybridge.Node.load_model`.

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
    if isinstance(model_or_run, ImageClassifier) or is_run(model_or_run):
        if against is not None:
            raise DataError("A run cannot be verified against another model", hint="Verify its model/ folder against the other.")
        epochs = training_epochs if training else None
        return verify_run(model_or_run, inputs, runtimes=runtimes, tolerance=tolerance, layers=layers, training_epochs=epochs)
    if training:
        raise DataError("Only the training of a run can be verified", hint="Give a run directory or an ImageClassifier.")
    options: dict[str, Any] = {"allow_operations": allow_operations}
    if input_shape is not None:
        options["input_shape"] = tuple(input_shape)
    subject = _opened(model_or_run, options)
    tested = subject if against is None else as_subject(against, **options)
    wanted = choose(runtimes, tested, same=against is None)
    with Bench(node) as bench:
        specs, batch = _specs(bench, subject, tested)
        cases = edge_cases(specs, seed) if inputs is None else given_cases(inputs, specs, subject, bench)
        return compare(bench, subject, tested, wanted, cases, batch=batch, tolerance=tolerance, layers=layers)


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


def _opened(model: Any, options: dict[str, Any]) -> Subject:
    try:
        return as_subject(model, **options)
    except ModelFormatError as error:
        if isinstance(model, str | Path) and Path(model).expanduser().is_dir():
            raise ModelFormatError(f"{model} is not a run directory, nor a model: {error.message}", hint=error.hint) from error
        raise
