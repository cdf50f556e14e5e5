"""Formats that TensorFlow does not decode: what Python hands on are the pixels that Pillow gives."""

from __future__ import annotations

import base64
import io
import struct
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pybridge.data import iter_batches, parse_encoded, read_encoded
from pybridge.data.arithmetic import arithmetic_pixels
from pybridge.data.encoded import MOST_DECODED_BYTES
from pybridge.errors import DataError

RNG = np.random.default_rng(0)
PIXELS = np.asarray(Image.fromarray(RNG.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize((31, 22)))
PHOTO = Image.fromarray(PIXELS)
CLEAR = Image.fromarray(np.dstack([PIXELS, PIXELS[..., 0]]))

# A gradient with the same coefficients twice: with arithmetic coding, which Pillow cannot write, and with Huffman coding.
ARITHMETIC, HUFFMAN = (
    base64.b64decode(text)
    for text in (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/"
        "2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/yQARCAAQABADAREAAhEBAxEB/8wACgAQ"
        "EAUBEBEF/9oADAMBAAIRAxEAPwD/ANuWtkcTUMalg1lvzZQZOEOf7iCRkqg9U7g8pwQneEceWUpkY2RUerlIBQW90Zu47fUAvRqd6RZK+wfQe55xC3TC6oz/2Q==",
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/"
        "2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAQABADAREAAhEBAxEB/8QAFQAB"
        "AQAAAAAAAAAAAAAAAAAABwj/xAAZEAABBQAAAAAAAAAAAAAAAAAABgcjMqH/xAAXAQEAAwAAAAAAAAAAAAAAAAAIBQYJ/8QAGhEAAgIDAAAAAAAAAAAAAAAAAAUG"
        "ISIxMv/aAAwDAQACEQMRAD8AmpONlSLBfv5VvIgIw85sU022VIsDg/lW8hcRh5zYxJxsqxYUd/Kt5GY0Yec2KacbKsWBwfyreQuYw85s/9k=",
    )
)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def handed_on(data: bytes) -> NDArray[np.uint8]:
    image = parse_encoded(data, "x")
    assert image.is_decoded
    with Image.open(io.BytesIO(image.data), formats=["BMP"]) as bmp:
        assert (bmp.width, bmp.height, bmp.mode) == (image.width, image.height, "RGB")
        return np.asarray(bmp)


def deep(depth: str) -> bytes:
    """A TIFF file of 16 bits, grey or with three channels, whose upper bytes are those of PIXELS."""
    values = PIXELS.astype(np.uint16) * 256 + 77
    if depth == "grey":
        return encoded(Image.fromarray(values[..., 0]), "TIFF")
    height, width, channels = values.shape
    strip = values.astype("<u2").tobytes()
    entries = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 1, 14), (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, len(strip))]
    head = struct.pack("<2sHI3H", b"II", 42, 14 + len(strip), 16, 16, 16)
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return head + strip + struct.pack("<H", len(entries)) + directory + b"\0\0\0\0"


@pytest.mark.parametrize(
    "data",
    [
        encoded(PHOTO, "WEBP", lossless=True),
        encoded(PHOTO, "WEBP", quality=60),
        encoded(CLEAR, "WEBP"),
        encoded(PHOTO.convert("LA"), "WEBP", lossless=True),
        encoded(PHOTO, "WEBP", save_all=True, append_images=[PHOTO.rotate(180)]),
        encoded(PHOTO, "AVIF"),
        encoded(PHOTO, "AVIF", subsampling="4:4:4"),
        encoded(CLEAR, "AVIF"),
        encoded(PHOTO, "AVIF", save_all=True, append_images=[PHOTO.rotate(180)]),
        encoded(PHOTO, "TIFF"),
        encoded(PHOTO, "TIFF", compression="tiff_lzw"),
        encoded(PHOTO, "TIFF", compression="jpeg"),
        encoded(PHOTO.convert("1"), "TIFF", compression="group4"),
        encoded(PHOTO.quantize(16), "TIFF"),
        encoded(PHOTO.convert("CMYK"), "TIFF"),
        encoded(CLEAR, "TIFF"),
        encoded(PHOTO, "TIFF", save_all=True, append_images=[PHOTO.rotate(180)]),
        encoded(PHOTO.quantize(64), "BMP"),
        encoded(PHOTO.convert("L"), "BMP"),
        encoded(PHOTO.convert("1"), "BMP"),
        encoded(CLEAR, "BMP"),
    ],
)
def test_the_first_picture_is_what_pillow_decodes(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(handed_on(data), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("depth", ["grey", "colour"])
def test_of_16_bits_the_upper_8_are_kept(depth: str) -> None:
    expected = PIXELS if depth == "colour" else np.repeat(PIXELS[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(handed_on(deep(depth)), expected)


def test_a_tiff_of_floats_is_refused_by_what_it_holds() -> None:
    with pytest.raises(DataError, match="floating-point"):
        parse_encoded(encoded(Image.fromarray(PIXELS[..., 0].astype(np.float32)), "TIFF"), "x")


def test_an_avif_file_may_call_itself_mif1_first() -> None:
    data = bytearray(encoded(PHOTO, "AVIF"))
    data[8:12] = b"mif1"
    assert handed_on(bytes(data)).shape == PIXELS.shape


def test_heic_is_read_with_its_extra() -> None:
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(PHOTO).save(buffer, quality=90)
    expected = np.asarray(heif.open_heif(io.BytesIO(buffer.getvalue())).to_pillow())
    np.testing.assert_array_equal(handed_on(buffer.getvalue()), expected)


def test_heic_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DataError) as caught:
        parse_encoded(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "IMG_1.HEIC")
    assert "pip install 'pybridge[heic]'" in str(caught.value)


def test_arithmetic_coding_gives_the_pixels_of_its_twin() -> None:
    np.testing.assert_array_equal(handed_on(ARITHMETIC), arithmetic_pixels(HUFFMAN, "x"))
    with pytest.raises(DataError, match="ends too early"):
        parse_encoded(ARITHMETIC[:-2], "x")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_jpeg_that_lacks_only_its_end_gets_it(progressive: bool, lost: int) -> None:
    data = encoded(PHOTO, "JPEG", progressive=progressive)
    image = parse_encoded(data[:-lost], "x")
    assert (image.data, image.is_decoded) == (data, False)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_pixels_is_damaged(progressive: bool) -> None:
    data = encoded(Image.fromarray(RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)), "JPEG", progressive=progressive)
    for length in (len(data) - 20, len(data) * 3 // 4, len(data) // 2):
        with pytest.raises(DataError, match="x is damaged"):
            parse_encoded(data[:length], "x")


def test_what_follows_the_end_of_a_jpeg_is_nobodys_business() -> None:
    data = encoded(PHOTO, "JPEG") + b"appended by a phone"
    assert parse_encoded(data, "x").data == data


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "TIFF"])
def test_a_file_that_ends_in_the_middle_is_damaged(kind: str) -> None:
    data = encoded(PHOTO, kind)
    with pytest.raises(DataError, match="x is damaged"):
        parse_encoded(data[: len(data) // 2], "x")


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "TIFF", "BMP", "JPEG"])
def test_damage_is_a_data_error_or_a_picture(kind: str) -> None:
    rng = np.random.default_rng(1)
    good = encoded(PHOTO.quantize(16) if kind == "BMP" else PHOTO, kind)
    for _ in range(100):
        bad = bytearray(good[: rng.integers(1, len(good) + 1)])
        for at in rng.integers(0, len(bad), 3):
            bad[at] = rng.integers(256)
        try:
            assert parse_encoded(bytes(bad), "x").width > 0
        except DataError:
            continue


def test_pixels_in_memory_are_handed_on_as_they_are() -> None:
    with Image.open(io.BytesIO(read_encoded(PIXELS).data)) as bmp:
        np.testing.assert_array_equal(np.asarray(bmp), PIXELS)


def test_a_batch_with_many_pixels_ends_early() -> None:
    half = np.zeros((MOST_DECODED_BYTES // 2 // 3000, 1000, 3), np.uint8)
    assert len(read_encoded(half).data) * 2 < MOST_DECODED_BYTES < len(read_encoded(half).data) * 3
    assert [len(batch.data) for batch in iter_batches([half, half, half, PIXELS], 4)] == [3, 1]
