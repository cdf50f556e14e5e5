import io
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pybridge.data import iter_batches, read_encoded, read_folder
from pybridge.data.encoded import MAX_FILE_BYTES, parse_encoded
from pybridge.errors import DataError


def encode(kind: str, orientation: int | None = None, size: tuple[int, int] = (10, 6)) -> bytes:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, kind, **({"exif": exif} if orientation is not None else {}))
    return buffer.getvalue()


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("pybridge-read-ahead")]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_and_the_size_as_seen_come_from_the_header(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode("JPEG", orientation))
    image = read_encoded(path)
    assert image.orientation == orientation
    assert (image.width, image.height) == ((10, 6) if orientation < 5 else (6, 10))
    assert image.data == path.read_bytes()


@pytest.mark.parametrize("orientation", [None, 0, 9])
def test_without_a_valid_orientation_a_picture_is_upright(orientation: int | None) -> None:
    assert parse_encoded(encode("JPEG", orientation), "x").orientation == 1


def test_damaged_exif_counts_as_upright() -> None:
    good = encode("JPEG", 6)
    at = good.index(b"Exif\0\0") + 6
    assert parse_encoded(good[:at] + b"\xff" * 20 + good[at + 20 :], "x").orientation == 1


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_files_of_cameras_are_turned(kind: str) -> None:
    image = parse_encoded(encode(kind, 6), "x")
    assert (image.orientation, image.width, image.height) == (6, 6, 10)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_files_of_programs_are_not_turned(kind: str) -> None:
    image = parse_encoded(encode(kind, 6 if kind == "PNG" else None), "x")
    assert (image.orientation, image.width, image.height) == (1, 10, 6)


def test_errors_name_the_file(tmp_path: Path) -> None:
    for name, content, message in (
        ("empty.jpg", b"", "empty"),
        ("text.jpg", b"hello", "not an image"),
        ("short.png", encode("PNG")[:20], "damaged"),
        ("photo.jpg", b"RIFF\0\0\0\0WEBP", "damaged: it is no WebP"),
        ("photo.jp2", b"\0\0\0\x0cjP  \r\n", "JPEG 2000"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}.*{message}"):
            read_encoded(tmp_path / name)
    with pytest.raises(DataError, match=r"cannot read .*gone\.jpg"):
        read_encoded(tmp_path / "gone.jpg")
    with pytest.raises(DataError, match="not a file"):
        read_encoded(tmp_path)


def test_a_picture_of_absurd_size_is_refused_undecoded() -> None:
    png = bytearray(encode("PNG"))
    png[16:24] = (60_000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    with pytest.raises(DataError, match=r"bomb\.png"):
        parse_encoded(bytes(png), "bomb.png")


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        os.truncate(file.fileno(), MAX_FILE_BYTES + 1)
    with pytest.raises(DataError, match="at most"):
        read_encoded(path)


def test_cut_and_flipped_files_give_a_data_error_or_an_image() -> None:
    rng = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "GIF", "BMP"):
        good = encode(kind, 6 if kind == "JPEG" else None)
        for _ in range(150):
            bad = bytearray(good[: rng.integers(1, len(good) + 1)])
            for at in rng.integers(0, len(bad), 3):
                bad[at] = rng.integers(256)
            try:
                image = parse_encoded(bytes(bad), "x")
            except DataError:
                continue
            assert 1 <= image.orientation <= 8


def test_batches_hold_every_file_once_in_order(shared_data: Path) -> None:
    files = list(read_folder(shared_data / "sign_digits").images)[:70]
    batches = list(iter_batches(files, 32))
    assert [len(batch.data) for batch in batches] == [32, 32, 6]
    assert [data for batch in batches for data in batch.data] == [file.read_bytes() for file in files]
    assert batches[0].orientations.dtype == np.int32
    assert batches[0].sizes.tolist() == [[100, 100]] * 32
    assert not readers()


class Asked(list[Path]):
    """Files that remember how far they were asked for."""

    last = 0

    def __iter__(self) -> Iterator[Path]:
        for file in super().__iter__():
            self.last += 1
            yield file


def test_reading_ahead_is_bounded_and_ends_with_the_consumer(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode("PNG"))
    files = Asked([path] * 20)
    batches = iter_batches(files, 2, prefetch=3)
    assert files.last == 0
    for taken in (1, 2, 3):
        next(batches)
        assert 2 * taken <= files.last <= 2 * (taken + 3)
    assert readers()
    batches.close()  # type: ignore[attr-defined]
    assert not readers()


def test_a_bad_file_is_reported_when_its_batch_is_due(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(6)]
    for file in files:
        file.write_bytes(encode("PNG"))
    files[4].write_bytes(b"hello")
    batches = iter_batches(files, 2)
    assert len(next(batches).data) == len(next(batches).data) == 2
    with pytest.raises(DataError, match=r"4\.png is not an image"):
        next(batches)
    assert not readers()


def test_no_files_give_no_batches() -> None:
    assert list(iter_batches([], 8)) == []


def test_batches_need_a_size() -> None:
    with pytest.raises(DataError, match="batch_size"):
        iter_batches([], 0)
