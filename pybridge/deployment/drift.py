"""What a lower precision of the weights costs: how far probabilities drift, and how many labels change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.classifier.inputs import labelled, unlabelled
from pybridge.data import ImageSet
from pybridge.errors import ParityError
from pybridge.tfjs.precision import PackagePrecision

MAX_DRIFT = 0.01
"""What a lower precision may cost unless the user says otherwise: one image in a hundred."""

_DRIFT_HINT = "Take a higher precision, or allow more with max_drift (--max-drift), or force it."


def image_set(images: Any, class_names: tuple[str, ...]) -> tuple[ImageSet, bool]:
    """Images to measure on, and whether their labels are known.

    Args:
        images: A folder with one folder for each class, or what `ImageClassifier.predict` takes.
        class_names: The classes of the model.

    Raises:
        DataError: They cannot be used.
    """
    if isinstance(images, ImageSet):
        return images, True
    if isinstance(images, str | Path) and any((Path(images) / name).is_dir() for name in class_names):
        return labelled(images, None, class_names), True
    return unlabelled(images, class_names), False


def drift(exact: NDArray[np.float32], stored: NDArray[np.float32], labels: NDArray[np.int32] | None) -> dict[str, float | int]:
    """How the probabilities of stored weights differ from those of the trained ones.

    Args:
        exact: Of the trained weights, float32 of shape (images, classes).
        stored: Of the weights as the package stores them.
        labels: The true classes of the images, or None where they are not known.
    """
    difference = np.abs(exact.astype(np.float64) - stored)
    measured: dict[str, float | int] = {
        "images": len(exact),
        "max_probability_drift": float(difference.max()),
        "mean_probability_drift": float(difference.mean()),
        "label_agreement": float((exact.argmax(axis=1) == stored.argmax(axis=1)).mean()),
    }
    if labels is not None:
        measured["accuracy"] = float((stored.argmax(axis=1) == labels).mean())
        measured["accuracy_float32"] = float((exact.argmax(axis=1) == labels).mean())
    return measured


def check_drift(measured: Mapping[str, float | int], precision: PackagePrecision) -> None:
    """Makes sure that stored weights are as good as the trained ones.

    Args:
        measured: As `drift` gives it, and as ``limit`` the largest share of changed labels and the largest loss of accuracy.
        precision: Of the stored weights, for the message.

    Raises:
        ParityError: They are not; it has the figures.
    """
    limit = measured["limit"]
    # A share of images has rounding errors of its own.
    slack = 1e-9
    changed = 1 - measured["label_agreement"]
    lost = measured.get("accuracy_float32", 0) - measured.get("accuracy", 0)
    if changed <= limit + slack and lost <= limit + slack:
        return
    raise ParityError(f"{precision} weights are too far from the trained ones: {describe_drift(measured)}", hint=_DRIFT_HINT)


def describe_drift(measured: Mapping[str, float | int]) -> str:
    """The figures of `drift`, for people."""
    text = (
        f"on {measured['images']} images {1 - measured['label_agreement']:.2%} of the labels change, "
        f"a probability differs by up to {measured['max_probability_drift']:.3g}"
    )
    if "accuracy" in measured:
        text += f", accuracy is {measured['accuracy']:.4f} instead of {measured['accuracy_float32']:.4f}"
    return f"{text}; at most {measured['limit']:.2%} are allowed"
