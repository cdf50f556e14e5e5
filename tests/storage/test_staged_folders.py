"""Folders appear whole, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pybridge.storage.folders import publish, scratch_beside, staged_folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_folder_appears_when_it_is_finished(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "place"
    with staged_folder(place) as folder:
        (folder / "file").write_text("content")
        assert not place.exists()
    assert names(tmp_path) == ["deep", "deep/place", "deep/place/file"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_folder_has_the_permissions_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with staged_folder(tmp_path / "place") as folder:
            (folder / "file").write_text("content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "place").stat().st_mode) == 0o777 & ~umask
    assert stat.S_IMODE((tmp_path / "place" / "file").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("replace", [True, False])
def test_a_failure_leaves_everything_as_it_was(tmp_path: Path, replace: bool) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "old").write_text("old")
    with pytest.raises(ZeroDivisionError), staged_folder(tmp_path / "place", replace=replace) as folder:
        (folder / "file").write_text("content")
        raise ZeroDivisionError
    assert names(tmp_path) == ["place", "place/old"]


def test_what_is_there_stays_unless_it_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "old").write_text("old")
    with pytest.raises(OSError, match="not empty"), staged_folder(tmp_path / "place") as folder:
        (folder / "new").write_text("new")
    assert names(tmp_path) == ["place", "place/old"]
    with staged_folder(tmp_path / "place", replace=True) as folder:
        (folder / "new").write_text("new")
    assert names(tmp_path) == ["place", "place/new"]


def test_an_empty_folder_gives_way(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    with staged_folder(tmp_path / "place") as folder:
        (folder / "new").write_text("new")
    assert names(tmp_path) == ["place", "place/new"]


def test_what_was_there_comes_back_where_the_move_fails(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "old").write_text("old")
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "missing", tmp_path / "place", replace=True, sync=False)
    assert names(tmp_path) == ["place", "place/old"]


def test_a_file_is_published_like_a_folder(tmp_path: Path) -> None:
    with scratch_beside(tmp_path / "model.keras") as scratch:
        (scratch / "made").write_text("content")
        publish(scratch / "made", tmp_path / "model.keras")
    assert names(tmp_path) == ["model.keras"]
