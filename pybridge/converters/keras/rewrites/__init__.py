"""The exact rewrites of Keras layers, operations and activations, in a file for each family.

A function declares by ``@rewrite``, ``@rewrite_operation`` or ``@rewrite_activation`` what it is for; every file of this folder
is read. Of several rewrites of a class that with the highest priority is asked first, and the next where it returns ``DECLINED``.
"""

from pybridge.converters.keras.registry import ACTIVATIONS, LAYERS, OPERATIONS
from pybridge.converters.registry import import_all

import_all(__name__, __path__)

__all__ = ["ACTIVATIONS", "LAYERS", "OPERATIONS"]
