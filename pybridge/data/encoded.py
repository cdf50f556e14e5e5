"""Picture files as they are, undecoded, read ahead in batches."""

from __future__ import annotations

import stat
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pybridge.data.arithmetic import arithmetic_pixels
from pybridge.data.dataset import Picture
from pybridge.data.formats import CONVERT_HINT, HEADER_BYTES, OF_TENSORFLOW, READABLE, sniff
from pybridge.data.pixels import as_rgb, opened, orientation_of, to_bmp
from pybridge.data.structure import MAX_PIXELS, check_structure, has_end, is_arithmetic
from pybridge.errors import DataError
from pybridge.text import printable

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Larger picture files are refused before they are read."""

MOST_DECODED_BYTES = 128 * 1024 * 1024
"""Of the pictures in a batch that Python has decoded: a batch with more of them ends early."""

# What follows a whole picture changes no pixel of it, whatever it is.
_TAILS = (b"\0" * 64, b"\x55" * 64, b"\xaa" * 64)


@dataclass(frozen=True)
class EncodedImage:
    """A picture as TensorFlow decodes it, and what its header says.

    Args:
        data: The whole file where TensorFlow decodes it; else a BMP file of the pixels that Pillow decoded.
        orientation: EXIF orientation 1 to 8 of a JPEG, WebP or AVIF file; 1 (upright) where there is none, and for
            other formats.
        width: Columns as seen, that is, after the orientation is applied.
        height: Rows as seen.
        is_decoded: Whether ``data`` are pixels that were decoded here.
    """

    data: bytes
    orientation: int
    width: int
    height: int
    is_decoded: bool = False


@dataclass(frozen=True, eq=False)
class EncodedBatch:
    """Several encoded pictures.

    Args:
        data: One file's bytes for each picture.
        orientations: int32 of shape (n,), EXIF orientations 1 to 8.
        sizes: int32 of shape (n, 2): height and width as seen.
    """

    data: list[bytes]
    orientations: NDArray[np.int32]
    sizes: NDArray[np.int32]


def read_encoded(picture: Picture) -> EncodedImage:
    """Read a picture file. Of JPEG, PNG, GIF and ordinary BMP files only the header is looked at; others are decoded.

    Args:
        picture: A file of a format that `formats.READABLE` names; or pixels, uint8 of shape (height, width, 3).

    Raises:
        DataError: The file is missing, unreadable, too large, damaged at its beginning, or of another kind; or it is of a format
            that is decoded here, and damaged anywhere.

    Example:
        ``read_encoded(Path("cat.jpg")).orientation``
    """
    if isinstance(picture, np.ndarray):
        return EncodedImage(to_bmp(picture), 1, picture.shape[1], picture.shape[0], is_decoded=True)
    try:
        status = picture.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{printable(picture)} is not a file")
        if status.st_size > MAX_FILE_BYTES:
            raise DataError(f"{printable(picture)} has {status.st_size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        data = picture.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {printable(picture)}: {error.strerror or error}") from error
    return parse_encoded(data, str(picture))


def parse_encoded(data: bytes, name: str) -> EncodedImage:
    """The same for the bytes of a file; ``name`` stands for the picture in error messages.

    Raises:
        DataError: As `read_encoded`.
    """
    kind = sniff(data[:HEADER_BYTES])
    if kind is None:
        raise DataError(f"{printable(name)} is not an image" + ("" if data else ": the file is empty"))
    if kind not in READABLE:
        raise DataError(f"{printable(name)} is a {kind} file, which cannot be decoded", hint=CONVERT_HINT)
    decoded = kind not in OF_TENSORFLOW or (kind == "JPEG" and is_arithmetic(data))
    with opened(data, kind, name) as image:
        orientation, (width, height) = orientation_of(image), image.size
        if width * height > MAX_PIXELS:
            raise DataError(f"{printable(name)} has {width} x {height} pixels; at most {MAX_PIXELS:,} are decoded")
        check_structure(data, kind, width * height, printable(name))
        if decoded and kind != "JPEG":
            data = to_bmp(np.asarray(as_rgb(image, name)))
    if kind == "JPEG" and decoded:
        data = to_bmp(arithmetic_pixels(data, name))
    elif kind == "JPEG" and not has_end(data):
        data = _with_end(data, name)
    if orientation >= 5:
        width, height = height, width
    return EncodedImage(data, orientation, width, height, is_decoded=decoded)


def iter_batches(pictures: Sequence[Picture], batch_size: int, prefetch: int = 2) -> Iterator[EncodedBatch]:
    """Read picture files in batches, ahead of the consumer, in one background thread.

    At most ``prefetch`` batches wait in memory. The thread ends when the iterator is exhausted, closed, or fails.

    Args:
        pictures: Files or pixels.
        batch_size: Pictures in a batch; the last one may be smaller, and one that has many pixels to carry.
        prefetch: Batches that are read ahead, at least 1.

    Raises:
        DataError: From `read_encoded`, when the batch with that file is due; or a size is below 1.

    Example:
        ``for batch in iter_batches(files, 32): send(batch.data, batch.orientations)``
    """
    if batch_size < 1 or prefetch < 1:
        raise DataError(f"batch_size and prefetch must be at least 1, not {batch_size} and {prefetch}")
    return _read_ahead(pictures, batch_size, prefetch)


def _read_ahead(pictures: Sequence[Picture], batch_size: int, prefetch: int) -> Iterator[EncodedBatch]:
    reader = ThreadPoolExecutor(1, thread_name_prefix="pybridge-read-ahead")
    batches = _batches(pictures, batch_size)
    waiting: deque[Future[EncodedBatch | None]] = deque()
    try:
        waiting.extend(reader.submit(next, batches, None) for _ in range(prefetch))
        while True:
            waiting.append(reader.submit(next, batches, None))
            batch = waiting.popleft().result()
            if batch is None:
                return
            yield batch
    finally:
        reader.shutdown(wait=True, cancel_futures=True)


def _batches(pictures: Sequence[Picture], batch_size: int) -> Iterator[EncodedBatch]:
    images: list[EncodedImage] = []
    decoded = 0
    for picture in pictures:
        images.append(read_encoded(picture))
        decoded += len(images[-1].data) if images[-1].is_decoded else 0
        if len(images) == batch_size or decoded >= MOST_DECODED_BYTES:
            yield _batch(images)
            images, decoded = [], 0
    if images:
        yield _batch(images)


def _batch(images: Sequence[EncodedImage]) -> EncodedBatch:
    return EncodedBatch(
        [image.data for image in images],
        np.array([image.orientation for image in images], np.int32),
        np.array([(image.height, image.width) for image in images], np.int32).reshape(-1, 2),
    )


def _with_end(data: bytes, name: str) -> bytes:
    """A JPEG file that lacks its end marker, with one; refused where more than the marker is missing.

    libjpeg makes up what is missing. Where nothing is, the pixels do not depend on what follows the data.
    """
    data = data.rstrip(b"\xff")
    first, *others = (_pixels(data + tail + b"\xff\xd9", name) for tail in _TAILS)
    if any(not np.array_equal(first, other) for other in others):
        raise DataError(f"{printable(name)} is damaged: the file ends too early")
    return data + b"\xff\xd9"


def _pixels(data: bytes, name: str) -> NDArray[np.uint8]:
    with opened(data, "JPEG", name) as image:
        return np.asarray(as_rgb(image, name))
