"""Limits on what a picture file is made of, beside the number of its pixels.

A file of a few kilobytes can ask for hours of work: by scans that go over the whole picture again, by parts without content, by
frames that nobody sees. Files of real encoders stay far below. ``structure.js`` of the deployed package has the same limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pybridge.errors import DataError

MAX_PIXELS = 178_956_970
"""Larger pictures are refused before they are decoded: twice Pillow's ``MAX_IMAGE_PIXELS``, its own limit."""

MOST_SCANS = 100
"""Of a JPEG file."""

MOST_PIXELS_IN_ALL = 1_000_000_000
"""Of all scans of a JPEG file, or of all frames of a GIF or WebP file: 20 scans of 50 megapixels."""

MOST_FRAMES = 10_000
"""Of a GIF file, of which TensorFlow decodes all to show the first; or of a WebP file."""

MOST_PARTS = 1000
"""Of a PNG or WebP file, and one more for each `BYTES_OF_A_PART` of it."""

BYTES_OF_A_PART = 256

MOST_FILES_OF_AN_ARCHIVE = 200_000

MOST_UNPACKED_BYTES = 20 * 1024**3

# What has a length of its own: not padding, not stuffed bytes, not restarts.
_SEGMENT = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")


def check_structure(data: bytes, kind: str, pixels: int, name: str) -> None:
    """Refuse a file that would take long for what it is. Nothing is decoded.

    Args:
        data: The whole file.
        kind: Its format, as `formats.sniff` names it. Of BMP, AVIF, HEIC and TIFF files only the first picture is decoded, whose
            work goes with its pixels.
        pixels: Of the picture.
        name: Stands for the picture in error messages.

    Raises:
        DataError: It has too many scans, parts or frames.

    Example:
        ``check_structure(data, "JPEG", width * height, "cat.jpg")``
    """
    if kind == "JPEG":
        _check_scans(data, pixels, name)
    elif kind == "PNG":
        _check_parts(data, name)
    elif kind == "GIF":
        _check_frames(_frames(data), name)
    elif kind == "WebP":
        _check_frames(_frames_of_webp(data, name), name)


def has_end(data: bytes) -> bool:
    """Whether a JPEG file has its end marker, which cameras that ran out of power and broken downloads leave out."""
    return data.endswith(b"\xff\xd9") or any(marker == 0xD9 for marker, _ in _segments(data))


def is_arithmetic(data: bytes) -> bool:
    """Whether a JPEG file's entropy coding is arithmetic, which TensorFlow's decoder lacks."""
    for marker, _ in _segments(data):
        # Start of frame, but for the three others among its numbers: Huffman tables, an extension, arithmetic conditioning.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker in (0xC9, 0xCA)
        if marker == 0xDA:
            break
    return False


def _check_scans(data: bytes, pixels: int, name: str) -> None:
    # All scans begin with these two bytes, which other segments may hold too.
    if _too_many(data.count(b"\xff\xda"), pixels) and _too_many(scans := sum(1 for _ in _scans(data)), pixels):
        raise DataError(
            f"{name} has {scans} scans of {pixels:,} pixels each; "
            f"at most {MOST_SCANS} scans, and {MOST_PIXELS_IN_ALL:,} pixels in all, are decoded"
        )


def _too_many(scans: int, pixels: int) -> bool:
    return scans > MOST_SCANS or scans * pixels > MOST_PIXELS_IN_ALL


def _scans(data: bytes) -> Iterator[int]:
    return (at for marker, at in _segments(data) if marker == 0xDA)


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The markers of a JPEG file up to its end, with their places."""
    at = 2
    while found := _SEGMENT.search(data, at):
        at = found.start()
        yield data[at + 1], at
        if data[at + 1] == 0xD9:
            return
        at += 2 + max(int.from_bytes(data[at + 2 : at + 4], "big"), 2)


def _check_parts(data: bytes, name: str) -> None:
    most = MOST_PARTS + len(data) // BYTES_OF_A_PART
    at = 8
    for _ in range(most):
        if at + 12 > len(data):
            return
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    if at + 12 <= len(data):
        raise DataError(f"{name} has more than {most:,} parts")


def _check_frames(sizes: Iterator[tuple[int, int]], name: str) -> None:
    frames = total = 0
    for width, height in sizes:
        frames, total = frames + 1, total + width * height
        if frames > MOST_FRAMES:
            raise DataError(f"{name} has more than {MOST_FRAMES:,} frames")
    if total > MOST_PIXELS_IN_ALL:
        raise DataError(f"{name} has frames of {total:,} pixels in all; at most {MOST_PIXELS_IN_ALL:,} are decoded")


def _frames(data: bytes) -> Iterator[tuple[int, int]]:
    at = 13 + _palette(data[10:11])
    while at < len(data) and data[at] in (0x21, 0x2C):
        if data[at] == 0x2C:
            yield int.from_bytes(data[at + 5 : at + 7], "little"), int.from_bytes(data[at + 7 : at + 9], "little")
            at += 10 + _palette(data[at + 9 : at + 10]) + 1
        else:
            at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1


def _frames_of_webp(data: bytes, name: str) -> Iterator[tuple[int, int]]:
    most = MOST_PARTS + len(data) // BYTES_OF_A_PART
    at = 12
    for _ in range(most):
        if at + 8 > len(data):
            return
        if data[at : at + 4] == b"ANMF":
            width, height = (1 + int.from_bytes(data[at + start : at + start + 3], "little") for start in (14, 17))
            yield width, height
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    raise DataError(f"{name} has more than {most:,} parts")


def _palette(flags: bytes) -> int:
    return 3 * (2 << (flags[0] & 7)) if flags and flags[0] & 0x80 else 0
