"""A folder that appears in one step, and replaces nothing but an earlier package."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pybridge.deployment.manifest import is_own
from pybridge.errors import BridgeError


class DestinationError(BridgeError, ValueError):
    """The folder for a package cannot be used."""


def check_destination(dest: Path) -> None:
    """Makes sure that nothing but an earlier package would be replaced.

    Raises:
        BridgeError: There is something else.
    """
    if not dest.exists() and not dest.is_symlink():
        return
    if not dest.is_dir() or dest.is_symlink():
        raise DestinationError(f"{dest} is not a folder", hint="Choose another place for the package.")
    if any(dest.iterdir()) and not is_own(dest):
        raise DestinationError(f"{dest} holds files that are no package of pybridge", hint="Choose a new or empty folder.")


@contextmanager
def staging(dest: Path) -> Iterator[Path]:
    """A folder beside the destination that is gone in the end, whatever happens."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=dest.parent, prefix=f".{dest.name}."))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, dest: Path) -> None:
    """Moves a finished folder to its destination; an earlier package there is replaced, or stays where that fails.

    Raises:
        BridgeError: Something else has come there.
    """
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
    if not dest.exists():
        folder.rename(dest)
        return
    check_destination(dest)
    old = Path(tempfile.mkdtemp(dir=dest.parent, prefix=f".{dest.name}.old."))
    old.rmdir()
    dest.rename(old)
    try:
        folder.rename(dest)
    except BaseException:
        old.rename(dest)
        raise
    shutil.rmtree(old, ignore_errors=True)
