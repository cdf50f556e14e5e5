"""What each operation of PyTorch becomes."""

from pybridge.models.imported import torch_arithmetic, torch_layers, torch_shapes
from pybridge.models.imported.torch_registry import HANDLERS, Place

__all__ = ["HANDLERS", "Place", "torch_arithmetic", "torch_layers", "torch_shapes"]
