"""What a user hands to a classifier, as labelled image sets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybridge.data import ImageSet, as_images, from_arrays, list_images, read_folder, stratified_split, with_labels
from pybridge.errors import DataError

Images = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | NDArray[Any]


def labelled(x: Images, y: ArrayLike | None, class_names: tuple[str, ...] | None = None) -> ImageSet:
    """A folder, or images with labels, as an image set.

    Args:
        x: A folder with one folder of images for each class; or files, or images of shape (N, H, W, 3).
        y: Labels for the latter two.
        class_names: The classes that a trained model knows; None to learn them from the data.

    Raises:
        DataError: The two do not fit together, or name classes that the model does not know.
    """
    if y is None:
        if not isinstance(x, str | os.PathLike):
            raise DataError(
                "Images were given without labels", hint="Pass y, or a folder with one folder of images for each class."
            )
        return read_folder(Path(x), class_names=class_names)
    if isinstance(x, str | os.PathLike):
        raise DataError("A folder was given together with labels", hint="The labels of a folder are its folders' names.")
    labels = np.asarray(y)
    if class_names is not None and labels.dtype.kind in "iub":
        labels = labels.astype(str)
    if not _are_files(x):
        return from_arrays(x, labels, class_names)
    files = [Path(file) for file in x]
    if folder := next((file for file in files if file.is_dir()), None):
        raise DataError(f"{folder} is a folder among files with labels", hint="Pass files, or one folder without labels.")
    return with_labels(list_images(files), labels, class_names)


def unlabelled(x: Images, class_names: tuple[str, ...]) -> ImageSet:
    """Files, a folder or pixels as an image set whose labels mean nothing."""
    if _are_files(x):
        files = list_images(x)  # type: ignore[arg-type]
        return ImageSet(files, np.zeros(len(files), np.int32), class_names)
    images = as_images(x)
    return ImageSet(images, np.zeros(len(images), np.int32), class_names)


@dataclass(frozen=True)
class TrainingImages:
    """What a training is given.

    Attributes:
        training: Images to train on.
        validation: Images to judge by, or None.
        classes: The classes as the user knows them: whole numbers, booleans or names.
    """

    training: ImageSet
    validation: ImageSet | None
    classes: NDArray[Any]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the probabilities."""
        return self.training.class_names


def training_images(
    x: Images,
    y: ArrayLike | None,
    *,
    split: float,
    validation: Any,
    seed: int,
    classes: NDArray[Any] | None = None,
    class_names: tuple[str, ...] | None = None,
) -> TrainingImages:
    """Lists what a user gave to train on, and parts it.

    Args:
        x: See `labelled`.
        y: See `labelled`.
        split: Share for validation, by class; 0 for none.
        validation: Validation data that the user gave, a folder or ``(x, y)``; the split is then not made.
        seed: Of the split.
        classes: The classes that a trained model knows, as the user knows them; None to learn them from the data.
        class_names: Their names.

    Raises:
        DataError: The images or labels cannot be used.
    """
    images = labelled(x, y, class_names)
    classes = _class_values(y, images) if classes is None else classes
    if validation is not None:
        x, y = validation if isinstance(validation, tuple) else (validation, None)
        return TrainingImages(images, labelled(x, y, images.class_names), classes)
    if split == 0:
        return TrainingImages(images, None, classes)
    training, kept = stratified_split(images.labels, split, seed)
    return TrainingImages(images.take(training), images.take(kept), classes)


def _class_values(y: ArrayLike | None, images: ImageSet) -> NDArray[Any]:
    """The classes as the user knows them: elements of ``y``, or folder names."""
    if y is None:
        return np.array(images.class_names)
    values = np.asarray(y)
    return np.unique(values) if values.dtype.kind in "iub" else np.array(images.class_names)


def parse_class_values(class_names: tuple[str, ...], kind: str | None) -> NDArray[Any]:
    """The classes as the user knows them, out of a run's record.

    Args:
        class_names: Their names.
        kind: The numpy kind of the values that the names stand for.
    """
    if kind == "b":
        return np.array([name == "True" for name in class_names])
    return np.array([int(name) for name in class_names]) if kind in ("i", "u") else np.array(class_names)


def weights_by_name(class_weight: Any, classes: NDArray[Any], class_names: tuple[str, ...]) -> Any:
    """Class weights with the classes' names as keys, whatever the user called the classes.

    Args:
        class_weight: None, ``"balanced"``, or a dict. Its keys are labels; where the labels are strings, class numbers too.
        classes: The labels.
        class_names: Their names.
    """
    if not isinstance(class_weight, dict):
        return class_weight
    if classes.dtype.kind in "iub":
        return {str(label): weight for label, weight in class_weight.items()}
    numbers = dict(enumerate(class_names))
    return {key if isinstance(key, str) else numbers.get(key, key): weight for key, weight in class_weight.items()}


def _are_files(x: Any) -> bool:
    """Whether names of files were given, not pixels: in a list, an array, a data frame's column, by a generator."""
    if isinstance(x, list | tuple):
        return not x or isinstance(x[0], str | os.PathLike)
    return not hasattr(x, "__array__") or np.asarray(x).dtype.kind in "OUS"
