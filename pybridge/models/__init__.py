"""Where a model comes from and what it is.

Every source becomes one representation, `LayersModel`: the topology and the weights of a TF.js layers model, in memory. This is
the face of two rooms: `pybridge.tfjs` reads, checks and edits such models, `pybridge.converters` makes them of Keras, PyTorch and
ONNX models, and rebuilds them in Keras. Nothing of Keras or PyTorch is imported before a conversion.

Example:
    >>> from pybridge.models import from_keras, to_keras
    >>> from_keras(keras_model).write(Path("web"))
    >>> to_keras(LayersModel.read(Path("web"))).fit(x, y)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pybridge.converters.keras.conversion import from_keras
    from pybridge.converters.onnx.conversion import from_onnx
    from pybridge.converters.to_keras import to_keras
    from pybridge.converters.torch.conversion import from_torch
    from pybridge.tfjs.layers_model import LayersModel

_LAZY = {
    "LayersModel": "pybridge.tfjs.layers_model",
    "from_keras": "pybridge.converters.keras.conversion",
    "from_onnx": "pybridge.converters.onnx.conversion",
    "from_torch": "pybridge.converters.torch.conversion",
    "to_keras": "pybridge.converters.to_keras",
}

__all__ = ["LayersModel", "from_keras", "from_onnx", "from_torch", "to_keras"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
