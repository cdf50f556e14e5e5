"""What a package's manifest says of its own model: an answer to compare with, and what a lower precision costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.classifier.inputs import labelled, unlabelled
from pybridge.data import ImageSet

CHECK_HEIGHT, CHECK_WIDTH = 96, 128

CHECK_TOLERANCE = 1e-3
"""Kernels of other TensorFlow.js backends add in another order; measured differences of probabilities are below 1e-4."""


def check_picture(class_names: Sequence[str]) -> ImageSet:
    """A pattern of coloured waves, which the package makes too, to compare its probabilities at load.

    Returns:
        An image set of one image, uint8 of shape (1, 96, 128, 3).
    """
    y, x, channel = np.ogrid[:CHECK_HEIGHT, :CHECK_WIDTH, :3]
    wave = (x * (3 + channel) + y * (5 - channel) + 40 * channel) % 510
    pixels = np.where(wave < 256, wave, 510 - wave).astype(np.uint8)
    return ImageSet(pixels[np.newaxis], np.zeros(1, np.int32), tuple(class_names))


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
