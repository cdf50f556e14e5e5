"""Copies of a model's files in a folder of our own: what was checked is what is loaded, whoever may write to the original."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pybridge.errors import BridgeError
from pybridge.storage.cache import cache_part, make_cache_part

_LOCK = ".lock"


class PrivateCopy:
    """A folder with copies of files; it goes when nothing holds it any more, or with the process.

    Args:
        files: For each path in the copy, with ``/``, the file that it comes from.
        linked: Those paths for which another name of the same file is enough, as their content is data that nobody checks.

    Raises:
        BridgeError: There is no room for them.
        OSError: A file cannot be read, or is no regular file.

    Example:
        >>> copy = PrivateCopy({"saved_model.pb": Path("exported/saved_model.pb")})
        >>> (copy.folder / "saved_model.pb").is_file()
        True
    """

    def __init__(self, files: Mapping[str, Path], *, linked: frozenset[str] = frozenset()) -> None:
        home = _home()
        self.folder, lock = _new_folder(home)
        self._finalizer = weakref.finalize(self, _remove, self.folder, lock, os.getpid())
        try:
            for name, source in files.items():
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(source, target, name in linked)
        except BaseException:
            self._finalizer()
            raise


def _home() -> Path:
    try:
        home = make_cache_part("opened")
        _sweep(home)
    except OSError as error:
        raise _no_room(error) from error
    return home


def _new_folder(home: Path) -> tuple[Path, int]:
    try:
        while True:
            # The lock says that its folder is in use, also to processes that cannot see this one.
            lock, name = tempfile.mkstemp(dir=home, suffix=_LOCK)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if os.fstat(lock).st_nlink:  # another process may have taken it for one that was left
                break
            os.close(lock)
        folder = Path(name.removesuffix(_LOCK))
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise _no_room(error) from error
    return folder, lock


def _sweep(home: Path) -> None:
    """Remove the folders of processes that were killed."""
    for file in home.glob(f"*{_LOCK}"):
        with suppress(OSError):
            lock = os.open(file, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(str(file).removesuffix(_LOCK), ignore_errors=True)
                file.unlink()
            finally:
                os.close(lock)


def _copy(source: Path, target: Path, may_link: bool) -> None:
    if may_link:
        with suppress(OSError):
            os.link(source, target)
            if stat.S_ISREG(target.lstat().st_mode):
                return
            target.unlink()
    try:
        with source.open("rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise OSError(f"{source} is no regular file")
            with target.open("xb") as copied:
                shutil.copyfileobj(stream, copied, 1 << 20)
    except OSError as error:
        if error.filename == str(source) or error.errno is None:
            raise
        raise _no_room(error) from error


def _remove(folder: Path, lock: int, process: int) -> None:
    # A forked child holds its parent's copies too, and is not the one to remove them.
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
        Path(f"{folder}{_LOCK}").unlink(missing_ok=True)
    with suppress(OSError):
        os.close(lock)


def _no_room(error: OSError) -> BridgeError:
    return BridgeError(
        f"A model cannot be copied into {cache_part('opened')} to be opened: {error.strerror or error}",
        hint="Free some space there, or name another folder for pybridge's cache in PYBRIDGE_CACHE.",
    )
