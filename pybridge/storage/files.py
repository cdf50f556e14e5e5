"""Files that are replaced as a whole: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PARTIAL_SUFFIX = ".part"
"""Ends the name of a file that is being written, or that a killed process was writing."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


def replace_file(path: Path, content: bytes | str) -> None:
    """Write a file, or replace it in one step; text as UTF-8.

    When this returns, the content is on the disk. Whatever fails or is killed before leaves the former file as it was.

    Args:
        path: The file; its folder must exist.
        content: All of it.

    Raises:
        OSError: If the disk refuses.

    Example:
        >>> replace_file(Path("run.json"), "{}")
    """
    with replacing(path, len(content)) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, size: int | None = None) -> Iterator[BinaryIO]:
    """A new file to write to, which takes the place of ``path`` when the block ends without an error.

    It is called ``<name>.part`` until then. Several processes may write the same file: they do so one after the other. What a
    killed one left is written anew by the next. The file has the permissions that the umask leaves of 0666.

    Args:
        path: The file.
        size: How many bytes it will have, if that is known: said where the disk is full.

    Raises:
        OSError: If the disk refuses. Where it is full, the error names the file and what it needs.
    """
    partial = path.with_name(f"{path.name}{PARTIAL_SUFFIX}")
    with os.fdopen(_create_alone(partial), "wb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            written = _size_of(file)
            partial.unlink(missing_ok=True)
            if error.errno in _FULL:
                raise _full(error, path, size, written) from error
            raise
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def _size_of(file: BinaryIO) -> int:
    with suppress(OSError, ValueError):
        return os.fstat(file.fileno()).st_size
    return 0


def _full(error: OSError, path: Path, size: int | None, written: int) -> OSError:
    needed = f"{size:,} bytes" if size else f"more than {written:,} bytes"
    return OSError(error.errno, f"{os.strerror(error.errno or 0)}: the file needs {needed}; nothing of it was left", str(path))


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the file system can do that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_alone(path: Path) -> int:
    """A descriptor of a new file that nobody else writes to; its lock ends with it, and with this process."""
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            _remove_abandoned(path)
            continue
        _lock(descriptor)
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)


def _remove_abandoned(path: Path) -> None:
    """Wait for whoever writes the file; if it is still there then, its writer is dead."""
    try:
        # A link that lies here is no file of ours, and may lead anywhere.
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        path.unlink(missing_ok=True)
        return
    try:
        _lock(descriptor)
        if _is_at(descriptor, path):
            path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
