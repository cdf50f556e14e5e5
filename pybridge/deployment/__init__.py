"""The package that a Node service requires; `pybridge.deploy` is the function, so the room has another name.

What is named here loads at its first use: the command line asks this room for the server's options each time it starts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pybridge.deployment.drift import describe_drift
    from pybridge.deployment.package import DeployedPackage, deploy
    from pybridge.deployment.server import Server, serve

_LAZY = {
    "DeployedPackage": "pybridge.deployment.package",
    "Server": "pybridge.deployment.server",
    "deploy": "pybridge.deployment.package",
    "describe_drift": "pybridge.deployment.drift",
    "serve": "pybridge.deployment.server",
}

__all__ = ["DeployedPackage", "Server", "deploy", "describe_drift", "serve"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
