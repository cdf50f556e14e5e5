"""What each operation of TensorFlow becomes, in a file for each family.

A function declares by ``@operation`` what it converts; every file of this folder is read.
"""

from pybridge.converters.registry import import_all
from pybridge.converters.tensorflow.registry import OPERATIONS

import_all(__name__, __path__)

__all__ = ["OPERATIONS"]
