"""Real pictures that need no download, and data sets written as folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from pybridge.data.dataset import ImageSet
from pybridge.errors import DataError


def load_digits_images(limit_per_class: int | None = None, size: int = 96) -> ImageSet:
    """Handwritten digits 0 to 9 as pictures: dark ink on white paper.

    They are the 1,797 real digits of 8x8 pixels that scikit-learn ships (Optical Recognition of Handwritten Digits,
    Alpaydin and Kaynak 1998, UCI repository), enlarged with Pillow's bicubic filter.

    Args:
        limit_per_class: At most so many of each digit, the first ones; None for all.
        size: Side of the pictures in pixels, 8 to 512.

    Returns:
        uint8 pictures of shape (N, size, size, 3), classes ``"0"`` to ``"9"``.

    Raises:
        DataError: An argument is out of range.

    Example:
        ``len(load_digits_images(limit_per_class=20))`` is 200.
    """
    if limit_per_class is not None and limit_per_class < 1:
        raise DataError(f"limit_per_class must be at least 1, not {limit_per_class}")
    if not 8 <= size <= 512:
        raise DataError(f"size must be from 8 to 512, not {size}")
    from PIL import Image
    from sklearn.datasets import load_digits

    digits, targets = load_digits(return_X_y=True)
    chosen = np.concatenate([np.flatnonzero(targets == digit)[:limit_per_class] for digit in range(10)])
    chosen.sort()
    # Ink is stored as 0 (none) to 16.
    paper = (255 - digits[chosen] * (255 / 16)).round().astype(np.uint8).reshape(-1, 8, 8)
    pictures = np.empty((len(chosen), size, size, 3), np.uint8)
    for i, small in enumerate(paper):
        pictures[i] = np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC))[..., None]
    return ImageSet(pictures, targets[chosen].astype(np.int32), tuple("0123456789"))


def write_folder(image_set: ImageSet, folder: str | Path) -> Path:
    """Write a data set as one folder for each class, which `read_folder` reads back.

    Args:
        image_set: Pixels are written as PNG (lossless), files are copied.
        folder: Made if it does not exist. Files are named by their place in the set: ``cat/00012.png``.

    Returns:
        The folder.

    Raises:
        DataError: A class name cannot name a folder, or the folder cannot be written.

    Example:
        ``write_folder(load_digits_images(10), "digits")``
    """
    root = Path(folder)
    for name in image_set.class_names:
        if not name or name.startswith(".") or any(sign in name for sign in '/\\:*?"<>|\0'):
            raise DataError(f"the class name {name!r} cannot be the name of a folder")
    try:
        for name in image_set.class_names:
            (root / name).mkdir(parents=True, exist_ok=True)
        for i, label in enumerate(image_set.labels):
            _write_image(image_set, i, root / image_set.class_names[label])
    except OSError as error:
        raise DataError(f"cannot write the images to {root}: {error.strerror or error}") from error
    return root


def _write_image(image_set: ImageSet, index: int, folder: Path) -> None:
    source = image_set.images[index]
    if isinstance(source, np.ndarray):
        from PIL import Image

        Image.fromarray(source).save(folder / f"{index:05d}.png")
        return
    shutil.copyfile(source, folder / f"{index:05d}{source.suffix}")
