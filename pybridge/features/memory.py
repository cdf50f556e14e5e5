"""Where cached activations lie: in memory up to a budget, else in a file."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pybridge.errors import DataError
from pybridge.runtime.free_memory import free_memory
from pybridge.storage.cache import cache_part, make_cache_part

# The other half is for weights, gradients, decoded images, and everything else on the machine.
_SHARE_OF_FREE = 0.5
# What is left free on the disk for others.
_SPARE_DISK_BYTES = 512 * 2**20
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_memory(value: str | float | None) -> int | None:
    """Bytes from what a user gives as an amount of memory.

    Args:
        value: A number of bytes, or a text such as ``"2GB"``, ``"500 MB"`` or ``"1.5GiB"``; None for the default.

    Raises:
        DataError: It is neither.

    Example:
        >>> parse_memory("2GB")
        2000000000
    """
    if value is None:
        return None
    matched = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(|[kmgt]i?)b?\s*", str(value), re.IGNORECASE)
    if isinstance(value, bool) or matched is None:
        raise DataError(f"{value!r} is no amount of memory", hint='Give a number of bytes or a text such as "2GB".')
    return int(float(matched[1]) * _UNITS[matched[2].lower()])


class FeatureMemory:
    """The budget of all feature stores of one process, and the files of those that exceed it.

    Args:
        budget: Bytes that stores may take in memory together; None takes half of what is free when a store is made.
        folder: Where files are made; by default in the cache, which is usually on a disk where ``/tmp`` may be memory.

    Example:
        >>> memory = FeatureMemory(parse_memory("2GB"))
        >>> if not memory.fits(bytes_needed):
        ...     with memory.file(bytes_needed, rows) as file:
        ...         store = runner.call("features.create", {"rows": rows, "shape": [14, 14, 112], "file": str(file)})
    """

    def __init__(self, budget: int | None = None, folder: Path | None = None) -> None:
        self.budget = budget
        self._folder = folder
        self._used: dict[int, int] = {}

    def fits(self, needed: int) -> bool:
        """Whether a store of so many bytes may be in memory."""
        if self.budget is not None:
            return needed + sum(self._used.values()) <= self.budget
        free = free_memory()
        return free is None or needed <= _SHARE_OF_FREE * free

    def keep(self, store: int, needed: int) -> None:
        """Count a store that lies in memory."""
        self._used[store] = needed

    def forget(self, store: int) -> None:
        """Count it no longer."""
        self._used.pop(store, None)

    def forget_all(self) -> None:
        """Count none: their process is gone."""
        self._used.clear()

    @contextlib.contextmanager
    def file(self, needed: int, rows: int) -> Iterator[Path]:
        """An empty file for a store of so many bytes, which whoever opens it meanwhile keeps for itself.

        At the end its name is gone, so that its space is given back when the opener closes it or dies, and then its space is
        taken. A process that is killed meanwhile leaves an empty file at most.

        Raises:
            DataError: The disk has too little room.
        """
        folder = self._folder or cache_part("scratch")
        try:
            if self._folder is None:
                make_cache_part("scratch")
            folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder).free
            if needed > free - _SPARE_DISK_BYTES:
                raise self._no_room(needed, rows, folder, free)
            descriptor, name = tempfile.mkstemp(prefix="features-", dir=folder)
            try:
                try:
                    yield Path(name)
                finally:
                    Path(name).unlink()
                _take_space(descriptor, needed)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DataError(
                f"Cannot keep {needed / 1e9:.1f} GB of activations in {folder}: {error.strerror or error}",
                hint="PYBRIDGE_CACHE names another folder, on a disk with room; or raise feature_memory.",
            ) from error

    def _no_room(self, needed: int, rows: int, folder: Path, free: int) -> DataError:
        memory = self.budget if self.budget is not None else _SHARE_OF_FREE * (free_memory() or 0)
        return DataError(
            f"The activations of {rows:,} images need {needed / 1e9:.1f} GB: more than the {memory / 1e9:.1f} GB of memory that "
            f"they may use, and than the {free / 1e9:.1f} GB that are free in {folder}",
            hint="Unfreeze less of the base, so that the frozen part ends later; use fewer augmented views or images; or set "
            "PYBRIDGE_CACHE to a folder on a larger disk.",
        )


def _take_space(descriptor: int, needed: int) -> None:
    """Gets the disk's blocks now, so that no other program takes them while features are computed."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, max(needed, 1))
    except OSError as error:
        # Some file systems cannot; writing will tell then.
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
