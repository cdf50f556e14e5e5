"""A ceiling for what a damaged or hostile file can make a process allocate."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pybridge.runtime.free_memory import free_memory

_SHARE = 0.8


@contextmanager
def memory_limit() -> Iterator[None]:
    """Let this process allocate at most 80 % of the memory that is free now; on Linux, elsewhere nothing is limited.

    An allocation beyond that fails at once, instead of bringing the machine to its knees.
    """
    free, used = free_memory(), _used_bytes()
    if free is None or used is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = used + int(free * _SHARE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _used_bytes() -> int | None:
    return _kilobytes(Path("/proc/self/status"), "VmData:")


def _kilobytes(file: Path, name: str) -> int | None:
    try:
        for line in file.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
