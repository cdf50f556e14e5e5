"""The same input through every runtime, compared.

What is named here loads at its first use: the pytest plugin of this package must not slow down suites that do not use it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pybridge.parity.findings import RuntimeResult
    from pybridge.parity.report import ParityReport
    from pybridge.parity.runs import prove
    from pybridge.parity.runtimes import RUNTIMES
    from pybridge.parity.verification import verify

_LAZY = {
    "ParityReport": "report",
    "RUNTIMES": "runtimes",
    "RuntimeResult": "findings",
    "prove": "runs",
    "verify": "verification",
}

__all__ = ["RUNTIMES", "ParityReport", "RuntimeResult", "prove", "verify"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'pybridge.parity' has no attribute {name!r}")
    return getattr(importlib.import_module(f"pybridge.parity.{_LAZY[name]}"), name)
