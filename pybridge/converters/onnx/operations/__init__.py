"""What each operation of ONNX becomes (https://onnx.ai/onnx/operators/), in a file for each family.

A function declares by ``@operation`` what it converts; every file of this folder is read.
"""

from pybridge.converters.onnx.registry import OPERATIONS
from pybridge.converters.registry import import_all

import_all(__name__, __path__)

__all__ = ["OPERATIONS"]
