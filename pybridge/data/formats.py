"""Which kind of picture a file holds, told from its first bytes, never from its name."""

from __future__ import annotations

from pathlib import Path

from pybridge.errors import DataError
from pybridge.text import printable

HEADER_BYTES = 512
"""How much of a file `sniff` wants to see."""

DECODABLE = frozenset({"JPEG", "PNG", "GIF", "BMP"})
"""The formats that TensorFlow decodes, in Python and in Node alike."""

CONVERT_HINT = (
    "Convert them to JPEG or PNG, for example with ImageMagick: `magick photo.webp photo.jpg`, "
    "or with Pillow: `Image.open('photo.webp').convert('RGB').save('photo.png')`."
)

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}


def sniff(header: bytes) -> str | None:
    """Name the picture format that a file's first bytes announce.

    Args:
        header: The first `HEADER_BYTES` bytes of the file, or all of a shorter one.

    Returns:
        One of `DECODABLE`, the name of a format that cannot be decoded (such as ``"WebP"``), or None for no picture.
    """
    if header.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if header.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if header.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if header.startswith(b"BM") and int.from_bytes(header[14:18], "little") in _BMP_HEADER_SIZES:
        return _bmp_kind(header)
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
    bits = int.from_bytes(header[24:26] if old_header else header[28:30], "little")
    compression = 0 if old_header else int.from_bytes(header[30:34], "little")
    if bits == 24 and compression == 0 and not old_header:
        return "BMP"
    return f"BMP with {bits} bits per pixel" if bits != 24 else "BMP of an unusual kind"


def _undecodable(header: bytes) -> str | None:
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "WebP"
    if header.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if header[4:8] == b"ftyp":
        if header[8:12] in (b"avif", b"avis"):
            return "AVIF"
        return "HEIC" if header[8:12] in _HEIF_BRANDS else None
    if header.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL"
    if header.startswith(b"\0\0\0\x0cjP  "):
        return "JPEG 2000"
    if header.startswith(b"8BPS"):
        return "Photoshop"
    text = header.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return "SVG" if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text) else None
