"""How much memory processes hold, as Linux tells; nothing is known elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


def peak_memory(pid: int) -> dict[str, int]:
    """The most that a process and its descendants ever held, in bytes, by the programs' names, such as ``"node"``.

    What is counted is resident memory (``VmHWM`` in ``/proc/PID/status``), pages of shared libraries in each process.
    """
    peaks: dict[str, int] = {}
    for fields in _tree(pid):
        if "VmHWM" in fields:
            peaks[fields["Name"]] = peaks.get(fields["Name"], 0) + int(fields["VmHWM"].split()[0]) * 1024
    return peaks


def memory_now(pid: int) -> int:
    """What a process and its descendants hold now, in bytes."""
    return sum(int(fields["VmRSS"].split()[0]) * 1024 for fields in _tree(pid) if "VmRSS" in fields)


def _tree(pid: int) -> Iterator[dict[str, str]]:
    statuses: dict[int, dict[str, str]] = {}
    children: dict[int, list[int]] = {}
    for folder in _PROC.glob("[0-9]*"):
        fields = _fields(folder / "status")
        if "PPid" in fields:
            statuses[int(folder.name)] = fields
            children.setdefault(int(fields["PPid"]), []).append(int(folder.name))
    waiting = [pid] if pid in statuses else []
    while waiting:
        each = waiting.pop()
        yield statuses[each]
        waiting += children.get(each, [])


def _fields(file: Path) -> dict[str, str]:
    # A process may end while it is looked at.
    with contextlib.suppress(OSError):
        lines = file.read_text("utf-8", "replace").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {}
