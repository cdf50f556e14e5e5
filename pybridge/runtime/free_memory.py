"""How much memory is free for this process: of its container, where that has a limit."""

from __future__ import annotations

from pathlib import Path

from pybridge.runtime.control_groups import control_groups


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still use without pushing others out, or None where the system does not tell.

    The smallest of ``MemAvailable`` (``/proc/meminfo``) and what the control groups leave: their limit less what is in use,
    without file pages that can be dropped (``inactive_file``), as Kubernetes counts a working set.

    Args:
        root: Where ``proc`` and ``sys`` are.

    Example:
        >>> free_memory()
        17179869184
    """
    left = [_available(root), *(_left(folder) for folder in control_groups("memory", root))]
    return min((bytes_left for bytes_left in left if bytes_left is not None), default=None)


def _available(root: Path) -> int | None:
    return _named(root / "proc/meminfo", "MemAvailable:", unit=1024)


def _left(folder: Path) -> int | None:
    for limit_name, usage_name, cache_name in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            limit, usage = (int((folder / name).read_text("ascii")) for name in (limit_name, usage_name))
        except (OSError, ValueError):
            # No such file, or the limit is "max".
            continue
        return max(0, limit - usage + (_named(folder / "memory.stat", cache_name) or 0))
    return None


def _named(file: Path, name: str, unit: int = 1) -> int | None:
    try:
        lines = file.read_text("ascii").splitlines()
        return next((int(words[1]) * unit for line in lines if (words := line.split()) and words[0] == name), None)
    except (OSError, ValueError, IndexError):
        return None
