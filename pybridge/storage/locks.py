"""Locks between processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pybridge.errors import SetupError


@contextmanager
def locked(file: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock that one process at a time has; the system frees it however that process ends.

    Args:
        file: An empty file that stands for the lock. It is made, with its folder, and stays.
        waiting: Called once where another process has the lock.

    Raises:
        SetupError: The disk has no file locks.
        OSError: If the disk refuses.

    Example:
        >>> with locked(folder.with_suffix(".lock")):
        ...     convert_into(folder)
    """
    from filelock import FileLock, Timeout

    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting is not None:
                waiting()
            lock.acquire(poll_interval=0.05)
    except NotImplementedError as error:
        raise SetupError(
            f"The disk of {file.parent} has no file locks.", hint="Set PYBRIDGE_CACHE to a folder on a disk of this machine."
        ) from error
    try:
        yield
    finally:
        lock.release()
