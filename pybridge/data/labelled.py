"""Data sets as people have them: class folders, parts with class folders, a table of labels, labels in names, zip files."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybridge.data.archives import unpacked
from pybridge.data.arrays import with_labels
from pybridge.data.dataset import ImageSet
from pybridge.data.folders import check_image, existing_folder, images_below, read_folder, warn_of_duplicates
from pybridge.data.listing import class_entries, has_images, named
from pybridge.data.parts import Parts, find_parts, role_of, say_parts
from pybridge.data.tables import LabelledFiles, find_tables, read_table
from pybridge.errors import DataError
from pybridge.text import printable

_log = logging.getLogger("pybridge.data")


@dataclass(frozen=True)
class Labelling:
    r"""Where labels come from, if not from the names of class folders.

    Args:
        table: A CSV file or data frame with files and labels; see `tables.read_table`.
        pattern: A regular expression whose group ``label``, or first group, is the label in a file's name; or, where it holds a
            slash, in its path below the folder.

    Raises:
        DataError: Both are given, or the pattern is none.

    Example:
        >>> Labelling(pattern=r"^(.+)_\d+").label_of("great_dane_12.jpg")
        'great_dane'
    """

    table: Any = None
    pattern: str | None = None

    def __post_init__(self) -> None:
        if self.pattern is None:
            return
        if self.table is not None:
            raise DataError("labels and label_from_name were both given", hint="Give one of them.")
        try:
            groups = re.compile(self.pattern).groups
        except (re.error, TypeError) as error:
            raise DataError(f"label_from_name={self.pattern!r} is no regular expression: {error}") from None
        if not groups:
            raise DataError(
                f"label_from_name={self.pattern!r} has no group",
                hint=r"Put the part of the name that is the label in parentheses: '^(.+)_\d+' for great_dane_12.jpg.",
            )

    @property
    def is_given(self) -> bool:
        """Whether there is another source of labels than folders."""
        return self.table is not None or self.pattern is not None

    def label_of(self, path: str) -> str | None:
        """The label in a file's path, or None where the pattern does not match."""
        assert self.pattern is not None
        found = re.search(self.pattern, path if "/" in self.pattern else path.rpartition("/")[2])
        if found is None:
            return None
        named_groups = found.groupdict()
        return named_groups["label"] if "label" in named_groups else next((group for group in found.groups() if group), None)


def read_training_images(
    path: str | Path | None,
    labelling: Labelling | None = None,
    *,
    class_names: Sequence[str] | None = None,
    skip_unreadable: bool = False,
) -> tuple[ImageSet, ImageSet | None]:
    """The images to train on, and those that the data set itself keeps to judge by.

    Args:
        path: A folder, or a zip file of one; None where a table names all files.
        labelling: Where the labels come from. By default from the folders; where there are none, from a table that lies there.
        class_names: The classes that a trained model knows; None to learn them from the data.
        skip_unreadable: Leave out what cannot be read, instead of raising.

    Raises:
        DataError: The data set cannot be used.

    Example:
        ``training, judging = read_training_images("photos/")``
    """
    reader = _Reader(labelling or Labelling(), skip_unreadable)
    training, judging, _ = reader.read(path, class_names)
    return training, judging


def read_test_images(
    path: str | Path | None,
    labelling: Labelling | None = None,
    *,
    class_names: Sequence[str] | None = None,
    skip_unreadable: bool = False,
) -> ImageSet:
    """The images to measure a model on: all, or the test part of a data set that is split, else the part to judge by.

    Args:
        path: As in `read_training_images`.
        labelling: As in `read_training_images`.
        class_names: As in `read_training_images`.
        skip_unreadable: As in `read_training_images`.

    Raises:
        DataError: The data set cannot be used.
    """
    reader = _Reader(labelling or Labelling(), skip_unreadable, for_test=True)
    training, judging, test = reader.read(path, class_names)
    return test or judging or training


_Images = tuple[ImageSet, ImageSet | None, ImageSet | None]


@dataclass(frozen=True)
class _Reader:
    labelling: Labelling
    skip: bool
    for_test: bool = False

    def read(self, path: str | Path | None, class_names: Sequence[str] | None) -> _Images:
        """Images to train on, to judge by, and to test with."""
        root = None if path is None else existing_folder(unpacked(path))
        if self.labelling.table is not None:
            return self._of_table(read_table(self.labelling.table, root, skip_unreadable=self.skip), class_names)
        if root is None:
            raise DataError("there is no folder of images")
        if self.labelling.pattern is not None:
            return self._of_names(root, class_names), None, None
        if parts := find_parts(root) if not (tables := self._tables(root)) else None:
            return self._of_parts(root, parts, class_names)
        if tables:
            return self._of_tables(root, tables, class_names)
        return read_folder(root, class_names=class_names, skip_unreadable=self.skip), None, None

    def _tables(self, root: Path) -> list[Path]:
        """Tables count where the folders are no classes: a folder with all images, or parts without class folders."""
        folders = class_entries(root)
        holding = [name for name, folder in folders.items() if has_images(folder)]
        nested = [name for name, folder in folders.items() if class_entries(folder)]
        if nested or (len(holding) > 1 and not all(role_of(name) for name in holding)):
            return []
        return find_tables(root)

    def _of_parts(self, root: Path, parts: Parts, class_names: Sequence[str] | None) -> _Images:
        if self.for_test:
            folder = parts.test or parts.judging or parts.training
            _log.warning("%s is split already: measuring on %s", printable(root), printable(folder.relative_to(root)))
            images = read_folder(folder, class_names=class_names, skip_unreadable=self.skip)
            return images, None, images
        say_parts(root, parts)
        training = read_folder(parts.training, class_names=class_names, skip_unreadable=self.skip)
        if parts.judging is None:
            return training, None, None
        judging = read_folder(parts.judging, class_names=training.class_names, skip_unreadable=self.skip)
        return training, judging, None

    def _of_tables(self, root: Path, tables: Sequence[Path], class_names: Sequence[str] | None) -> _Images:
        if len(tables) == 1:
            _log.warning("%s: the labels are those in %s", printable(root), printable(tables[0].name))
            return self._of_table(read_table(tables[0], root, skip_unreadable=self.skip), class_names)
        roles = [role_of(table.stem) for table in tables]
        if len(set(roles)) < len(roles) or "training" not in roles:
            raise DataError(
                f"{printable(root)} has several tables of labels: {named([table.name for table in tables])}",
                hint="Say which one with --labels FILE (labels in Python).",
            )
        joined = LabelledFiles([], [], [])
        for table, role in zip(tables, roles, strict=True):
            rows = read_table(table, root, skip_unreadable=self.skip)
            joined.files.extend(rows.files)
            joined.labels.extend(rows.labels)
            joined.parts.extend([role] * len(rows.files))
        return self._of_table(joined, class_names)

    def _of_table(self, rows: LabelledFiles, class_names: Sequence[str] | None) -> _Images:
        def part(*roles: object) -> ImageSet | None:
            chosen = [i for i, role in enumerate(rows.parts) if role in roles]
            return self._labelled([rows.files[i] for i in chosen], [rows.labels[i] for i in chosen], names) if chosen else None

        names = class_names
        is_split = "training" in rows.parts and len(set(rows.parts)) > 1
        if not is_split:
            return self._labelled(rows.files, rows.labels, class_names), None, None
        training = part("training")
        assert training is not None
        names = training.class_names
        validation, test = part("validation"), part("test")
        return training, validation or test, test

    def _of_names(self, root: Path, class_names: Sequence[str] | None) -> ImageSet:
        files = images_below(root, skip_unreadable=self.skip)
        labels = [self.labelling.label_of(file.relative_to(root).as_posix()) for file in files]
        other = [file.name for file, label in zip(files, labels, strict=True) if not label]
        if other:
            found = f"finds no label in {len(other)} of {len(files)} names ({named(other)})"
            text = f"label_from_name={self.labelling.pattern!r} {found}"
            if not self.skip or len(other) == len(files):
                raise DataError(
                    text, hint="Correct the expression, or leave these files out with skip_unreadable=True (--skip-unreadable)."
                )
            _log.warning("%s. They are left out.", text)
        if not files:
            raise DataError(f"no images in {printable(root)}")
        kept = [(file, label) for file, label in zip(files, labels, strict=True) if label]
        return self._labelled([file for file, _ in kept], [label for _, label in kept], class_names)

    def _labelled(self, files: list[Path], labels: list[str], class_names: Sequence[str] | None) -> ImageSet:
        if not self.skip:
            files = [check_image(file) for file in files]
        warn_of_duplicates(list(zip(labels, files, strict=True)))
        return with_labels(files, labels, class_names)
