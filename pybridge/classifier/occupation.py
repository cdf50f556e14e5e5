"""One training at a time in a run's folder."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from pybridge.storage.cache import cache_part
from pybridge.storage.locks import ClaimedError, claimed
from pybridge.text import printable
from pybridge.training.run_directory import RunFolderError

_Method = TypeVar("_Method", bound=Callable[..., Any])

# A training may consist of others, in the same folder.
_held = threading.local()


def alone_in_run(method: _Method) -> _Method:
    """Makes a method with the argument ``run_dir`` fail at once while another training writes there.

    Raises:
        RunFolderError: Another process, or another thread, trains in that folder.

    Example:
        >>> @alone_in_run
        ... def fit(self, x, *, run_dir=None): ...
    """

    @functools.wraps(method)
    def alone(*arguments: Any, run_dir: str | Path | None = None, **options: Any) -> Any:
        if run_dir is None:
            return method(*arguments, run_dir=None, **options)
        with _occupied(Path(run_dir).expanduser()):
            return method(*arguments, run_dir=run_dir, **options)

    return cast(_Method, alone)


@contextmanager
def _occupied(folder: Path) -> Iterator[None]:
    place = str(folder.resolve())
    held: set[str] = _held.__dict__.setdefault("places", set())
    if place in held:
        yield
        return
    try:
        with claimed(cache_part("claims") / f"{hashlib.sha256(place.encode(errors='surrogateescape')).hexdigest()[:32]}.claim"):
            held.add(place)
            try:
                yield
            finally:
                held.discard(place)
    except ClaimedError as error:
        raise RunFolderError(
            f"{printable(folder)} is in use by process {error.process}, which trains there",
            hint="Wait until it is finished, end it, or choose another folder.",
        ) from None
