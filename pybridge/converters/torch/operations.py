"""What each operation of PyTorch becomes."""

from pybridge.converters.torch import arithmetic as torch_arithmetic
from pybridge.converters.torch import layers as torch_layers
from pybridge.converters.torch import shapes as torch_shapes
from pybridge.converters.torch.registry import HANDLERS, Place

__all__ = ["HANDLERS", "Place", "torch_arithmetic", "torch_layers", "torch_shapes"]
