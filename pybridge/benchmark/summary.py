"""From repetitions to medians, spreads and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from pybridge.benchmark.catalogue import Work
from pybridge.benchmark.driver import Measured

_BRIDGE = "pybridge"


def summarize(work: Work, measured: Mapping[str, Measured]) -> dict[str, Any]:
    """What a work's repetitions say.

    Args:
        work: The work.
        measured: By peer.

    Returns:
        For each peer what was measured, with ``median`` (seconds for one unit), ``spread`` (half of the range over the median),
        ``times_as_fast`` (how many times as long as pybridge it took, by medians), ``target`` and ``met``, and
        ``peak_memory`` (bytes, all its processes); for the work ``limit`` and whether it was ``met``.

    Example:
        >>> summarize(WORK["call"], {"pybridge": Measured(Plan(1, 1), [2.0, 4.0, 3.0])})["peers"]["pybridge"]["median"]
        3.0
    """
    ours = _median(measured[_BRIDGE].costs) if _BRIDGE in measured else None
    peers: dict[str, Any] = {}
    for name, each in measured.items():
        median, target = _median(each.costs), work.targets.get(name)
        ratio = None if median is None or not ours or name == _BRIDGE else median / ours
        peers[name] = {
            **each.to_dict(),
            "median": median,
            "spread": spread(each.costs),
            "share": _median(each.shares),
            "times_as_fast": ratio,
            "target": target,
            "met": None if target is None or ratio is None else ratio >= target,
            "peak_memory": sum(each.memory.values()) or None,
        }
    met = None if work.limit is None or ours is None else ours <= work.limit
    return {"title": work.title, "unit": work.unit, "shown": work.shown, "limit": work.limit, "met": met, "peers": peers}


def spread(costs: Sequence[float]) -> float | None:
    """Half of the distance between the best and the worst, as a share of the median; None for fewer than two."""
    return (max(costs) - min(costs)) / 2 / statistics.median(costs) if len(costs) > 1 else None


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
