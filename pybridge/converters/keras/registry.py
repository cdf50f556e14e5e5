"""Where the exact rewrites of Keras layers, operations and activations are declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pybridge.converters.keras.call import Call
from pybridge.converters.keras.emitter import Symbol
from pybridge.converters.registry import Registry

DECLINED: Any = None
"""What a rewrite returns when it is not for this call: the next one is asked, at last the class of TF.js itself."""

LAYERS: Registry[Callable[[Call], Any]] = Registry("Keras layer")
"""Rewrites of layer classes (of the package keras, by ``__name__``)."""

OPERATIONS: Registry[Callable[[Call], Any]] = Registry("operation of keras.ops")
"""Rewrites of operations of a Functional graph, by the name of their class in ``keras.src.ops``.

``x + 1`` is ``Add``, ``x[:, 0]`` is ``GetItem``, ``keras.ops.mean`` is ``Mean``.
"""

ACTIVATIONS: Registry[Callable[[Call, Symbol], Any]] = Registry("Keras activation", aliases={"hard_swish": "hard_silu"})
"""Rewrites of activations by their Keras names, wherever a layer applies one to its output.

The function gets the call and the symbol before the activation, and returns the symbol behind it.
"""

rewrite = LAYERS.handles
rewrite_operation = OPERATIONS.handles
rewrite_activation = ACTIVATIONS.handles
