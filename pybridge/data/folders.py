"""Picture files on disk: a folder for each class, or plain lists of files."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pybridge.data.dataset import ImageSet
from pybridge.data.formats import CONVERT_HINT, READABLE, READABLE_NAMES, sniff_file
from pybridge.data.listing import class_entries, entries, files_below, named
from pybridge.data.parts import find_parts
from pybridge.errors import DataError
from pybridge.text import printable

_log = logging.getLogger("pybridge.data")

_LAYOUT = (
    "Arrange the images as FOLDER/CLASS/IMAGE: one folder for each class, named like it, with its images inside. Or give the "
    "labels with --labels FILE.csv or --label-from-name REGEX (labels, label_from_name in Python)."
)


def read_folder(path: str | Path, *, class_names: Sequence[str] | None = None, skip_unreadable: bool = False) -> ImageSet:
    """Read a folder that holds one folder of pictures for each class.

    Files are told apart by their content, whatever their names end in. Folders inside a class folder belong to that
    class, which is said. Hidden files, litter of operating systems (``Thumbs.db``, ``__MACOSX`` ...) and files that are no
    pictures are left out; the latter are counted in a logged warning, as are pictures that occur in two classes.

    Args:
        path: The folder.
        class_names: None for training: the classes are the folders, sorted by name. For evaluation the classes that the
            model knows: each folder must be one of them, but not each of them needs a folder.
        skip_unreadable: Leave out pictures of formats that cannot be decoded, with a warning, instead of raising.

    Returns:
        The files, sorted by class and by path within it, so that the order is the same on every machine.

    Raises:
        DataError: There is no such folder, or its layout or its pictures cannot be used.

    Example:
        ``read_folder("photos")`` with ``photos/cat/1.jpg`` and ``photos/dog/1.jpg`` has the classes ``("cat", "dog")``.
    """
    root = existing_folder(path)
    if class_names is None and find_parts(root) is not None:
        raise DataError(f"{printable(root)} is split already", hint="Pass one part of it, such as its training part.")
    folders = _class_folders(root)
    names = tuple(folders) if class_names is None else tuple(class_names)
    if unknown := [name for name in folders if name not in names]:
        raise DataError(
            f"{printable(root)} has folders for classes that the model does not know: {named(unknown)}",
            hint=f"Its classes are: {named(names, 20)}. Rename or remove the others.",
        )
    found = {name: images_below(folder, skip_unreadable=skip_unreadable) for name, folder in folders.items()}
    _check_classes(root, folders, found, training=class_names is None)
    _say_nested(root, folders, found)
    warn_of_duplicates([(name, file) for name, files in found.items() for file in files])
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
            files += images_below(path)
        else:
            files.append(check_image(path))
    if not files:
        raise DataError(f"no images in {named([str(each) for each in given]) or 'an empty list'}")
    return files


def check_image(path: Path) -> Path:
    """A file, if it is a picture that can be decoded, by its first bytes.

    Raises:
        DataError: It is not.
    """
    if not path.is_file():
        raise DataError(f"there is no image file {printable(path)}")
    kind = sniff_file(path)
    if kind is None:
        raise DataError(f"{printable(path)} is not an image", hint=f"Images are {READABLE_NAMES} files.")
    if not _is_decodable(kind):
        raise DataError(f"{printable(path)} is a {kind} file, which cannot be decoded", hint=_way_out({kind}))
    return path


def existing_folder(path: str | Path) -> Path:
    """A folder of the user's.

    Raises:
        DataError: There is none.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"there is no folder {printable(root)}", hint=_LAYOUT)
    if not root.is_dir():
        raise DataError(f"{printable(root)} is a file, not a folder of class folders", hint=_LAYOUT)
    return root


def images_below(folder: Path, *, skip_unreadable: bool = False) -> list[Path]:
    """The picture files in and below a folder, by their paths.

    Raises:
        DataError: Some are of a format that cannot be decoded.
    """
    images, others, unsupported = [], [], []
    for file in files_below(folder):
        kind = sniff_file(file)
        if kind is None:
            others.append(file)
        elif _is_decodable(kind):
            images.append(file)
        else:
            unsupported.append((kind, file))
    if unsupported:
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(kind for kind, _ in unsupported).items())
        text = f"{printable(folder)} has images that cannot be decoded ({kinds}): {named([file.name for _, file in unsupported])}"
        if not skip_unreadable:
            raise DataError(text, hint=_way_out({kind for kind, _ in unsupported}))
        _log.warning("%s. They are left out.", text)
    if others:
        names = named([file.name for file in others])
        _log.warning("%s: left out %d files that are no images (%s)", printable(folder), len(others), names)
    return sorted(images, key=lambda file: file.relative_to(folder).as_posix())


def pictures_below(folder: Path) -> list[Path]:
    """The files in and below a folder that are pictures of any format, also of those that cannot be decoded, by their paths."""
    found = [file for file in files_below(folder) if sniff_file(file) is not None]
    return sorted(found, key=lambda file: file.relative_to(folder).as_posix())


def warn_of_duplicates(labelled: Sequence[tuple[str, Path]]) -> None:
    """Pictures with two labels spoil training and flatter validation; only equal sizes need their bytes compared."""
    by_size = defaultdict(list)
    for name, file in labelled:
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
        _log.warning("%d images are in two classes at once: %s", len(pairs), named(pairs))


def _class_folders(root: Path) -> dict[str, Path]:
    folders = class_entries(root)
    loose = [entry.name for entry in entries(root) if entry.is_file() and sniff_file(Path(entry.path)) is not None]
    if loose and not folders:
        raise DataError(f"{printable(root)} has {len(loose)} images, but no class folders ({named(loose)})", hint=_LAYOUT)
    if not folders:
        raise DataError(f"{printable(root)} has no class folders", hint=_LAYOUT)
    if loose:
        _log.warning("%s: left out %d images that are in no class folder (%s)", printable(root), len(loose), named(loose))
    return folders


def _check_classes(root: Path, folders: dict[str, Path], found: dict[str, list[Path]], *, training: bool) -> None:
    if not any(found.values()):
        raise DataError(f"the class folders in {printable(root)} hold no images", hint=f"Usable are {READABLE_NAMES} files.")
    if not training:
        return
    if empty := [name for name, files in found.items() if not files]:
        raise DataError(
            f"{printable(root)} has class folders without any image: {named(empty)}", hint="Remove them, or put images into them."
        )
    if len(found) == 1:
        name, folder = next(iter(folders.items()))
        raise DataError(
            f"{printable(root)} has only one class, {name!r}",
            hint=f"Did you mean {printable(folder)}?"
            if len(class_entries(folder)) > 1
            else "A classifier needs images of two or more classes.",
        )


def _say_nested(root: Path, folders: dict[str, Path], found: dict[str, list[Path]]) -> None:
    """Whoever arranged classes within classes should hear which of them count."""
    inner = {
        name: sorted({parts[0] for file in files if len(parts := file.relative_to(folders[name]).parts) > 1})
        for name, files in found.items()
    }
    nested = [f"{printable(name)} (with {named(names, 3)})" for name, names in inner.items() if len(names) > 1]
    if nested:
        _log.warning(
            "%s: the classes are the outer folders; folders inside count as theirs: %s", printable(root), "; ".join(nested[:5])
        )


def _is_decodable(kind: str) -> bool:
    return kind in READABLE and (kind != "HEIC" or importlib.util.find_spec("pillow_heif") is not None)


def _way_out(kinds: set[str]) -> str:
    return f"Run: pip install 'pybridge[heic]'. {CONVERT_HINT}" if "HEIC" in kinds else CONVERT_HINT
