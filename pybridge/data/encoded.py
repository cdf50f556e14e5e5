"""Picture files as they are, undecoded, read ahead in batches."""

from __future__ import annotations

import io
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pybridge.data.formats import CONVERT_HINT, DECODABLE, HEADER_BYTES, sniff
from pybridge.data.structure import check_structure
from pybridge.errors import DataError
from pybridge.text import printable

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Larger picture files are refused before they are read."""

MAX_PIXELS = 178_956_970
"""Larger pictures are refused before they are decoded: twice Pillow's ``MAX_IMAGE_PIXELS``, its own limit."""

_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class EncodedImage:
    """A picture file's bytes and what its header says.

    Args:
        data: The whole file.
        orientation: EXIF orientation 1 to 8 of a JPEG file; 1 (upright) where there is none, and for other formats.
        width: Columns as seen, that is, after the orientation is applied.
        height: Rows as seen.
    """

    data: bytes
    orientation: int
    width: int
    height: int


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


def read_encoded(path: Path) -> EncodedImage:
    """Read a picture file; only its header is looked at, no pixel is decoded.

    Args:
        path: A JPEG, PNG, GIF or BMP file.

    Raises:
        DataError: The file is missing, unreadable, too large, damaged at its beginning, or of another kind.

    Example:
        ``read_encoded(Path("cat.jpg")).orientation``
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{printable(path)} is not a file")
        if status.st_size > MAX_FILE_BYTES:
            raise DataError(f"{printable(path)} has {status.st_size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {printable(path)}: {error.strerror or error}") from error
    return parse_encoded(data, str(path))


def parse_encoded(data: bytes, name: str) -> EncodedImage:
    """What the header of an encoded picture says; ``name`` stands for the picture in error messages.

    Raises:
        DataError: As `read_encoded`.
    """
    kind = sniff(data[:HEADER_BYTES])
    if kind is None:
        raise DataError(f"{printable(name)} is not an image" + ("" if data else ": the file is empty"))
    if kind not in DECODABLE:
        raise DataError(f"{printable(name)} is a {kind} file, which cannot be decoded", hint=CONVERT_HINT)
    width, height, orientation = _read_header(data, name)
    if width * height > MAX_PIXELS:
        raise DataError(f"{printable(name)} has {width} x {height} pixels; at most {MAX_PIXELS:,} are decoded")
    check_structure(data, kind, width * height, printable(name))
    if orientation >= 5:
        width, height = height, width
    return EncodedImage(data, orientation, width, height)


def iter_batches(paths: Sequence[Path], batch_size: int, prefetch: int = 2) -> Iterator[EncodedBatch]:
    """Read picture files in batches, ahead of the consumer, in one background thread.

    At most ``prefetch`` batches wait in memory. The thread ends when the iterator is exhausted, closed, or fails.

    Args:
        paths: Picture files.
        batch_size: Pictures in a batch; the last one may be smaller.
        prefetch: Batches that are read ahead, at least 1.

    Raises:
        DataError: From `read_encoded`, when the batch with that file is due; or a size is below 1.

    Example:
        ``for batch in iter_batches(files, 32): send(batch.data, batch.orientations)``
    """
    if batch_size < 1 or prefetch < 1:
        raise DataError(f"batch_size and prefetch must be at least 1, not {batch_size} and {prefetch}")
    return _read_ahead(paths, batch_size, prefetch)


def _read_ahead(paths: Sequence[Path], batch_size: int, prefetch: int) -> Iterator[EncodedBatch]:
    reader = ThreadPoolExecutor(1, thread_name_prefix="pybridge-read-ahead")
    waiting: deque[Future[EncodedBatch]] = deque()
    starts = iter(range(0, len(paths), batch_size))
    try:
        for start in starts:
            waiting.append(reader.submit(_read_batch, paths[start : start + batch_size]))
            if len(waiting) > prefetch:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        reader.shutdown(wait=True, cancel_futures=True)


def _read_batch(paths: Sequence[Path]) -> EncodedBatch:
    images = [read_encoded(path) for path in paths]
    return EncodedBatch(
        [image.data for image in images],
        np.array([image.orientation for image in images], np.int32),
        np.array([(image.height, image.width) for image in images], np.int32).reshape(-1, 2),
    )


def _read_header(data: bytes, name: str) -> tuple[int, int, int]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=sorted(DECODABLE)) as image:
            # Pillow would decode a whole PNG to look for EXIF, and would fall back on XMP; services must find the same.
            exif_bytes = image.info.get("exif") if image.format in ("JPEG", "MPO") else None
            width, height = image.size
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{printable(name)} is damaged or too large: {error}") from None
    return width, height, _orientation(exif_bytes)


def _orientation(exif_bytes: bytes | None) -> int:
    if not exif_bytes:
        return 1
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load(exif_bytes)
        value = exif.get(_ORIENTATION_TAG, 1)
    except Exception:
        # Damaged EXIF is common and harmless: the pixels are complete, so the picture counts as upright.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
