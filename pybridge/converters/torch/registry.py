"""Where the conversions of PyTorch's operations are registered, and what each of them is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pybridge.converters.building.builder import Builder

Handler = Callable[..., Any]
_Function = TypeVar("_Function", bound=Handler)

HANDLERS: dict[str, Handler] = {}
"""By the operation's name in ATen, without overload. Arguments are ATen's, tensors are operands of the builder."""


@dataclass(frozen=True)
class Place:
    """Where an operation stands.

    Attributes:
        builder: What layers are added to.
        name: The name wished for its layer.
        module: The innermost torch.nn.Module that the operation belongs to.
        shape: The shape of its first result, by PyTorch's own reckoning.
    """

    builder: Builder
    name: str
    module: Any
    shape: tuple[int, ...]


def handles(*names: str) -> Callable[[_Function], _Function]:
    """Register a function for operations of ATen, by their names without overload."""

    def register(function: _Function) -> _Function:
        HANDLERS.update(dict.fromkeys(names, function))
        return function

    return register


def bound(function: Handler, *first: Any) -> Handler:
    """Give a function its first arguments."""
    return lambda *arguments, **named: function(*first, *arguments, **named)


def several(given: Any, count: int) -> list[int]:
    """Complete an argument that may be one number for all axes."""
    values = [given] if isinstance(given, int) else list(given)
    return values * count if len(values) == 1 else values
