"""The per-user cache: where it is, that nobody else writes to it, and how a finished folder appears in it at once."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pybridge.errors import ModelFormatError, SetupError
from pybridge.storage.folders import publish, scratch_beside
from pybridge.storage.locks import locked
from pybridge.storage.trust import check_trusted, take_write_from_others

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


def cache_part(name: str) -> Path:
    """Return a part of the cache, such as ``"runtime"`` or ``"programs"``; it need not exist yet.

    Raises:
        SetupError: Others than this user may write to it, so that nothing can be loaded from there.
    """
    part = cache_dir() / name
    check_cached(part)
    return part


def check_cached(*places: Path) -> None:
    """Make sure that others than this user can change neither the cache nor these files and folders in it.

    Raises:
        SetupError: It names the first that others can change, and what to do.
    """
    check_trusted(cache_dir(), *places)


def make_cache_part(name: str) -> Path:
    """Return a part of the cache as `cache_part` does, made where it is missing, for this user alone to write to.

    Raises:
        SetupError: Others may write to it.
        OSError: If the disk refuses.
    """
    part = cache_part(name)
    for folder in (*reversed(part.parents), part):
        folder.mkdir(mode=0o755, exist_ok=True)
    return part


def runtime_dir() -> Path:
    """Return the part of the cache that holds the Node side.

    Raises:
        SetupError: Others than this user may write to it.
    """
    return cache_part("runtime")


def is_complete(folder: Path) -> bool:
    """Tell whether ``folder`` was published by :func:`staged`.

    Raises:
        SetupError: It was, and others than this user may write to it.
    """
    if not (folder / _COMPLETE).is_file():
        return False
    check_cached(folder)
    return True


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
        message = f"Could not {doing} in {cache_dir() / 'runtime'}: {error.strerror or error}{place}."
        raise SetupError(message, hint=_CACHE_HINT) from error


@contextmanager
def storing(what: str, folder: Path) -> Iterator[None]:
    """Turn an ``OSError`` into a ``ModelFormatError`` that says what could not be kept in the cache.

    Args:
        what: Such as ``"the converted efficientnet_lite0"``.
        folder: Where it was to be kept.

    Raises:
        ModelFormatError: Where the block raised ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise ModelFormatError(
            f"{what} cannot be stored in {folder} ({error})", hint="Make room there, or set PYBRIDGE_CACHE to another folder."
        ) from error


@contextmanager
def set_up_lock(report: Report) -> Iterator[None]:
    """Hold the lock under which one process at a time sets up; the system frees it however that process ends.

    Leftovers of interrupted set-ups are removed on entry: whoever holds the lock is the only one who may have any.

    Args:
        report: Told once if another process has the lock.

    Raises:
        SetupError: Where the cache cannot be written, or others may write to it.
    """
    with ExitStack() as stack:
        with disk_errors("create the cache"):
            lock = make_cache_part("runtime") / "setup.lock"
            stack.enter_context(locked(lock, lambda: report("Waiting for another process that is setting up...")))
        shutil.rmtree(_staging_root(), ignore_errors=True)
        yield


@contextmanager
def staged(final: Path) -> Iterator[Path]:
    """Give an empty folder that becomes ``final`` in one step when the block ends without an error.

    Call it only under :func:`set_up_lock`. A reader sees ``final`` complete or not at all; what was there is replaced.

    Args:
        final: Where the folder is published.

    Yields:
        The folder to fill.
    """
    try:
        with scratch_beside(_staging_root() / final.name) as scratch:
            folder = scratch / "made"
            folder.mkdir()
            yield folder
            (folder / _COMPLETE).write_text(time.strftime("%Y-%m-%dT%H:%M:%SZ\n", time.gmtime()), encoding="utf-8")
            final.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            keep_in_cache(folder, final)
    finally:
        shutil.rmtree(_staging_root(), ignore_errors=True)


def keep_in_cache(made: Path, place: Path) -> None:
    """Move a finished folder to its place in the cache, in one step, for this user alone to write to.

    What lies there is replaced. The content is not brought to the disk first: it can be made again.

    Raises:
        OSError: If the disk refuses.
    """
    take_write_from_others(made)
    publish(made, place, replace=True, sync=False)


def _staging_root() -> Path:
    return runtime_dir() / "unfinished"
