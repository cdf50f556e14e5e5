"""Folders that appear whole: made out of sight on the same disk, and moved to their place in one step."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pybridge.storage.files import sync_folder


@contextmanager
def scratch_beside(place: Path) -> Iterator[Path]:
    """An empty folder for this user alone, hidden beside ``place`` and so on the same disk; gone in the end.

    Args:
        place: What will be made in the folder and moved, with `publish`. Its parents are made if need be.

    Raises:
        OSError: If the disk refuses.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def staged_folder(place: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty folder that becomes ``place`` in one step when the block ends without an error.

    Args:
        place: Where the folder shall appear: as `publish` takes it.
        replace: As in `publish`.

    Raises:
        OSError: If the disk refuses, or there is something that is not to be replaced.

    Example:
        >>> with staged_folder(Path("package")) as folder:
        ...     (folder / "index.js").write_text(script)
    """
    with scratch_beside(place) as scratch:
        made = scratch / "made"
        made.mkdir()
        yield made
        publish(made, place, replace=replace)


def publish(made: Path, place: Path, *, replace: bool = False, sync: bool = True) -> None:
    """Move a finished folder or file to its place, in one step.

    Args:
        made: What was made, on the same disk. Its permissions are those that it was made with.
        place: A name that is not taken, or an empty folder.
        replace: Take the place of what is there as well; that comes back where the move fails.
        sync: Bring the content to the disk first, so that the name never stands for less after a crash of the machine.

    Raises:
        OSError: If the disk refuses, or there is something that is not to be replaced.
    """
    if sync:
        _sync(made)
    if not replace or not os.path.lexists(place):
        made.rename(place)
    else:
        _replace(made, place)
    if sync:
        sync_folder(place.parent)


def _replace(made: Path, place: Path) -> None:
    with scratch_beside(place) as aside:
        old = aside / "replaced"
        place.rename(old)
        try:
            made.rename(place)
        except BaseException:
            old.rename(place)
            raise


def _sync(made: Path) -> None:
    for path in (made, *made.rglob("*")) if made.is_dir() else (made,):
        if path.is_symlink():
            continue
        if path.is_dir():
            sync_folder(path)
        elif path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
