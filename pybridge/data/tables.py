"""Labels that stand in a table: a CSV file, or a data frame."""

from __future__ import annotations

import csv
import io
import logging
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybridge.data.formats import sniff_file
from pybridge.data.listing import entries, files_below, named
from pybridge.data.parts import Role, role_of
from pybridge.errors import DataError
from pybridge.text import printable

_log = logging.getLogger("pybridge.data")

_FILE_COLUMNS = (
    *("file", "filename", "file_name", "filepath", "file_path", "path", "image", "image_path", "imagepath", "image_name"),
    *("imagename", "image_file", "img", "img_path", "img_name", "picture", "photo", "name", "image_id", "imageid", "id", "uuid"),
)
_LABEL_COLUMNS = (
    *("label", "labels", "class", "classname", "class_name", "classes", "category", "category_name", "target", "species"),
    *("breed", "variety", "tag", "type", "diagnosis", "y"),
)
_PART_COLUMNS = ("split", "subset", "part", "partition", "set", "fold")
_COLUMNS_HINT = (
    "The first line names the columns, of which one is called file (or filename, path, image ...) and one label (or class ...)."
)


@dataclass(frozen=True)
class LabelledFiles:
    """Files with their labels.

    Attributes:
        files: Each once.
        labels: As many.
        parts: What each file is for, as the table says it; all None where it says nothing.
    """

    files: list[Path]
    labels: list[str]
    parts: list[Role | None]


def find_tables(root: Path) -> list[Path]:
    """The tables in a folder that name files and labels."""
    return [
        path
        for entry in entries(root)
        if entry.is_file() and (path := Path(entry.path)).suffix.lower() in (".csv", ".tsv") and _is_of_labels(path)
    ]


def read_table(table: Any, root: Path | None, *, skip_unreadable: bool = False) -> LabelledFiles:
    """Read which file has which label.

    Files are looked for beside the table, then in ``root``, then by their name anywhere below ``root``, with or without the
    ending. Rows that say the same twice count once.

    Args:
        table: A CSV file with commas, semicolons or tabs between; or a data frame of pandas or its like.
        root: The folder of the photos; None for that of the table, or the working directory.
        skip_unreadable: Leave out rows whose file is missing, with a warning, instead of raising.

    Raises:
        DataError: The table cannot be read, lacks a column, or says two things of one file; or files are missing.

    Example:
        ``read_table("labels.csv", Path("photos")).labels``
    """
    if isinstance(table, str | os.PathLike):
        path = Path(table).expanduser()
        rows, name, places = _rows_of(path), printable(path), [path.parent]
    else:
        rows, name, places = _rows_of_frame(table), "the data frame", [Path.cwd()]
    if root is not None:
        places.append(root)
    file_column, label_column, part_column = _columns(rows[0], rows[1:], name, places)
    body = rows[1:] if file_column.has_header else rows
    if not body:
        raise DataError(f"{name} has no rows")
    unlabelled = [row[file_column.at] for row in body if not row[label_column]]
    if unlabelled:
        raise DataError(f"{name} has {len(unlabelled)} rows without a label ({named(unlabelled)})", hint="Fill or remove them.")
    finder = _Finder(places)
    labels: dict[Path, str] = {}
    parts: dict[Path, Role | None] = {}
    missing = []
    for row in body:
        file = finder.find(row[file_column.at])
        if file is None:
            missing.append(row[file_column.at])
            continue
        if labels.setdefault(file, row[label_column]) != row[label_column]:
            raise DataError(
                f"{name} gives {printable(file)} two labels: {printable(labels[file])} and {printable(row[label_column])}",
                hint="A photo can have one label only: remove the other row.",
            )
        parts[file] = role_of(row[part_column]) if part_column is not None else None
    _complain_of_missing(missing, len(body), name, places, skip_unreadable)
    return LabelledFiles(list(labels), list(labels.values()), list(parts.values()))


def is_frame(x: Any) -> bool:
    """Whether ``x`` is a table with named columns, such as a pandas DataFrame."""
    return hasattr(x, "columns") and hasattr(x, "__getitem__") and not isinstance(x, Mapping)


@dataclass(frozen=True)
class _FileColumn:
    at: int
    has_header: bool = True


class _Finder:
    """Finds the files that a table names."""

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = places
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, text: str) -> Path | None:
        text = text.replace("\\", "/")
        for place in self._places:
            try:
                if text and (place / text).is_file():
                    return place / text
            except (OSError, ValueError):
                return None
        found = self._index().get(Path(text).name, [])
        if len(found) > 1:
            ending = [file for file in found if file.with_suffix("").as_posix().endswith(str(Path(text).with_suffix("")))]
            found = ending or found
        return found[0] if len(found) == 1 else None

    def _index(self) -> dict[str, list[Path]]:
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for file in files_below(self._places[-1]):
                if sniff_file(file) is None:
                    continue
                for name in {file.name, file.stem}:
                    self._by_name[name].append(file)
        return self._by_name


def _complain_of_missing(missing: Sequence[str], rows: int, name: str, places: Sequence[Path], skip: bool) -> None:
    if not missing:
        return
    text = f"{len(missing)} of the {rows} files that {name} names are not there ({named(missing)})"
    if skip and len(missing) < rows:
        _log.warning("%s. They are left out.", text)
        return
    raise DataError(
        text,
        hint=f"They were looked for in {named(map(str, dict.fromkeys(places)))}. Correct the names, or leave them out with "
        "skip_unreadable=True (--skip-unreadable).",
    )


def _columns(
    header: Sequence[str], body: Sequence[Sequence[str]], name: str, places: Sequence[Path]
) -> tuple[_FileColumn, int, int | None]:
    names = [title.strip().lower().replace(" ", "_").replace("-", "_") for title in header]
    file, label, part = (_first(names, known) for known in (_FILE_COLUMNS, _LABEL_COLUMNS, _PART_COLUMNS))
    if file is not None and label is None and len(names) == 2:
        label = 1 - file
    if label is not None and file is None and len(names) == 2:
        file = 1 - label
    if file is not None and label is not None:
        return _FileColumn(file), label, part
    if len(names) == 2 and _Finder(places).find(header[0]) is not None:
        # No names of columns: the first row is a file and its label already.
        return _FileColumn(0, has_header=False), 1, None
    if len(names) == 2 and body and _Finder(places).find(body[0][0]) is not None:
        return _FileColumn(0), 1, None
    lacks = " and ".join(what for what, at in (("files", file), ("labels", label)) if at is None)
    raise DataError(f"{name} has no column for {lacks}; its columns are {named(header, 20)}", hint=_COLUMNS_HINT)


def _first(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(title) for title in known if title in names), None)


def _is_of_labels(path: Path) -> bool:
    try:
        header = [title.strip().lower().replace(" ", "_").replace("-", "_") for title in _rows_of(path, limit=1)[0]]
    except DataError:
        return False
    return _first(header, _FILE_COLUMNS) is not None and _first(header, _LABEL_COLUMNS) is not None


def _rows_of(path: Path, limit: int | None = None) -> list[list[str]]:
    """The cells of a table, without what is around them; empty lines are left out."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no table {printable(path)}") from None
    except OSError as error:
        raise DataError(f"cannot read the table {printable(path)}: {error.strerror or error}") from error
    try:
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(
            f"{printable(path)} is not a table in UTF-8", hint="Save it as CSV with the encoding UTF-8 (in Excel: CSV UTF-8)."
        ) from None
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if rows and len(cells) < len(rows[0]):
                cells += [""] * (len(rows[0]) - len(cells))
            rows.append(cells)
            if limit is not None and len(rows) == limit:
                break
    except csv.Error as error:
        raise DataError(f"{printable(path)} is not a table with commas, semicolons or tabs: {error}") from None
    if not rows:
        raise DataError(f"{printable(path)} is empty", hint=_COLUMNS_HINT)
    return rows


def _rows_of_frame(frame: Any) -> list[list[str]]:
    names = [str(name) for name in frame.columns]
    columns = [[_text(value) for value in frame[name]] for name in frame.columns]
    return [names, *(list(row) for row in zip(*columns, strict=True))]


def _text(value: Any) -> str:
    """A cell as a CSV file would hold it; missing values are empty."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
