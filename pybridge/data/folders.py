"""Picture files on disk: a folder for each class, or plain lists of files."""

from __future__ import annotations

import hashlib
import logging
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pybridge.data.dataset import ImageSet
from pybridge.data.formats import CONVERT_HINT, DECODABLE, sniff_file
from pybridge.errors import DataError
from pybridge.text import listed, printable

_log = logging.getLogger("pybridge.data")

_LITTER = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "$recycle.bin", "@eadir"})
_SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"})
_LAYOUT = "Arrange the images as FOLDER/CLASS/IMAGE: one folder for each class, named like it, with its images inside."


def read_folder(path: str | Path, *, class_names: Sequence[str] | None = None) -> ImageSet:
    """Read a folder that holds one folder of pictures for each class.

    Files are told apart by their content, whatever their names end in. Folders inside a class folder belong to that
    class. Hidden files, litter of operating systems (``Thumbs.db``, ``__MACOSX`` ...) and files that are no pictures
    are left out; the latter are counted in a logged warning, as are pictures that occur in two classes.

    Args:
        path: The folder.
        class_names: None for training: the classes are the folders, sorted by name. For evaluation the classes that the
            model knows: each folder must be one of them, but not each of them needs a folder.

    Returns:
        The files, sorted by class and by path within it, so that the order is the same on every machine.

    Raises:
        DataError: There is no such folder, or its layout or its pictures cannot be used.

    Example:
        ``read_folder("photos")`` with ``photos/cat/1.jpg`` and ``photos/dog/1.jpg`` has the classes ``("cat", "dog")``.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"there is no folder {printable(root)}", hint=_LAYOUT)
    if not root.is_dir():
        raise DataError(f"{printable(root)} is a file, not a folder of class folders", hint=_LAYOUT)
    folders = _class_folders(root)
    names = tuple(folders) if class_names is None else tuple(class_names)
    if unknown := [name for name in folders if name not in names]:
        raise DataError(
            f"{printable(root)} has folders for classes that the model does not know: {_some(unknown)}",
            hint=f"Its classes are: {_some(names, 20)}. Rename or remove the others.",
        )
    found = {name: _images_below(folder) for name, folder in folders.items()}
    _check_classes(root, folders, found, training=class_names is None)
    _warn_of_duplicates(found)
    images = [file for files in found.values() for file in files]
    number = {name: i for i, name in enumerate(names)}
    labels = [number[name] for name, files in found.items() for _ in files]
    return ImageSet(images, np.array(labels, np.int32), names)


def list_images(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """The picture files that ``paths`` name.

    Args:
        paths: A file, a folder (all pictures in and below it, sorted), or several of these; their order is kept.

    Raises:
        DataError: Something does not exist, is no picture or of an unsupported kind, or nothing is left.

    Example:
        ``list_images(["a.jpg", "more/"])``
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    files: list[Path] = []
    for each in given:
        path = Path(each).expanduser()
        if path.is_dir():
            files += _images_below(path)
            continue
        if not path.is_file():
            raise DataError(f"there is no image file {printable(path)}")
        kind = sniff_file(path)
        if kind is None:
            raise DataError(f"{printable(path)} is not an image", hint="It must be a JPEG, PNG, GIF or BMP file.")
        if kind not in DECODABLE:
            raise DataError(f"{printable(path)} is a {kind} file, which cannot be decoded", hint=CONVERT_HINT)
        files.append(path)
    if not files:
        raise DataError(f"no images in {_some([str(each) for each in given]) or 'an empty list'}")
    return files


def _class_folders(root: Path) -> dict[str, Path]:
    # macOS stores accents decomposed: the same data must give the same class names everywhere.
    folders: dict[str, Path] = {}
    loose = []
    for entry in _entries(root):
        if entry.is_dir():
            name = unicodedata.normalize("NFC", entry.name)
            if name in folders:
                raise DataError(f"{printable(root)} has two folders that are both named {name!r}")
            folders[name] = Path(entry.path)
        elif entry.is_file() and sniff_file(Path(entry.path)) is not None:
            loose.append(entry.name)
    if loose and not folders:
        raise DataError(f"{printable(root)} has {len(loose)} images, but no class folders ({_some(loose)})", hint=_LAYOUT)
    if not folders:
        raise DataError(f"{printable(root)} has no class folders", hint=_LAYOUT)
    if loose:
        _log.warning("%s: left out %d images that are in no class folder (%s)", printable(root), len(loose), _some(loose))
    if len(folders) > 1 and {name.lower() for name in folders} <= _SPLIT_NAMES:
        raise DataError(
            f"{printable(root)} holds a data set that is split already ({_some(list(folders))}), not class folders",
            hint=f"Pass one part of it, for example {printable(next(iter(folders.values())))}.",
        )
    return dict(sorted(folders.items()))


def _check_classes(root: Path, folders: dict[str, Path], found: dict[str, list[Path]], *, training: bool) -> None:
    if not any(found.values()):
        raise DataError(f"the class folders in {printable(root)} hold no images", hint="Usable are JPEG, PNG, GIF and BMP files.")
    if not training:
        return
    if empty := [name for name, files in found.items() if not files]:
        raise DataError(
            f"{printable(root)} has class folders without any image: {_some(empty)}", hint="Remove them, or put images into them."
        )
    if len(found) == 1:
        name, folder = next(iter(folders.items()))
        inner = [entry.name for entry in _entries(folder) if entry.is_dir()]
        raise DataError(
            f"{printable(root)} has only one class, {name!r}",
            hint=f"Did you mean {printable(folder)}?" if len(inner) > 1 else "A classifier needs images of two or more classes.",
        )


def _images_below(folder: Path) -> list[Path]:
    images, others, unsupported = [], [], []
    for file in _files_below(folder, set()):
        kind = sniff_file(file)
        if kind is None:
            others.append(file)
        elif kind in DECODABLE:
            images.append(file)
        else:
            unsupported.append((kind, file))
    if unsupported:
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(kind for kind, _ in unsupported).items())
        raise DataError(
            f"{printable(folder)} has images that cannot be decoded ({kinds}): {_some([file.name for _, file in unsupported])}",
            hint=CONVERT_HINT,
        )
    if others:
        names = _some([file.name for file in others])
        _log.warning("%s: left out %d files that are no images (%s)", printable(folder), len(others), names)
    return sorted(images, key=lambda file: file.relative_to(folder).as_posix())


def _files_below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    # Linked folders are followed, so one that leads back into itself must be noticed.
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files_below(Path(entry.path), seen)
        elif entry.is_file():
            yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as scan:
            entries = [entry for entry in scan if not entry.name.startswith(".") and entry.name.lower() not in _LITTER]
    except OSError as error:
        raise DataError(f"cannot read the folder {printable(folder)}: {error.strerror or error}") from error
    return sorted(entries, key=lambda entry: entry.name)


def _warn_of_duplicates(found: dict[str, list[Path]]) -> None:
    """Pictures with two labels spoil training and flatter validation; only equal sizes need their bytes compared."""
    by_size = defaultdict(list)
    for name, files in found.items():
        for file in files:
            by_size[file.stat().st_size].append((name, file))
    first_seen: dict[bytes, tuple[str, Path]] = {}
    pairs = []
    for candidates in by_size.values():
        if len({name for name, _ in candidates}) < 2:
            continue
        for name, file in candidates:
            other = first_seen.setdefault(hashlib.sha256(file.read_bytes()).digest(), (name, file))
            if other[0] != name:
                pairs.append(f"{other[0]}/{other[1].name} = {name}/{file.name}")
    if pairs:
        _log.warning("%d images are in two classes at once: %s", len(pairs), _some(pairs))


def _some(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return listed(names[:limit]) + more
