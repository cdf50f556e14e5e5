"""Files in formats that TensorFlow does not decode: decoded by Pillow, and handed on as a BMP file of the same pixels."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pybridge.data.formats import OTHER_BMP
from pybridge.data.structure import MAX_PIXELS
from pybridge.errors import DataError
from pybridge.text import printable

if TYPE_CHECKING:
    from PIL import Image

_PILLOW_FORMATS = {
    "JPEG": ("JPEG", "MPO"),
    "PNG": ("PNG",),
    "GIF": ("GIF",),
    "BMP": ("BMP",),
    OTHER_BMP: ("BMP",),
    "WebP": ("WEBP",),
    "AVIF": ("AVIF",),
    "TIFF": ("TIFF",),
}
# Those whose orientation is part of what a viewer shows; of a TIFF or HEIC file the decoder has turned the pixels already.
_ORIENTED = {"JPEG", "MPO", "WEBP", "AVIF"}
_ORIENTATION_TAG = 0x0112

_DEEP_GREY = {"I;16", "I;16L", "I;16B", "I;16N"}
_UNDECODED_MODES = {"F": "floating-point numbers", "I": "32 bits", "LAB": "Lab colours", "HSV": "HSV colours"}


@contextmanager
def opened(data: bytes, kind: str, name: str) -> Iterator[Image.Image]:
    """A picture whose header has been read, and nothing decoded.

    Args:
        data: The whole file.
        kind: Its format, one of `READABLE`.
        name: Stands for the picture in error messages.

    Raises:
        DataError: It is damaged, or its decoder is not installed; also from within the block, whatever the decoder raises.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with _open_heic(data, name) if kind == "HEIC" else Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS[kind]) as image:
            yield image
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{printable(name)} is damaged: it is no {kind} file beyond its first bytes") from None
    except Exception as error:
        # Pillow's decoders raise what the damage leads to: struct.error, KeyError, EOFError, MemoryError ...
        raise DataError(f"{printable(name)} is damaged or too large: {error or type(error).__name__}") from None


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, by which a viewer turns an opened picture; 1, upright, where there is none."""
    if image.format not in _ORIENTED:
        return 1
    # Pillow would fall back on XMP; services must find the same.
    exif = image.info.get("exif")
    try:
        value = _orientation_in(exif) if exif else 1
    except Exception:
        # Damaged EXIF is common and harmless: the pixels are complete, so the picture counts as upright.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def as_rgb(image: Image.Image, name: str) -> Image.Image:
    """The pixels of an opened picture's first frame as RGB: alpha is dropped, of 16 bits the upper 8 are kept.

    Raises:
        DataError: It has pixels of another kind, such as floating-point numbers.
    """
    from PIL import Image

    if image.mode in _UNDECODED_MODES:
        raise DataError(
            f"{printable(name)} has pixels of {_UNDECODED_MODES[image.mode]}, which are not decoded",
            hint="Convert it to 8 bits a channel, in the way that your pictures need.",
        )
    if image.mode in _DEEP_GREY:
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    elif image.mode == "La":
        image = image.convert("LA")
    return image if image.mode == "RGB" else image.convert("RGB")


def to_bmp(pixels: NDArray[np.uint8]) -> bytes:
    """A BMP file of 24 bits, which TensorFlow decodes to exactly these pixels.

    Args:
        pixels: uint8 of shape (height, width, 3), RGB.

    Example:
        >>> to_bmp(np.zeros((1, 1, 3), np.uint8))[:2]
        b'BM'
    """
    height, width = pixels.shape[:2]
    stride = (3 * width + 3) // 4 * 4
    rows = np.zeros((height, stride), np.uint8)
    rows[:, : 3 * width].reshape(height, width, 3)[...] = pixels[::-1, :, ::-1]
    size = 54 + rows.size
    header = struct.pack("<2sIHHI", b"BM", size, 0, 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, 24, 0, rows.size, 0, 0, 0, 0
    )
    return header + rows.tobytes()


def _orientation_in(exif_bytes: bytes) -> Any:
    from PIL import Image

    exif = Image.Exif()
    exif.load(exif_bytes)
    return exif.get(_ORIENTATION_TAG, 1)


def _open_heic(data: bytes, name: str) -> Image.Image:
    try:
        import pillow_heif
    except ImportError:
        raise DataError(
            f"{printable(name)} is a HEIC file, for which a decoder is not installed",
            hint="Run: pip install 'pybridge[heic]'. Or convert the file to JPEG.",
        ) from None
    heic = pillow_heif.open_heif(io.BytesIO(data))
    width, height = heic.size
    if width * height > MAX_PIXELS:
        raise DataError(f"{printable(name)} has {width} x {height} pixels; at most {MAX_PIXELS:,} are decoded")
    picture: Image.Image = heic.to_pillow()
    return picture
