"""Which kind of picture a file holds, told from its first bytes, never from its name."""

from __future__ import annotations

from pathlib import Path

from pybridge.errors import DataError
from pybridge.text import printable

HEADER_BYTES = 512
"""How much of a file `sniff` wants to see."""

OF_TENSORFLOW = frozenset({"JPEG", "PNG", "GIF", "BMP"})
"""The formats that TensorFlow decodes, in Python and in Node alike."""

OTHER_BMP = "BMP of another kind than 24 bits"
"""With a palette, compressed, or with 16 or 32 bits, of which TensorFlow gets the colours wrong."""

OF_PILLOW = frozenset({"WebP", "AVIF", "TIFF", "HEIC", OTHER_BMP})
"""The formats that Python decodes for both; HEIC with the extra ``heic``."""

READABLE = OF_TENSORFLOW | OF_PILLOW
"""What a picture may be."""

READABLE_NAMES = "JPEG, PNG, GIF, BMP, WebP, AVIF, TIFF and HEIC"

CONVERT_HINT = (
    "Convert them to JPEG or PNG, for example with ImageMagick: `magick photo.jxl photo.jpg`; or leave them out with "
    "skip_unreadable=True (--skip-unreadable)."
)

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}


def sniff(header: bytes) -> str | None:
    """Name the picture format that a file's first bytes announce.

    Args:
        header: The first `HEADER_BYTES` bytes of the file, or all of a shorter one.

    Returns:
        One of `READABLE`, the name of a format that cannot be decoded (such as ``"JPEG XL"``), or None for no picture.
    """
    if header.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if header.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if header.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if header.startswith(b"BM") and int.from_bytes(header[14:18], "little") in _BMP_HEADER_SIZES:
        return _bmp_kind(header)
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "WebP"
    if header.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if header[4:8] == b"ftyp":
        return _heif_kind(header)
    return _undecodable(header)


def sniff_file(path: Path) -> str | None:
    """`sniff` the file at ``path``.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return sniff(file.read(HEADER_BYTES))
    except OSError as error:
        raise DataError(f"cannot read {printable(path)}: {error.strerror or error}") from error


def _bmp_kind(header: bytes) -> str:
    # TensorFlow's BMP decoder cannot change the number of channels, and knows no palettes and no compression.
    old_header = int.from_bytes(header[14:18], "little") < 40
    bits = int.from_bytes(header[28:30], "little")
    compression = int.from_bytes(header[30:34], "little")
    return "BMP" if not old_header and bits == 24 and compression == 0 else OTHER_BMP


def _heif_kind(header: bytes) -> str | None:
    # The first brand is the main one, the others follow after a version; AVIF files may call themselves mif1 first.
    box = header[: max(16, int.from_bytes(header[:4], "big"))]
    brands = {box[8:12], *(box[at : at + 4] for at in range(16, len(box) - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if box[8:12] in _HEIF_BRANDS or brands & (_HEIF_BRANDS - {b"mif1", b"msf1"}) else None


def _undecodable(header: bytes) -> str | None:
    if header.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL"
    if header.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):
        return "JPEG 2000"
    if header.startswith(b"8BPS"):
        return "Photoshop"
    text = header.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return "SVG" if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text) else None
