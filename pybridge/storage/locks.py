"""Locks between processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pybridge.errors import SetupError


class ClaimedError(Exception):
    """Another process, or another call in this one, has a claim.

    Attributes:
        process: Its number; None where it cannot be told.
    """

    def __init__(self, process: int | None) -> None:
        super().__init__(f"claimed by process {process}")
        self.process = process


@contextmanager
def claimed(file: Path) -> Iterator[None]:
    """Hold a claim that nobody else has, or fail at once; the system ends it with the process.

    Args:
        file: Stands for the claim; it is made, with its folder, and removed at the end.

    Raises:
        ClaimedError: Somebody has it.
        OSError: If the disk refuses.

    Example:
        >>> with claimed(Path("run.claim")):
        ...     train()
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _claim(file)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        # While it is held: whoever comes next makes a new file.
        file.unlink(missing_ok=True)
        os.close(descriptor)


def _claim(file: Path) -> int:
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(descriptor, 20, 0)
            os.close(descriptor)
            raise ClaimedError(int(text) if text.isdigit() else None) from None
        except OSError:
            # A disk without locks: two trainings in one folder are the user's business there.
            return descriptor
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), file.lstat()):
                return descriptor
        os.close(descriptor)


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
