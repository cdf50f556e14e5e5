"""The exact rewrites that are known, by Keras class or operation."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pybridge.converters.keras.call import Call, Symbol

DECLINED: Any = None
"""What a rewrite returns when it is not for this call: the next one is asked, at last the class of TF.js itself."""

Rewrite = Callable[["Call"], Any]
Activation = Callable[["Call", "Symbol"], Any]

_layers: dict[str, list[Rewrite]] = {}
_operations: dict[str, list[Rewrite]] = {}
_activations: dict[str, list[Activation]] = {}

_R = TypeVar("_R", bound=Callable[..., Any])


def rewrite(*class_names: str) -> Callable[[_R], _R]:
    """Register a rewrite for Keras layer classes (of the package keras, by ``__name__``)."""
    return _register(_layers, class_names)


def rewrite_operation(*class_names: str) -> Callable[[_R], _R]:
    """Register a rewrite for operations of a Functional graph, by the name of their class in ``keras.src.ops``.

    ``x + 1`` is ``Add``, ``x[:, 0]`` is ``GetItem``, ``keras.ops.mean`` is ``Mean``.
    """
    return _register(_operations, class_names)


def rewrite_activation(*names: str) -> Callable[[_R], _R]:
    """Register a rewrite for an activation by its Keras name, wherever a layer applies one to its output.

    The function gets the call and the symbol before the activation, and returns the symbol behind it.
    """
    return _register(_activations, names)


def rewrites_of(class_name: str) -> list[Rewrite]:
    """The rewrites of a layer class, in the order in which they are asked."""
    _load()
    return _layers.get(class_name, [])


def operation_rewrites_of(class_name: str) -> list[Rewrite]:
    """The rewrites of an operation, in the order in which they are asked."""
    _load()
    return _operations.get(class_name, [])


def activation_rewrites_of(name: str) -> list[Activation]:
    """The rewrites of an activation, in the order in which they are asked."""
    _load()
    return _activations.get(name, [])


def _register(table: dict[str, list[Any]], names: tuple[str, ...]) -> Callable[[_R], _R]:
    def decorate(function: _R) -> _R:
        for name in names:
            table.setdefault(name, []).append(function)
        return function

    return decorate


@cache
def _load() -> None:
    from pybridge.converters.keras import rewrites

    for module in pkgutil.iter_modules(rewrites.__path__):
        importlib.import_module(f"{rewrites.__name__}.{module.name}")
