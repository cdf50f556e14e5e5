"""How many processors this process may use: those of a container or a ``taskset``, not of the whole machine."""

from __future__ import annotations

import math
import os
from pathlib import Path

from pybridge.runtime.control_groups import control_groups


def usable_processors(root: Path = Path("/")) -> int:
    """Count the processors that this process may keep busy at the same time, at least 1.

    The smaller of two numbers: the processors that the scheduler may put it on (``sched_getaffinity``), and the share of time
    that its control groups grant: ``cpu.max`` of cgroup v2, ``cpu.cfs_quota_us`` of v1, rounded up (kernel documentation,
    admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst). TensorFlow itself looks at the former only, and starts 64 threads
    in a container that may use two of 64 processors.

    Args:
        root: Where ``proc`` and ``sys`` are.

    Example:
        >>> usable_processors()
        2
    """
    schedulable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in control_groups("cpu", root) if (quota := _quota(folder)) is not None]
    return max(1, min([schedulable, *(math.ceil(quota) for quota in quotas)]))


def _quota(folder: Path) -> float | None:
    """Processors that a control group grants, or None where it sets no limit."""
    for read in (_quota_v2, _quota_v1):
        try:
            quota, period = read(folder)
            return int(quota) / int(period) if int(quota) > 0 else None
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return None


def _quota_v2(folder: Path) -> tuple[str, str]:
    quota, period = (folder / "cpu.max").read_text("ascii").split()
    return quota, period


def _quota_v1(folder: Path) -> tuple[str, str]:
    return (folder / "cpu.cfs_quota_us").read_text("ascii"), (folder / "cpu.cfs_period_us").read_text("ascii")
