"""Pictures and labels that arrive as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.data.dataset import ImageSet, Picture
from pybridge.errors import DataError


def from_arrays(x: Any, y: Any, class_names: Sequence[str] | None = None) -> ImageSet:
    """Check pictures and labels and join them.

    Args:
        x: uint8 pixels, 0 to 255: (N, H, W, 3) RGB, or grey as (N, H, W, 1), which is repeated to three channels; one picture
            as (H, W, 3). Anything that numpy can read. Or one of Pillow's pictures; or a list of these or of arrays of shape
            (H, W, 3), whose sizes may differ.
        y: N labels, whole numbers or strings; shape (N,) or (N, 1).
        class_names: None: the classes are the distinct values of ``y``, sorted, at least two of them. Otherwise
            strings in ``y`` must be among these names, and whole numbers are positions in them.

    Raises:
        DataError: The arrays cannot be used as they are; the hint says how to convert them.

    Example:
        >>> from_arrays(np.zeros((3, 8, 8), np.uint8), ["b", "a", "b"]).labels.tolist()
        [1, 0, 1]
    """
    return with_labels(as_images(x), y, class_names)


def with_labels(images: Sequence[Picture] | NDArray[np.uint8], y: Any, class_names: Sequence[str] | None = None) -> ImageSet:
    """Join pictures, files or pixels, and labels.

    Args:
        images: As `ImageSet` has them.
        y: As in `from_arrays`.
        class_names: As in `from_arrays`.

    Raises:
        DataError: The labels cannot be used, or are not as many as the pictures.

    Example:
        >>> with_labels([Path("a.jpg"), Path("b.jpg")], ["dog", "cat"]).class_names
        ('cat', 'dog')
    """
    values = _label_values(y)
    if len(images) != len(values):
        raise DataError(
            f"{len(images)} images, but {len(values)} labels", hint="Give one label for each image, in the same order."
        )
    if class_names is None:
        found, labels = np.unique(values, return_inverse=True)
        if len(found) < 2:
            raise DataError(f"all labels are {found[0]!s}: there is only one class", hint="Give images of two or more classes.")
        return ImageSet(images, labels.astype(np.int32), tuple(str(value) for value in found))
    return ImageSet(images, _look_up(values, tuple(class_names)), tuple(class_names))


def as_images(x: Any) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
    """Check that ``x`` holds pictures and give them as uint8 of shape (N, H, W, 3), or a list of (H, W, 3) of several sizes.

    Args:
        x: As in `from_arrays`.

    Raises:
        DataError: Wrong shape, type or range.
    """
    if is_pillow_image(x):
        return _pixels_of(x)[np.newaxis]
    if isinstance(x, list | tuple) and any(is_pillow_image(each) or np.ndim(each) == 3 for each in x):
        pictures = [_single(each, position) for position, each in enumerate(x)]
        return np.stack(pictures) if len({picture.shape for picture in pictures}) == 1 else pictures
    try:
        images = np.asarray(x)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"the images do not form one array: {error}",
            hint="Give a list of pictures of shape (height, width, 3), or files, or a folder.",
        ) from None
    if images.ndim == 3 and images.shape[-1] == 3:
        images = images[np.newaxis]
    if images.ndim != 4 or 0 in images.shape:
        raise DataError(
            f"images must have the shape (N, height, width, 3), or (height, width, 3) for one, not {images.shape}",
            hint={
                2: "For a single grey picture add axes: x[None, ..., None].",
                3: "For grey pictures, (N, height, width), add an axis: x[..., None].",
            }.get(images.ndim),
        )
    _check_pixel_type(images)
    return _three_channels(images)


def is_pillow_image(x: Any) -> bool:
    """Whether ``x`` is a picture of Pillow."""
    if not type(x).__module__.startswith(("PIL.", "pillow_heif")):
        return False
    from PIL import Image

    return isinstance(x, Image.Image)


def _single(picture: Any, position: int) -> NDArray[np.uint8]:
    if is_pillow_image(picture):
        return _pixels_of(picture)
    pixels = np.asarray(picture)
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3):
        raise DataError(f"image {position} has the shape {pixels.shape}; pictures in a list have (height, width, 3)")
    pictures = as_images(pixels[np.newaxis])
    assert isinstance(pictures, np.ndarray)
    single: NDArray[np.uint8] = pictures[0]
    return single


def _pixels_of(picture: Any) -> NDArray[np.uint8]:
    """As reading the file would give them: upright."""
    from PIL import ImageOps

    from pybridge.data.pixels import as_rgb, orientation_of

    try:
        turned = ImageOps.exif_transpose(picture) if orientation_of(picture) > 1 else picture
        return np.asarray(as_rgb(turned, "the picture"))
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"a picture of Pillow cannot be decoded: {error}") from None


def _check_pixel_type(images: NDArray[Any]) -> None:
    if images.dtype == np.uint8:
        return
    where = f"images must be uint8, 0 to 255, not {images.dtype}"
    if images.dtype.kind not in "fiu":
        raise DataError(where, hint="Pass the pixels as numbers, or file names to `predict` and a folder to `fit`.")
    low, high = float(images.min()), float(images.max())
    if not np.isfinite([low, high]).all():
        raise DataError(f"{where}; some pixels are NaN or infinite", hint="Find them with np.isfinite(x).")
    where += f" with values from {low:g} to {high:g}"
    if images.dtype.kind == "f" and low >= 0 and high <= 1:
        raise DataError(where, hint="Convert: (x * 255).round().astype('uint8'). Scaling for the model is done by pybridge.")
    if images.dtype.kind == "f" and low >= -1 and high <= 1:
        raise DataError(where, hint="Convert: ((x + 1) * 127.5).round().astype('uint8'). pybridge scales by itself.")
    raise DataError(where, hint="Convert: x.round().clip(0, 255).astype('uint8'), if 0 to 255 is their range.")


def _three_channels(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    channels = images.shape[-1]
    if channels == 3:
        return images
    if channels == 1:
        return np.repeat(images, 3, axis=-1)
    if channels == 4:
        raise DataError(f"images have 4 channels (shape {images.shape})", hint="Drop the alpha channel: x[..., :3].")
    if images.shape[1] in (1, 3):
        raise DataError(
            f"images of shape {images.shape} have their channels first", hint="Move them last: x.transpose(0, 2, 3, 1)."
        )
    raise DataError(f"images must have 3 channels, or 1 for grey, not {channels} (shape {images.shape})")


def _label_values(y: Any) -> NDArray[Any]:
    try:
        values = np.asarray(y)
    except (ValueError, TypeError) as error:
        raise DataError(f"the labels do not form one array: {error}") from None
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2:
        raise DataError(f"labels have the shape {values.shape}", hint="One-hot labels become numbers with y.argmax(axis=1).")
    if values.ndim != 1 or not len(values):
        raise DataError(f"labels must have the shape (N,), not {values.shape}")
    if values.dtype.kind == "O":
        wrong = next((value for value in values if not isinstance(value, str)), None)
        if not all(isinstance(value, str) for value in values):
            raise DataError(f"labels must be all strings or all whole numbers; one is {wrong!r}")
        values = values.astype(str)
    if values.dtype.kind == "f":
        raise DataError(
            f"labels must be whole numbers or strings, not {values.dtype}",
            hint="Some are NaN: fill or drop them." if np.isnan(values).any() else "Convert them: y.astype(int).",
        )
    if values.dtype.kind not in "iubU":
        raise DataError(f"labels must be whole numbers or strings, not {values.dtype}")
    return values


def _look_up(values: NDArray[Any], class_names: tuple[str, ...]) -> NDArray[np.int32]:
    if len(set(class_names)) != len(class_names):
        raise DataError(f"class_names holds a name twice: {class_names}")
    if values.dtype.kind == "U":
        number = {name: i for i, name in enumerate(class_names)}
        if unknown := sorted(set(values.tolist()) - set(number)):
            raise DataError(f"labels {unknown[:5]} are not among the classes {list(class_names)[:20]}")
        return np.array([number[value] for value in values.tolist()], np.int32)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= len(class_names):
        raise DataError(
            f"labels run from {low} to {high}, but there are {len(class_names)} classes: they must be 0 to "
            f"{len(class_names) - 1}",
            hint="Give the labels as names instead of numbers.",
        )
    return values.astype(np.int32)
