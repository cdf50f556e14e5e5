"""A file that asks for far more work than a picture of its size is refused before it is decoded."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pybridge.data.encoded import parse_encoded
from pybridge.errors import DataError


def encoded(kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def scanned_again(scans: int) -> bytes:
    """A progressive JPEG with its last scan over and over."""
    file = encoded("JPEG", progressive=True)
    start = file.rindex(b"\xff\xda")
    return file[:start] + file[start:-2] * (1 + scans) + file[-2:]


def with_size(file: bytes, width: int, height: int) -> bytes:
    """The same progressive JPEG with another size in its header."""
    at = file.index(b"\xff\xc2") + 5
    return file[:at] + struct.pack(">HH", height, width) + file[at + 4 :]


def with_parts(count: int, content: bytes = b"") -> bytes:
    """A PNG with comments before its pixels."""
    file, named = encoded("PNG"), b"tEXt" + content
    part = struct.pack(">I", len(content)) + named + struct.pack(">I", zlib.crc32(named))
    return file[:33] + part * count + file[33:]


def gif(frames: int, side: int = 1) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b"\x3b"


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (scanned_again(20_000), "scans"),
        (with_size(scanned_again(60), 7000, 7000), "scans of 49,000,000 pixels"),
        (with_parts(100_000), "parts"),
        (gif(1_500_000), "more than 10,000 frames"),
        (gif(5000, 500), "pixels in all"),
    ],
    ids=["scans", "scans of many pixels", "parts", "frames", "frames of many pixels"],
)
def test_a_file_that_asks_for_too_much_is_refused(file: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        parse_encoded(file, "hostile")


@pytest.mark.parametrize(
    "file",
    [
        encoded("JPEG"),
        scanned_again(20),
        # What looks like scans, in a comment.
        encoded("JPEG", comment=b"\xff\xda" * 500),
        with_parts(900, b"Comment\0x"),
        gif(2000),
    ],
    ids=["plain", "progressive", "a comment", "comments", "animated"],
)
def test_what_real_encoders_write_is_taken(file: bytes) -> None:
    assert parse_encoded(file, "real").data == file
