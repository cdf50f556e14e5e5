"""Files are replaced as a whole, whoever dies meanwhile, with the permissions that the user's umask asks for."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybridge.storage.files import replace_file, replacing
from pybridge.storage.hashes import sha256_of


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    replace_file(tmp_path / "file", "new")
    assert mode(tmp_path / "file") == 0o666 & ~umask
    replace_file(tmp_path / "file", b"newer")
    assert mode(tmp_path / "file") == 0o666 & ~umask


def test_text_is_written_as_utf_8_and_bytes_as_they_are(tmp_path: Path) -> None:
    replace_file(tmp_path / "text", "õ\n")
    replace_file(tmp_path / "bytes", b"\r\n\xff")
    assert (tmp_path / "text").read_bytes() == "õ\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\r\n\xff"


def test_until_the_end_a_reader_sees_the_former_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with replacing(file) as new:
        new.write(b"new")
        new.flush()
        assert file.read_text() == "old"
    assert file.read_text() == "new"


def test_a_failure_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(file) as new:
        new.write(b"half")
        raise ZeroDivisionError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_what_a_killed_writer_left_is_neither_read_nor_in_the_way(tmp_path: Path) -> None:
    file = tmp_path / "file"
    program = """
import os, signal, sys
from pathlib import Path
from pybridge.storage.files import replacing
with replacing(Path(sys.argv[1])) as new:
    new.write(b"half")
    new.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    file.write_text("old")
    assert subprocess.run([sys.executable, "-c", program, file], check=False).returncode == -signal.SIGKILL
    assert (tmp_path / "file.part").read_text() == "half"
    assert file.read_text() == "old"
    replace_file(file, "n")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "n")]


def test_writers_of_one_file_take_turns(tmp_path: Path) -> None:
    file = tmp_path / "file"
    texts = [f"{number}" * 100_000 for number in range(8)]

    def write(text: str) -> None:
        for _ in range(20):
            with replacing(file) as new:
                for start in range(0, len(text), 10_000):
                    new.write(text[start : start + 10_000].encode())

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if file.exists():
            assert file.read_text() in texts
    for thread in threads:
        thread.join()
    assert file.read_text() in texts
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208


def test_a_link_where_the_new_file_is_made_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "file.part").symlink_to(tmp_path / "victim")
    replace_file(tmp_path / "file", "new")
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "file").read_text() == "new"
    assert not (tmp_path / "file").is_symlink()


def test_a_folder_that_is_missing_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "missing" / "file", "")


def test_the_hash_of_several_files_is_that_of_their_bytes_in_a_row(tmp_path: Path) -> None:
    for name, content in (("a", b"ab" * 700_000), ("b", b""), ("c", b"c")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "all").write_bytes(b"ab" * 700_000 + b"c")
    assert sha256_of(*(tmp_path / name for name in "abc")) == sha256_of(tmp_path / "all")
    assert sha256_of(tmp_path / "b") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_full_disk_is_said_with_the_file_and_what_it_needs(tmp_path: Path) -> None:
    for size, needs in ((12345, "needs 12,345 bytes"), (None, "needs more than")):
        with pytest.raises(OSError, match=needs) as caught, replacing(tmp_path / "model.bin", size) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        assert caught.value.filename == str(tmp_path / "model.bin")
    assert not list(tmp_path.iterdir())
