"""Pictures to measure with: many crops of the two photos that come with scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pybridge.data import ImageSet, read_folder
from pybridge.errors import DataError

_SIDE = 256
_REGIONS = 5


def cut_pictures(folder: Path, count: int) -> ImageSet:
    """Writes JPEG files of 256 x 256 pixels into one folder for each class, always the same ones.

    A picture is a square of 96 to 256 pixels out of one of the two photos, scaled to 256. Its class is the photo and the fifth
    of its width that the square's middle lies in: ten classes.

    Args:
        folder: Where to; must not exist.
        count: How many.

    Example:
        >>> len(cut_pictures(Path("photos"), 256))
        256
    """
    from PIL import Image
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    random = np.random.default_rng(0)
    for position in range(count):
        label = position % (len(photos) * _REGIONS)
        photo = photos[label // _REGIONS]
        height, width = photo.shape[:2]
        side = int(random.integers(96, 257))
        middle = (label % _REGIONS + random.uniform()) * width / _REGIONS
        left = int(np.clip(middle - side / 2, 0, width - side))
        top = int(random.integers(0, height - side + 1))
        crop = Image.fromarray(photo[top : top + side, left : left + side]).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        place = folder / f"class_{label}"
        place.mkdir(parents=True, exist_ok=True)
        crop.save(place / f"{position:05}.jpg", quality=90)
    return read_folder(folder)


def own_pictures(source: Path, folder: Path, count: int) -> ImageSet:
    """Links a user's JPEG files into a new folder, spread over all of them; each several times where there are too few.

    Args:
        source: A folder with one folder of pictures for each class.
        folder: Where to; must not exist.
        count: How many.

    Raises:
        DataError: The folder has no JPEG files in two classes or more.
    """
    images = read_folder(source)
    files = [Path(images.source(i)) for i in range(len(images))]
    usable = [i for i, file in enumerate(files) if file.suffix.lower() in (".jpg", ".jpeg")]
    classes = sorted({int(images.labels[i]) for i in usable})
    if len(classes) < 2:
        raise DataError(f"{source} has JPEG files in {len(classes)} classes", hint="At least two classes are needed.")
    queues = [np.random.default_rng(label).permutation([i for i in usable if images.labels[i] == label]) for label in classes]
    for position in range(count):
        queue = queues[position % len(queues)]
        file = files[queue[position // len(queues) % len(queue)]]
        place = folder / f"class_{position % len(queues):03}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{position:05}.jpg").symlink_to(file.resolve())
    return read_folder(folder)
