"""The base models that can be used by name: found in `pybridge.zoo.models`, looked up, and listed."""

from __future__ import annotations

import builtins
import pkgutil
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from types import ModuleType

from pybridge.errors import ModelFormatError
from pybridge.text import suggest
from pybridge.zoo import models
from pybridge.zoo.download import is_downloaded
from pybridge.zoo.entry import ZooEntry

DEFAULT = "efficientnet_lite0"


class ZooList(builtins.list[ZooEntry]):
    """The entries of the zoo; prints as a table."""

    def __repr__(self) -> str:
        return table(self)


def list() -> ZooList:  # noqa: A001 - pb.zoo.list() is the public name
    """List what can be used by name, the default first.

    Example:
        >>> [entry.name for entry in list()][:2]
        ['efficientnet_lite0', 'mobilenet_v1_0.25_224']
    """
    return ZooList(_entries())


def at_hand() -> builtins.list[ZooEntry]:
    """The entries that need no network: those that an installed package carries, and those that were downloaded.

    Example:
        >>> [entry.name for entry in at_hand()][:1]
        ['efficientnet_lite0']
    """
    return [entry for entry in _entries() if entry.url is None or is_downloaded(entry.url)]


def get(name: str) -> ZooEntry:
    """Look an entry up by its name.

    Raises:
        ModelFormatError: If there is no such entry; the hint names the closest ones.

    Example:
        >>> get("efficientnet_lite0").input_size
        (224, 224)
    """
    entry = find(name)
    if entry is None:
        raise ModelFormatError(f"the zoo has no model {name!r}", hint=suggest(name, [entry.name for entry in _entries()]))
    return entry


def find(source: str) -> ZooEntry | None:
    """Find an entry by its name or the address of its ``model.json``; None if there is none."""
    return next((entry for entry in _entries() if source in (entry.name, entry.url, *entry.aliases)), None)


@cache
def _entries() -> tuple[ZooEntry, ...]:
    modules = [import_module(f"{models.__name__}.{module.name}") for module in pkgutil.iter_modules(models.__path__)]
    found = [entry for module in modules for entry in entries_of(module)]
    names = Counter(name for entry in found for name in (entry.name, *entry.aliases))
    twice = [name for name, count in names.items() if count > 1]
    assert not twice, f"two entries of the zoo are called {', '.join(twice)}"
    return tuple(sorted(found, key=lambda entry: (entry.name != DEFAULT, entry.name)))


def entries_of(module: ModuleType) -> tuple[ZooEntry, ...]:
    """The entries that a module of `pybridge.zoo.models` declares.

    Raises:
        TypeError: It declares none, or something else.
    """
    entries = getattr(module, "ENTRIES", None)
    if not isinstance(entries, tuple) or not all(isinstance(entry, ZooEntry) for entry in entries):
        raise TypeError(f"{module.__name__}: ENTRIES must be a tuple of ZooEntry, but is {entries!r:.80}")
    return entries


def table(entries: Iterable[ZooEntry]) -> str:
    """Write entries as a table of plain text, one line each, with the sources of the accuracies below it."""
    shown = [*entries]
    sources = [*dict.fromkeys(entry.top1_source for entry in shown if entry.top1_source)]
    rows = [("name", "parameters", "size", "multiply-adds", "top-1", "input", "origin")]
    rows += [
        (
            entry.name,
            f"{entry.parameters / 1e6:.2f} M",
            f"{entry.size_bytes / 1e6:.1f} MB",
            f"{entry.multiply_adds / 1e6:.0f} M",
            "not published" if entry.top1_source is None else f"{entry.top1:.1f} % [{sources.index(entry.top1_source) + 1}]",
            f"{entry.input_size[0]}x{entry.input_size[1]}",
            entry.origin,
        )
        for entry in shown
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"[{number}] top-1 on ImageNet as published in {source}" for number, source in enumerate(sources, 1)]
    return "\n".join([*lines, "", *notes])
