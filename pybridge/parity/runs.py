"""Runs of image classifiers: from the raw bytes of files on, in Node and in Python, and their models everywhere else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.classifier import ImageClassifier
from pybridge.classifier.inputs import unlabelled
from pybridge.classifier.trained import TrainedClassifier
from pybridge.data import ImageSet
from pybridge.errors import DataError
from pybridge.features import image_batches
from pybridge.graphs import Program, TensorFlowProcess, run_reference
from pybridge.parity.bench import Bench, Outputs
from pybridge.parity.comparison import compare
from pybridge.parity.difference import max_ulp_diff
from pybridge.parity.edge_cases import Cases
from pybridge.parity.findings import RuntimeResult
from pybridge.parity.report import ParityReport
from pybridge.parity.runtimes import REFERENCE, choose
from pybridge.parity.subjects import Subject
from pybridge.parity.training import check_training
from pybridge.progress import progress
from pybridge.session import Session
from pybridge.training.run_directory import RunDirectory

# Enough to find a difference; prepared images take 0.6 MB each.
_MOST_FOR_OTHERS = 32


def verify_run(
    run: str | Path | ImageClassifier | TrainedClassifier,
    images: Any,
    *,
    runtimes: Sequence[str] | None = None,
    tolerance: float | None = None,
    layers: bool = False,
    training_epochs: int | None = None,
) -> ParityReport:
    """Compares what a trained classifier gives for images, file by file.

    In Node all images go the way that a service goes, from their bytes to probabilities, and must be equal to the last bit.
    The other runtimes run the model on at most 32 of the images, prepared by Python's TensorFlow.

    Args:
        run: A run directory, a trained classifier, or one at work in a session.
        images: Image files, a folder of images, uint8 images of shape (N, H, W, 3), or an image set.
        runtimes: See `pybridge.verify`.
        tolerance: See `pybridge.verify`.
        layers: See `pybridge.verify`.
        training_epochs: Compare the training too, for so many epochs.

    Raises:
        ModelFormatError: There is no such run.
        DataError: The images cannot be used.
    """
    if images is None:
        raise DataError("A run is verified on images", hint="Give image files or a folder of images.")
    with ExitStack() as stack:
        classifier = _at_work(run, stack)
        chosen = images if isinstance(images, ImageSet) else unlabelled(images, classifier.record.class_names)
        subject = Subject("model", layers=classifier.model)
        wanted = choose(runtimes, subject, same=True)
        with classifier.session.tensorflow() as tensorflow:
            # Node has work to do while it starts.
            tensorflow.start()
            stages = classifier.programs
            some = np.linspace(0, len(chosen) - 1, min(len(chosen), _MOST_FOR_OTHERS)).astype(np.int64)
            others = [each for each in wanted if each.name != "node"]
            # Node goes first, whether it is wanted or not: it names the files that are no images.
            started = time.perf_counter()
            features, probabilities = classifier.activations(chosen), classifier.probabilities(chosen)
            seconds = time.perf_counter() - started
            features_expected, expected = _in_python(stages, chosen, tensorflow)
            rows = []
            if len(others) < len(wanted):
                pairs = (features, features_expected), (probabilities, expected)
                rows.append(_node_row(chosen, seconds, *pairs, tolerance or 0.0))
            training = None if training_epochs is None else check_training(classifier, chosen, training_epochs)
            if not others:
                return ParityReport(REFERENCE, tolerance or 0.0, len(chosen), tuple(rows), _names(chosen), training=training)
            with Bench() as bench:
                cases = _prepared(stages[0], chosen.take(some), tensorflow)
                reference = Outputs([expected[some]], 0.0)
                report = compare(bench, subject, subject, others, cases, tolerance=tolerance, layers=layers, reference=reference)
    moved = [replace(row, examples={int(some[at]): value for at, value in row.examples.items()}) for row in report.runtimes]
    return replace(report, images=len(chosen), runtimes=(*rows, *moved), names=_names(chosen), training=training)


def prove(classifier: ImageClassifier, run_dir: str | Path, *, limit: int = 32) -> ParityReport | None:
    """Verifies a classifier on some of the images that it was just judged by, and records the result in its run.

    Only Node is compared, which is what training and services use: this takes seconds. `pybridge.verify` compares the rest.

    Args:
        classifier: A classifier whose training wrote ``run_dir``.
        run_dir: The run.
        limit: How many images at most.

    Returns:
        The report, or None where the classifier was loaded from a run that was finished already.
    """
    result = classifier.trained_.result
    if result.evaluation is None:
        return None
    report = verify_run(classifier, result.evaluation.sample(limit), runtimes=["node"])
    result.record_parity(report.to_dict(), RunDirectory(run_dir))
    return report


def _at_work(run: str | Path | ImageClassifier | TrainedClassifier, stack: ExitStack) -> TrainedClassifier:
    """The classifier where it works already, or in a session of the stack's own."""
    if isinstance(run, TrainedClassifier):
        return run
    return run.trained_ if isinstance(run, ImageClassifier) else TrainedClassifier.read(run, stack.enter_context(Session()))


def _prepared(stage: Program, images: ImageSet, tensorflow: TensorFlowProcess) -> Cases:
    batches = (batch.inputs for batch in image_batches(images))
    (values,) = run_reference([stage], "pixels" if images.is_array else "files", batches, tensorflow, keep=[0])
    return Cases([values], _names(images))


def _names(images: ImageSet) -> tuple[str, ...]:
    return tuple(images.source(position) for position in range(len(images)))


def _in_python(stages: Sequence[Program], images: ImageSet, tensorflow: TensorFlowProcess) -> list[NDArray[np.float32]]:
    signature = "pixels" if images.is_array else "files"
    inputs = (batch.inputs for batch in image_batches(images))
    with progress(1, "The same in Python", "job") as bar:
        outputs = run_reference(stages, signature, inputs, tensorflow, keep=[len(stages) - 2, len(stages) - 1])
        bar.update()
    return outputs


def _node_row(
    images: ImageSet,
    seconds: float,
    features: tuple[NDArray[Any], NDArray[Any]],
    probabilities: tuple[NDArray[Any], NDArray[Any]],
    tolerance: float,
) -> RuntimeResult:
    ours, expected = probabilities
    differences = np.abs(ours - expected).reshape(len(images), -1).max(axis=1)
    in_features = np.abs(features[0] - features[1])
    worst = int(differences.argmax())
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(differences == 0, 0.0, differences / tolerance)
        shares = differences / np.abs(expected).max(axis=1)
    return RuntimeResult(
        name="node",
        max_abs_diff=float(differences.max()),
        max_abs_diff_features=float(in_features.max()),
        max_ulp_diff=max(max_ulp_diff(*probabilities), max_ulp_diff(*features)),
        label_agreement=float((ours.argmax(axis=1) == expected.argmax(axis=1)).mean()),
        identical=all(np.array_equal(*pair) for pair in (features, probabilities)),
        worst_image=images.source(worst) if differences[worst] > 0 else None,
        seconds=seconds,
        max_rel_diff=float(shares.max()),
        inputs=len(images),
        tolerance=tolerance,
        excess=float(ratios.max()),
        examples={i: (float(value), float(ratios[i])) for i, value in enumerate(differences)},
    )
