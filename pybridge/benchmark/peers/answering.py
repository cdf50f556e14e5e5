"""How a peer written in Python listens to the driver: a line of JSON for each order, a line for each answer.

Orders: ``{"folder", "work", "plan"}``, once: get ready, warm up; answered by ``{"versions": {...}}``. Then ``{"run": true}``, as
often as the driver likes: do one repetition; answered by ``{"seconds", "check"}`` and whatever else is known. The end of the
input ends the process. ``{"error": "..."}`` answers what failed.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pybridge.benchmark.peers.workload import Workload

Repetition = Callable[[], dict[str, Any]]
Preparation = Callable[[Workload, dict[str, Any]], Repetition]


def serve(works: Mapping[str, Preparation], versions: Callable[[], dict[str, str]]) -> None:
    """Follows orders until there are no more.

    Args:
        works: What this peer can do: given the workload and the plan, gets ready and gives what does one repetition.
        versions: Of what it uses.
    """
    # Libraries print what they like; only this descriptor still leads to the driver.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    repetition: Repetition | None = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if repetition is None:
                repetition = works[order["work"]](Workload.read(Path(order["folder"])), order["plan"])
                answer: dict[str, Any] = {"versions": versions()}
            else:
                answer = repetition()
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
