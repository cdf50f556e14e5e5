"""The labelled pictures that the benchmarks train on, and how they are parted."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.data import ImageSet, load_digits_images, read_folder, stratified_split

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("PYBRIDGE_TEST_DATA", REPOSITORY.parent / "shared" / "data"))

TEST_SHARE = 0.25
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Pictures:
    """A data set.

    Attributes:
        name: ``trashnet``, ``sign_digits``, ``digits`` or ``clothing``.
        images: All of them.
        people: int64 of shape (N,): who is on each picture, where that is known.
        test: Positions of the test part, where those who made the data set say which it is.
    """

    name: str
    images: ImageSet
    people: NDArray[np.int64] | None = None
    test: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Parts:
    """Positions of the pictures to train on, to stop by, and to judge by."""

    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def load(name: str) -> Pictures:
    """One of the data sets: three of the shared data folder, and scikit-learn's handwritten digits."""
    if name == "digits":
        return Pictures(name, load_digits_images())
    if name == "clothing":
        parts = [read_folder(DATA / name / part) for part in ("train", "validation", "test")]
        files: list[Any] = [file for images in parts for file in images.images]
        whole = ImageSet(files, np.concatenate([images.labels for images in parts]), parts[0].class_names)
        return Pictures(name, whole, test=np.arange(len(files) - len(parts[-1]), len(files)))
    images = read_folder(DATA / name)
    return Pictures(name, images, _signers(images) if name == "sign_digits" else None)


def part(pictures: Pictures, seed: int, per_class: int | None = None) -> Parts:
    """Three parts, by class, and by person where people are known.

    Args:
        pictures: What to part.
        seed: Of the parts.
        per_class: So many pictures of each class for training and validation together; None for all. The test part is
            the same for all numbers.
    """
    labels, people = pictures.images.labels, pictures.people
    if pictures.test is None:
        rest, test = stratified_split(labels, TEST_SHARE, seed, people)
    else:
        test = pictures.test
        rest = np.setdiff1d(np.arange(len(labels)), test)
    if per_class is not None:
        order = np.random.default_rng([seed, per_class]).permutation(rest)
        rest = np.sort(np.concatenate([order[labels[order] == each][:per_class] for each in np.unique(labels)]))
    training, validation = stratified_split(labels[rest], VALIDATION_SHARE, seed, None if people is None else people[rest])
    return Parts(rest[training], rest[validation], test)


def _signers(images: ImageSet) -> NDArray[np.int64]:
    """Each person was photographed with the ten signs in their order, and the files count on: a new 0 is a new person."""
    files: list[Any] = list(images.images)
    numbers = np.array([int(re.findall(r"\d+", Path(file).stem)[-1]) for file in files])
    firsts = np.sort(numbers[images.labels == images.class_names.index("0")])
    return np.searchsorted(firsts, numbers, side="right").astype(np.int64)
