"""The per-user cache: where it is, who may write to it, and how a finished folder appears in it at once."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pybridge.errors import SetupError

Report = Callable[[str], None]

_COMPLETE = "complete"
_CACHE_HINT = "Set PYBRIDGE_CACHE to a folder on a disk with about 1 GB of free space that you may write to."


def cache_dir() -> Path:
    """Return the folder that holds everything pybridge installs, compiles, converts or downloads for this user.

    It need not exist yet. ``PYBRIDGE_CACHE`` overrides the platform's default (``~/.cache/pybridge`` on Linux).

    Example:
        >>> import os
        >>> os.environ["PYBRIDGE_CACHE"] = "/data/pybridge"
        >>> cache_dir()
        PosixPath('/data/pybridge')
    """
    chosen = os.environ.get("PYBRIDGE_CACHE")
    if chosen:
        return Path(os.path.abspath(Path(chosen).expanduser()))  # noqa: PTH100 - keeps symbolic links as the user wrote them

    from platformdirs import user_cache_path

    return user_cache_path("pybridge", appauthor=False)


def runtime_dir() -> Path:
    """Return the part of the cache that holds the Node side."""
    return cache_dir() / "runtime"


def is_complete(folder: Path) -> bool:
    """Tell whether ``folder`` was published by :func:`staged`."""
    return (folder / _COMPLETE).is_file()


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn an ``OSError`` (full disk, read-only folder, ...) into a ``SetupError`` that says what was being done.

    Args:
        doing: What the block does, such as ``"compile the native addon"``.

    Raises:
        SetupError: Where the block raised ``OSError``.
    """
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        message = f"Could not {doing} in {runtime_dir()}: {error.strerror or error}{place}."
        raise SetupError(message, hint=_CACHE_HINT) from error


@contextmanager
def set_up_lock(report: Report) -> Iterator[None]:
    """Hold the lock under which one process at a time sets up; the system frees it however that process ends.

    Leftovers of interrupted set-ups are removed on entry: whoever holds the lock is the only one who may have any.

    Args:
        report: Told once if another process has the lock.

    Raises:
        SetupError: Where the cache cannot be written.
    """
    from filelock import FileLock, Timeout

    with disk_errors("create the cache"):
        runtime_dir().mkdir(parents=True, exist_ok=True)
        lock = FileLock(runtime_dir() / "setup.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report("Waiting for another process that is setting up...")
            lock.acquire(poll_interval=0.2)
        except NotImplementedError as error:
            message = f"The disk of {runtime_dir()} has no file locks."
            raise SetupError(message, hint=_CACHE_HINT) from error
    try:
        shutil.rmtree(_staging_root(), ignore_errors=True)
        yield
    finally:
        lock.release()


@contextmanager
def staged(final: Path) -> Iterator[Path]:
    """Give an empty folder that becomes ``final`` in one step when the block ends without an error.

    Call it only under :func:`set_up_lock`. A reader sees ``final`` complete or not at all; what was there is replaced.

    Args:
        final: Where the folder is published.

    Yields:
        The folder to fill.
    """
    _staging_root().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{final.name}-", dir=_staging_root()))
    try:
        yield folder
        (folder / _COMPLETE).write_text(time.strftime("%Y-%m-%dT%H:%M:%SZ\n", time.gmtime()), encoding="utf-8")
        folder.chmod(0o755)
        final.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            final.rename(folder.with_name(f"{folder.name}-replaced"))
        folder.rename(final)
    finally:
        shutil.rmtree(_staging_root(), ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _staging_root() -> Path:
    return runtime_dir() / "unfinished"
