"""Images in batches, as the program that prepares them takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.data import Augmentation, EncodedImage, ImageSet, Picture, iter_batches, read_encoded
from pybridge.errors import DataError

_Portion = tuple[str, list[Any], NDArray[np.int64], dict[int, str]]


@dataclass(frozen=True)
class ImageBatch:
    """Inputs of the preprocessing program for some images, in one view.

    Attributes:
        signature: ``files`` or ``pixels``.
        inputs: The signature's inputs, in order.
        rows: int32, where each image's features belong in the store.
        images: The images' positions in the image set.
        unreadable: What is wrong with files that cannot even be read, by position; they are not among the inputs.
    """

    signature: str
    inputs: list[Any]
    rows: NDArray[np.int32]
    images: NDArray[np.int64]
    unreadable: dict[int, str]


def image_batches(
    images: ImageSet, *, batch_size: int = 32, augmentation: Augmentation | None = None, seed: int = 0
) -> Iterator[ImageBatch]:
    """Batches of images as the preprocessing program takes them, one view after the other."""
    views = augmentation.views if augmentation else 1
    for view in range(views):
        random = np.random.default_rng([seed, view])
        boxes, flips, brightness = _view(len(images), view, augmentation, random)
        for signature, leading, positions, unreadable in _portions(images, batch_size):
            inputs = [*leading, boxes[positions], flips[positions], brightness[positions]]
            yield ImageBatch(signature, inputs, (positions * views + view).astype(np.int32), positions, unreadable)


def _portions(images: ImageSet, batch_size: int) -> Iterator[_Portion]:
    if not isinstance(images.images, np.ndarray):
        yield from _file_portions(images.images, batch_size)
        return
    for start in range(0, len(images), batch_size):
        pixels = images.images[start : start + batch_size]
        yield "pixels", [pixels], np.arange(start, start + len(pixels)), {}


def _file_portions(files: Sequence[Picture], batch_size: int) -> Iterator[_Portion]:
    start = 0
    while start < len(files):
        try:
            for batch in iter_batches(files[start:], batch_size):
                yield "files", [batch.data, batch.orientations], np.arange(start, start + len(batch.data)), {}
                start += len(batch.data)
        except DataError:
            # Reading ahead ends at the first bad file: its batch is read one by one, to find them all.
            yield _one_by_one(files, start, min(start + batch_size, len(files)))
            start += batch_size


def _one_by_one(files: Sequence[Picture], start: int, stop: int) -> _Portion:
    read: dict[int, EncodedImage] = {}
    unreadable: dict[int, str] = {}
    for position in range(start, stop):
        try:
            read[position] = read_encoded(files[position])
        except DataError as error:
            unreadable[position] = error.message.replace(str(files[position]), "the file", 1)
    data = [image.data for image in read.values()]
    orientations = np.array([image.orientation for image in read.values()], np.int32)
    return "files", [data, orientations], np.array(list(read), dtype=np.int64), unreadable


def _view(
    count: int, view: int, augmentation: Augmentation | None, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    chosen = augmentation or Augmentation(views=1)
    boxes, flips = chosen.sample(count, view, random)
    return boxes, flips, chosen.sample_brightness(count, view, random)
