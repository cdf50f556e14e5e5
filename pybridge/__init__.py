"""pybridge: train image classifiers in Node.js from Python, prove that both agree, deploy into Node services.

Importing this package starts nothing and imports neither TensorFlow nor scikit-learn; what is named here loads at its first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    from pybridge.classifier import ImageClassifier
    from pybridge.conversion import convert
    from pybridge.data.augmentation import Augmentation
    from pybridge.data.preprocessing import Preprocessing
    from pybridge.deployment import deploy, serve
    from pybridge.models import zoo
    from pybridge.node import Model, Node
    from pybridge.parity import verify
    from pybridge.training import callbacks
    from pybridge.training.history import History

__version__ = "0.1.0"

_LAZY = {
    "Augmentation": "pybridge.data.augmentation",
    "History": "pybridge.training.history",
    "ImageClassifier": "pybridge.classifier",
    "Model": "pybridge.node",
    "Node": "pybridge.node",
    "Preprocessing": "pybridge.data.preprocessing",
    "callbacks": "pybridge.training",
    "convert": "pybridge.conversion",
    "deploy": "pybridge.deployment",
    "serve": "pybridge.deployment",
    "verify": "pybridge.parity",
    "zoo": "pybridge.models",
}

__all__ = [
    "Augmentation",
    "BridgeError",
    "CallTimeoutError",
    "DataError",
    "History",
    "ImageClassifier",
    "Model",
    "ModelFormatError",
    "Node",
    "NodeCrashedError",
    "NodeNotFoundError",
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
    module = importlib.import_module(_LAZY[name])
    try:
        value = getattr(module, name)
    except AttributeError:
        value = importlib.import_module(f"{_LAZY[name]}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
