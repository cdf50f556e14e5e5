"""pybridge: train image classifiers in Node.js from Python, prove that both agree, deploy into Node services.

Importing this package starts nothing and imports neither TensorFlow nor scikit-learn; what is named here loads at its first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pybridge._version import __version__
from pybridge.errors import (
    BridgeError,
    CallTimeoutError,
    DataError,
    ModelFormatError,
    NodeCrashedError,
    NodeNotFoundError,
    ParityError,
    RemoteError,
    SetupError,
)

if TYPE_CHECKING:
    from pybridge import zoo
    from pybridge.classifier import ImageClassifier
    from pybridge.data.augmentation import Augmentation
    from pybridge.data.preprocessing import Preprocessing
    from pybridge.deployment import deploy, serve
    from pybridge.node import AsyncNode, JSIterator, JSObject, Model, Node, NodePool
    from pybridge.node.conversion import convert
    from pybridge.parity import verify
    from pybridge.training import callbacks
    from pybridge.training.history import History

_LAZY = {
    "AsyncNode": "pybridge.node",
    "Augmentation": "pybridge.data.augmentation",
    "History": "pybridge.training.history",
    "ImageClassifier": "pybridge.classifier",
    "JSIterator": "pybridge.node",
    "JSObject": "pybridge.node",
    "Model": "pybridge.node",
    "Node": "pybridge.node",
    "NodePool": "pybridge.node",
    "Preprocessing": "pybridge.data.preprocessing",
    "callbacks": "pybridge.training",
    "convert": "pybridge.node.conversion",
    "deploy": "pybridge.deployment",
    "serve": "pybridge.deployment",
    "verify": "pybridge.parity",
    "zoo": "pybridge",
}

# Names that stand for a module, not for something in it.
_ROOMS = {"callbacks", "zoo"}

__all__ = [
    "AsyncNode",
    "Augmentation",
    "BridgeError",
    "CallTimeoutError",
    "DataError",
    "History",
    "ImageClassifier",
    "JSIterator",
    "JSObject",
    "Model",
    "ModelFormatError",
    "Node",
    "NodeCrashedError",
    "NodeNotFoundError",
    "NodePool",
    "ParityError",
    "Preprocessing",
    "RemoteError",
    "SetupError",
    "__version__",
    "callbacks",
    "convert",
    "deploy",
    "serve",
    "verify",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'pybridge' has no attribute {name!r}")
    where = _LAZY[name]
    value = importlib.import_module(f"{where}.{name}") if name in _ROOMS else getattr(importlib.import_module(where), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
