"""Limits on what a picture file is made of, beside the number of its pixels.

A file of a few kilobytes can ask for hours of work: by scans that go over the whole picture again, by parts without content, by
frames that nobody sees. Files of real encoders stay far below. ``structure.js`` of the deployed package has the same limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pybridge.errors import DataError

MOST_SCANS = 100
"""Of a JPEG file."""

MOST_PIXELS_IN_ALL = 1_000_000_000
"""Of all scans of a JPEG file, or of all frames of a GIF file: 20 scans of 50 megapixels."""

MOST_FRAMES = 10_000
"""Of a GIF file: TensorFlow decodes all of them to show the first."""

MOST_PARTS = 1000
"""Of a PNG file, and one more for each `BYTES_OF_A_PART` of it."""

BYTES_OF_A_PART = 256

# What has a length of its own: not padding, not stuffed bytes, not restarts.
_SEGMENT = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")


def check_structure(data: bytes, kind: str, pixels: int, name: str) -> None:
    """Refuse a file that would take long for what it is. Nothing is decoded.

    Args:
        data: The whole file.
        kind: Its format: JPEG, PNG, GIF or BMP.
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
        _check_frames(data, name)


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
    at = 2
    while (found := _SEGMENT.search(data, at)) and data[found.start() + 1] != 0xD9:
        at = found.start()
        if data[at + 1] == 0xDA:
            yield at
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


def _check_frames(data: bytes, name: str) -> None:
    frames = total = 0
    for width, height in _frames(data):
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


def _palette(flags: bytes) -> int:
    return 3 * (2 << (flags[0] & 7)) if flags and flags[0] & 0x80 else 0
