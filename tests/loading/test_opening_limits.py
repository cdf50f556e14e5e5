"""How much a file of a stranger may take while it is opened."""

from __future__ import annotations

import os
import resource
import struct
import zipfile
from pathlib import Path

import pytest

from pybridge.errors import ModelFormatError
from pybridge.loading import keras_safety
from pybridge.loading.keras_files import run_job
from pybridge.loading.keras_safety import check_archive, check_size, read_config
from pybridge.loading.memory_limit import memory_limit
from pybridge.loading.saved_model import read_saved_model
from pybridge.runtime.free_memory import free_memory


def archive_of(file: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.json", content)
    return file


def test_an_entry_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    file = archive_of(tmp_path / "twice.keras", config=b"{}")
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", b"[]")
    with pytest.raises(ModelFormatError, match="lists an entry twice"):
        check_archive(file)


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    file = archive_of(tmp_path / "secret.keras", config=b"{}")
    content = bytearray(file.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.index(signature) + offset
        content[at : at + 2] = struct.pack("<H", 1)
    file.write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"'config\.json' is encrypted"):
        check_archive(file)


def test_a_configuration_is_read_up_to_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_safety, "CONFIG_LIMIT", 1000)
    assert read_config(archive_of(tmp_path / "small.keras", config=b"{}" + b" " * 998)) == {}
    with pytest.raises(ModelFormatError, match="its configuration has more than 1000 bytes"):
        read_config(archive_of(tmp_path / "large.keras", config=b"{}" + b" " * 999))


@pytest.mark.parametrize(("announced", "size"), [(101 * 10**6, 10**6), (16 * 2**20 + 1, 1000), (16 * 2**30 + 1, 15 * 2**30)])
def test_a_file_that_announces_more_than_its_size_explains_is_refused(announced: int, size: int) -> None:
    check_size(announced - 10**6 - 1, size, Path("model.keras"))
    with pytest.raises(ModelFormatError, match=f"{size} bytes that announce {announced} bytes"):
        check_size(announced, size, Path("model.keras"))


def test_a_file_that_is_never_done_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=r"slow\.keras: cannot be opened\n.* took longer than 0\.1 seconds"):
        run_job(tmp_path, "no_module:that_is_reached", {}, "slow.keras", timeout=0.1)


@pytest.mark.skipif(free_memory() is None or not Path("/proc/self/status").exists(), reason="this system cannot say it")
def test_memory_is_limited_to_a_share_of_what_is_free() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_limit():
        soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
        with pytest.raises(MemoryError):
            bytearray(soft)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_what_is_neither_a_file_nor_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ModelFormatError, match="fifo is not a regular file"):
        read_saved_model(tmp_path)
