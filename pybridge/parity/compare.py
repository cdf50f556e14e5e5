"""Runs the same images through Node and through Python's TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.classifier import ImageClassifier
from pybridge.classifier.inputs import Images, unlabelled
from pybridge.data import ImageSet
from pybridge.parity.report import ParityReport, RuntimeResult, max_ulp_diff
from pybridge.programs import Program, TensorFlowProcess, run_reference
from pybridge.progress import progress
from pybridge.training.features import image_batches

REFERENCE = "TensorFlow in Python"
NODE = "node"


def verify(run: str | Path | ImageClassifier, images: Images | ImageSet, *, tolerance: float = 0.0) -> ParityReport:
    """Compares what Node and Python compute for the same images, from their raw bytes on.

    Python's TensorFlow runs in a process of its own, with the settings that the Node.js process has.

    Args:
        run: A run directory or a trained classifier.
        images: Image files, a folder of images, uint8 images of shape (N, H, W, 3), or an image set.
        tolerance: The largest difference that passes. Both run the same TensorFlow library, so it is 0: equal to the last
            bit.

    Returns:
        The report; ``passed`` says whether all agree.

    Raises:
        ModelFormatError: There is no such run.
        DataError: The images cannot be used.

    Example:
        >>> pb.verify("run/", "test_photos/").raise_for_status()
    """
    classifier = run if isinstance(run, ImageClassifier) else ImageClassifier.load(run)
    try:
        chosen = images if isinstance(images, ImageSet) else unlabelled(images, classifier.class_names_)
        with TensorFlowProcess(classifier.runtime().environment()) as tensorflow:
            stages = classifier.programs(tensorflow)
            started = time.perf_counter()
            features, probabilities = classifier.activations(chosen)
            seconds = time.perf_counter() - started
            expected_features, expected = _in_python(stages, chosen, tensorflow)
    finally:
        if classifier is not run:
            classifier.close()
    result = _compare(chosen, seconds, (features, expected_features), (probabilities, expected))
    return ParityReport(REFERENCE, tolerance, len(chosen), (result,))


def prove(classifier: ImageClassifier, run_dir: str | Path, *, limit: int = 32) -> ParityReport | None:
    """Verifies a classifier on some of the images that it was just judged by, and records the result in its run.

    Args:
        classifier: A classifier whose training wrote ``run_dir``.
        run_dir: The run.
        limit: How many images at most.

    Returns:
        The report, or None where the classifier was loaded from a run that was finished already.
    """
    if classifier.judged_ is None:
        return None
    report = verify(classifier, classifier.judged_.sample(limit))
    classifier.record_parity(report.to_dict(), run_dir)
    return report


def _in_python(stages: Sequence[Program], images: ImageSet, tensorflow: TensorFlowProcess) -> list[NDArray[np.float32]]:
    signature = "pixels" if images.is_array else "files"
    inputs = (batch.inputs for batch in image_batches(images))
    with progress(1, "The same in Python", "job") as bar:
        outputs = run_reference(stages, signature, inputs, tensorflow, keep=[len(stages) - 2, len(stages) - 1])
        bar.update()
    return outputs


def _compare(
    images: ImageSet,
    seconds: float,
    features: tuple[NDArray[Any], NDArray[Any]],
    probabilities: tuple[NDArray[Any], NDArray[Any]],
) -> RuntimeResult:
    ours, expected = probabilities
    differences = np.abs(ours - expected).reshape(len(images), -1).max(axis=1)
    in_features = np.abs(features[0] - features[1])
    worst = int(differences.argmax())
    return RuntimeResult(
        name=NODE,
        max_abs_diff=float(differences.max()),
        max_abs_diff_features=float(in_features.max()),
        max_ulp_diff=max(max_ulp_diff(*probabilities), max_ulp_diff(*features)),
        label_agreement=float((ours.argmax(axis=1) == expected.argmax(axis=1)).mean()),
        identical=all(np.array_equal(*pair) for pair in (features, probabilities)),
        worst_image=images.source(worst) if differences[worst] > 0 else None,
        seconds=seconds,
    )
