"""What lies in folders: entries without litter, and picture files below."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from pybridge.data.formats import sniff_file
from pybridge.errors import DataError
from pybridge.text import listed, printable

_LITTER = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "$recycle.bin", "@eadir"})


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name, without hidden files and the litter of operating systems.

    Raises:
        DataError: The folder cannot be read.
    """
    try:
        with os.scandir(folder) as scan:
            found = [entry for entry in scan if not entry.name.startswith(".") and entry.name.lower() not in _LITTER]
    except OSError as error:
        raise DataError(f"cannot read the folder {printable(folder)}: {error.strerror or error}") from error
    return sorted(found, key=lambda entry: entry.name)


def class_entries(root: Path) -> dict[str, Path]:
    """The folders in a folder, by the names that classes have: the same data give the same names on every machine.

    Raises:
        DataError: A name is no text, or two are the same to a reader.
    """
    folders: dict[str, Path] = {}
    for entry in entries(root):
        if not entry.is_dir():
            continue
        try:
            # macOS stores accents decomposed.
            name = unicodedata.normalize("NFC", entry.name.encode().decode())
        except UnicodeEncodeError:
            raise DataError(
                f"{printable(root)} has a folder whose name is not UTF-8: {printable(entry.name)}",
                hint="Rename it: a class is named like its folder. `convmv -f latin1 -t utf8 -r --notest FOLDER` renames all.",
            ) from None
        if name in folders:
            raise DataError(f"{printable(root)} has two folders that are both named {printable(name)}")
        folders[name] = Path(entry.path)
    return dict(sorted(folders.items()))


def files_below(folder: Path) -> Iterator[Path]:
    """The files in and below a folder."""
    return _files_below(folder, set())


def has_images(folder: Path) -> bool:
    """Whether picture files lie in a folder itself."""
    return any(entry.is_file() and sniff_file(Path(entry.path)) is not None for entry in entries(folder))


def named(names: Iterable[str], limit: int = 5) -> str:
    """The first few names, and how many more there are."""
    shown = list(names)
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return listed(islice(shown, limit)) + more


def _files_below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    # Linked folders are followed, so one that leads back into itself must be noticed.
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries(folder):
        if entry.is_dir():
            yield from _files_below(Path(entry.path), seen)
        elif entry.is_file():
            yield Path(entry.path)
