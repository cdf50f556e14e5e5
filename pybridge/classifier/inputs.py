"""What a user hands to a classifier, as labelled image sets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybridge.data import (
    ImageSet,
    Labelling,
    as_images,
    from_arrays,
    is_frame,
    is_pillow_image,
    list_images,
    read_test_images,
    read_training_images,
    stratified_split,
    with_labels,
)
from pybridge.errors import DataError

Images = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | NDArray[Any]


def labelled(
    x: Images,
    y: ArrayLike | None,
    class_names: tuple[str, ...] | None = None,
    *,
    labelling: Labelling | None = None,
    skip_unreadable: bool = False,
) -> ImageSet:
    """Images with labels to measure a model on.

    Args:
        x: A folder with one folder of images for each class; or files, or images of shape (N, H, W, 3).
        y: Labels for the latter two.
        class_names: The classes that a trained model knows; None to learn them from the data.
        labelling: Where the labels of a folder come from, if not from the names of its folders.
        skip_unreadable: Leave out files of formats that cannot be decoded, instead of raising.

    Raises:
        DataError: The two do not fit together, or name classes that the model does not know.
    """
    if y is None:
        folder, labelling = _as_folder(x, labelling)
        return read_test_images(folder, labelling, class_names=class_names, skip_unreadable=skip_unreadable)
    return _paired(x, y, class_names, labelling, skip_unreadable)


def _as_folder(x: Any, labelling: Labelling | None) -> tuple[Path | None, Labelling]:
    labelling = labelling or Labelling()
    if is_frame(x):
        if labelling.is_given:
            raise DataError("a data frame was given together with other labels", hint="Give the folder and labels=frame.")
        return None, Labelling(table=x)
    if not isinstance(x, str | os.PathLike):
        raise DataError("Images were given without labels", hint="Pass y, or a folder with one folder of images for each class.")
    return Path(x), labelling


def _paired(
    x: Images, y: ArrayLike, class_names: tuple[str, ...] | None, labelling: Labelling | None, skip_unreadable: bool
) -> ImageSet:
    if isinstance(x, str | os.PathLike):
        raise DataError(
            "A folder was given together with labels",
            hint="The labels of a folder are its folders' names; labels=... takes a table of files and labels.",
        )
    if labelling is not None and labelling.is_given:
        raise DataError(
            "labels were given twice", hint="Give y for files and arrays, and labels or label_from_name for a folder."
        )
    labels = np.asarray(y)
    if class_names is not None and labels.dtype.kind in "iub":
        labels = labels.astype(str)
    if not _are_files(x):
        return from_arrays(x, labels, class_names)
    files = [Path(file) for file in x]
    if folder := next((file for file in files if file.is_dir()), None):
        raise DataError(f"{folder} is a folder among files with labels", hint="Pass files, or one folder without labels.")
    return with_labels(files if skip_unreadable else list_images(files), labels, class_names)


def unlabelled(x: Images, class_names: tuple[str, ...]) -> ImageSet:
    """Files, a folder or pixels as an image set whose labels mean nothing."""
    if _are_files(x):
        files = list_images(x)  # type: ignore[arg-type]
        return ImageSet(files, np.zeros(len(files), np.int32), class_names)
    images = as_images(x)
    return ImageSet(images, np.zeros(len(images), np.int32), class_names)


def unlabelled_files(files: Sequence[Path], class_names: tuple[str, ...]) -> ImageSet:
    """Files, each of which is known to be an image, as an image set whose labels mean nothing."""
    return ImageSet(list(files), np.zeros(len(files), np.int32), class_names)


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
    labelling: Labelling | None = None,
    skip_unreadable: bool = False,
) -> TrainingImages:
    """Lists what a user gave to train on, and parts it.

    Args:
        x: See `labelled`.
        y: See `labelled`.
        split: Share for validation, by class; 0 for none. It is not made where the data set is split already.
        validation: Validation data that the user gave, a folder or ``(x, y)``; the split is then not made.
        seed: Of the split.
        classes: The classes that a trained model knows, as the user knows them; None to learn them from the data.
        class_names: Their names.
        labelling: See `labelled`.
        skip_unreadable: See `labelled`.

    Raises:
        DataError: The images or labels cannot be used.
    """
    if y is None:
        folder, labelling = _as_folder(x, labelling)
        images, kept_apart = read_training_images(folder, labelling, class_names=class_names, skip_unreadable=skip_unreadable)
    else:
        images, kept_apart = _paired(x, y, class_names, labelling, skip_unreadable), None
    classes = _class_values(y, images) if classes is None else classes
    if validation is not None:
        x, y = validation if isinstance(validation, tuple) else (validation, None)
        names_tell = labelling if y is None and labelling is not None and labelling.pattern is not None else None
        judged = labelled(x, y, images.class_names, labelling=names_tell, skip_unreadable=skip_unreadable)
        return TrainingImages(images, judged, classes)
    if kept_apart is not None:
        return TrainingImages(images, kept_apart, classes)
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
    if is_pillow_image(x):
        return False
    return not hasattr(x, "__array__") or np.asarray(x).dtype.kind in "OUS"
