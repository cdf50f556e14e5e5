"""The one way in which code says what it converts: a table by name, filled by decorators that stand above the functions."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pybridge.errors import BridgeError

Handler = TypeVar("Handler", bound=Callable[..., Any])
_Function = TypeVar("_Function", bound=Callable[..., Any])


class DuplicateHandlerError(BridgeError):
    """Two functions want to be asked for the same name at the same time."""


@dataclass(frozen=True)
class Entry(Generic[Handler]):
    """One handler under one name.

    Attributes:
        name: What it converts, such as ``"Conv"``.
        handler: The function.
        priority: Of several handlers of a name the one with the highest is asked first.
        since: The first version of the operation that it means.
        until: The last version, or None where it holds for all later ones.
        place: Where it stands, as ``package.module:line (function)``.
        summary: The first line of its docstring, or an empty text.
    """

    name: str
    handler: Handler
    priority: int
    since: int
    until: int | None
    place: str
    summary: str

    def holds(self, version: int | None) -> bool:
        """Whether it means this version; None stands for any."""
        return version is None or (self.since <= version and (self.until is None or version <= self.until))

    def collides(self, other: Entry[Handler]) -> bool:
        """Whether nothing says which of the two would be asked first."""
        apart = (self.until is not None and self.until < other.since) or (other.until is not None and other.until < self.since)
        return self.name == other.name and self.priority == other.priority and not apart


class Registry(Generic[Handler]):
    """Handlers by the names of what they convert.

    The order in which modules are imported means nothing: of several handlers of a name the priority decides, and two of the same
    priority are refused.

    Args:
        kind: What the names are, for errors and lists, such as ``"operation of ONNX"``.
        aliases: Other names for the same things, each with the name that it stands for.

    Example:
        >>> OPERATIONS: Registry[Callable[[float], float]] = Registry("operation", aliases={"Halve": "Half"})
        >>> @OPERATIONS.handles("Half")
        ... def half(x: float) -> float:
        ...     return x / 2
        >>> OPERATIONS.find("Halve")(3)
        1.5
    """

    def __init__(self, kind: str, *, aliases: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.aliases: Mapping[str, str] = dict(aliases or {})
        self._entries: dict[str, list[Entry[Handler]]] = {}

    def handles(
        self, *names: str, priority: int = 0, since: int = 1, until: int | None = None
    ) -> Callable[[_Function], _Function]:
        """Declare, as a decorator, what a function converts.

        Args:
            *names: One or several.
            priority: Where several functions know a name, the one with the highest is asked first.
            since: The first version of the operation that the function means.
            until: The last version; by default it means all later ones as well.

        Raises:
            DuplicateHandlerError: Another function has one of the names, with the same priority and for some of the same
                versions, or the name is an alias. Nothing is registered then.
        """

        def declare(function: _Function) -> _Function:
            # The type of the function itself is kept for those who call it by its name.
            handler = cast("Handler", function)
            summary = (function.__doc__ or "").strip().partition("\n")[0]
            entries = [Entry(name, handler, priority, since, until, _place_of(function), summary) for name in names]
            for number, entry in enumerate(entries):
                self._check(entry, entries[:number])
            for entry in entries:
                listed = self._entries.setdefault(entry.name, [])
                listed.append(entry)
                listed.sort(key=lambda one: (-one.priority, one.since))
            return function

        return declare

    def handlers(self, name: str, version: int | None = None) -> list[Handler]:
        """All handlers of a name or alias, in the order in which they are to be asked.

        Args:
            name: Such as ``"Conv"``.
            version: Only those that mean this version.
        """
        known = self._entries.get(self.aliases.get(name, name), [])
        return [entry.handler for entry in known if entry.holds(version)]

    def find(self, name: str, version: int | None = None) -> Handler | None:
        """The handler that is to be asked first, or None."""
        return next(iter(self.handlers(name, version)), None)

    def entries(self) -> list[Entry[Handler]]:
        """Everything that is known, by name and then in the order of asking."""
        return [entry for name in sorted(self._entries) for entry in self._entries[name]]

    def __str__(self) -> str:
        """A line for each entry: the name, for which versions and with which priority, and where the function stands."""
        lines = []
        for entry in self.entries():
            versions = f"{entry.since}-{entry.until or ''}" if (entry.since, entry.until) != (1, None) else ""
            priority = f"priority {entry.priority}" if entry.priority else ""
            lines.append(f"{entry.name:<32} {' '.join(filter(None, (versions, priority))):<12} {entry.place}")
        return "\n".join([*lines, *(f"{alias:<32} as {name}" for alias, name in sorted(self.aliases.items()))])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.aliases.get(name, name) in self._entries

    def _check(self, entry: Entry[Handler], before: Iterable[Entry[Handler]]) -> None:
        if entry.name in self.aliases:
            raise DuplicateHandlerError(
                f"the {self.kind} {entry.name!r} of {entry.place} is an alias of {self.aliases[entry.name]!r}",
                hint="Declare the function for that name, or take the alias out of the registry.",
            )
        for known in (*self._entries.get(entry.name, []), *before):
            if entry.collides(known):
                raise DuplicateHandlerError(
                    f"the {self.kind} {entry.name!r} has two handlers: {known.place} and {entry.place}",
                    hint="Remove one, or say which is asked first (priority=) or which versions each means (since=, until=).",
                )


def import_all(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, so that what they declare is known.

    Args:
        package: Its ``__name__``.
        path: Its ``__path__``.
    """
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")


def _place_of(handler: Callable[..., Any]) -> str:
    code = getattr(handler, "__code__", None)
    line = f":{code.co_firstlineno}" if code is not None else ""
    return f"{handler.__module__}{line} ({getattr(handler, '__qualname__', repr(handler))})"
