"""Data sets in a zip file, such as the samples that Teachable Machine downloads."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from pybridge.data.listing import entries
from pybridge.data.structure import MOST_FILES_OF_AN_ARCHIVE, MOST_UNPACKED_BYTES
from pybridge.errors import DataError
from pybridge.text import printable

_KNOWN: dict[tuple[str, int, int], Path] = {}

# Between class and number, in the names of the pictures of a Teachable Machine project (.tm).
_OF_PROJECT = "-!-"


def unpacked(path: str | Path) -> Path:
    """The folder of class folders that a zip file holds, in a temporary place that is removed when the process ends.

    Understood are zip files of class folders, with or without a folder around them; Teachable Machine's projects (``.tm``); and
    folders of the samples that it downloads, one zip file for each class. Other paths are given back as they are.

    Args:
        path: A folder or a zip file.

    Raises:
        DataError: A file is damaged, holds a trained model instead of images, or asks for too much of the disk.

    Example:
        ``unpacked("samples.zip")`` holds the folders ``cats`` and ``dogs``.
    """
    given = Path(path).expanduser()
    if given.is_dir():
        zips = _only_zips(given)
        return _known(given, lambda root: _extract_each(zips, root)) if zips else given
    if not given.is_file() or not zipfile.is_zipfile(given):
        return given
    return _known(given, lambda root: _extract(given, root))


def _known(given: Path, fill: Callable[[Path], object]) -> Path:
    status = given.stat()
    key = (str(given.resolve()), status.st_mtime_ns, status.st_size)
    if key not in _KNOWN:
        root = Path(tempfile.mkdtemp(prefix="pybridge-images-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        fill(root)
        inner = entries(root)
        # A folder around all of it is no class.
        around = len(inner) == 1 and inner[0].is_dir() and any(entry.is_dir() for entry in entries(Path(inner[0].path)))
        _KNOWN[key] = Path(inner[0].path) if around else root
    return _KNOWN[key]


def _only_zips(folder: Path) -> list[Path]:
    """The zip files in a folder that holds at least two of them, and no folders."""
    inner = entries(folder)
    zips = [Path(entry.path) for entry in inner if entry.is_file() and entry.name.lower().endswith(".zip")]
    return zips if len(zips) > 1 and not any(entry.is_dir() for entry in inner) else []


def _class_of(file: Path) -> str:
    return re.sub(r"[-_ ]samples( ?\(\d+\))?$", "", file.stem) or file.stem


def _extract_each(files: Iterable[Path], root: Path) -> None:
    for file in files:
        _extract(file, root / _class_of(file))


def _extract(file: Path, root: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if {"model.json", "metadata.json"} <= {PurePosixPath(member.filename).name for member in members}:
                raise DataError(
                    f"{printable(file)} holds a trained model of Teachable Machine, not images",
                    hint="Unpack it and pass its model.json as --base; its images are what `Download Samples` gives.",
                )
            _check_size(file, members)
            for member in members:
                name, mark, _ = member.filename.rpartition(_OF_PROJECT)
                # Names that lead out of the folder lose what leads there; links become files.
                archive.extract(member, root / printable(name).replace("/", "_") if mark and "/" not in name else root)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, OSError, zlib.error) as error:
        raise DataError(f"{printable(file)} cannot be unpacked: {error}") from None


def _check_size(file: Path, members: list[zipfile.ZipInfo]) -> None:
    total = sum(member.file_size for member in members)
    if len(members) > MOST_FILES_OF_AN_ARCHIVE or total > MOST_UNPACKED_BYTES:
        raise DataError(
            f"{printable(file)} holds {len(members):,} files of {total:,} bytes; at most {MOST_FILES_OF_AN_ARCHIVE:,} and "
            f"{MOST_UNPACKED_BYTES:,} are unpacked",
            hint="Unpack it yourself, and pass the folder.",
        )
