"""JavaScript objects in Python's hands: functions, classes, instances, and what is iterated over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from typing import Any, Final, Protocol

from pybridge.errors import DataError
from pybridge.rpc.references import BorrowedObjects

# Names that belong to Python: numpy, copy, pickle and notebooks look for them in whatever they are given.
_PYTHONS: Final = ("__", "_repr_", "_ipython_")


class Caller(Protocol):
    """The connection on which an object lives."""

    def call(self, method: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> Any:
        """Calls a method and waits."""

    def call_async(self, method: str, params: Mapping[str, Any] | None = None) -> Awaitable[Any]:
        """Calls a method within asyncio."""


class JSObject:
    """A JavaScript object that lives in Node.js: a module, function, class, instance, array or any other.

    Its members are Python attributes; ``obj["name"]`` gives those whose names Python uses itself. What is asked of it comes back
    as a value where it is a string, number, boolean, ``null`` or binary array, and as another such object else; `to_python`
    converts. A promise is awaited. Calling a class makes an instance. When Python drops the object, Node.js may free it; when
    Node.js has ended, every use raises `NodeCrashedError`.

    Made by ``node.require``, ``node.import_module`` and ``node.evaluate``.

    Example:
        >>> lodash = node.require("lodash")
        >>> lodash.chunk([1, 2, 3], 2).to_python()
        [[1, 2], [3]]
    """

    __slots__ = ("__weakref__", "_borrowed", "_connection", "_kind", "_name", "_number", "_owner")

    _connection: Caller
    _borrowed: BorrowedObjects
    _number: int
    _kind: str
    _name: str
    _owner: JSObject | None

    def __init__(self, connection: Caller, borrowed: BorrowedObjects, description: Mapping[str, Any]) -> None:
        put = object.__setattr__
        put(self, "_connection", connection)
        put(self, "_borrowed", borrowed)
        put(self, "_number", description["id"])
        put(self, "_kind", str(description.get("kind", "object")))
        put(self, "_name", str(description.get("name", "")))
        put(self, "_owner", None)

    def to_python(self) -> Any:
        """The object's content as Python values; docs/javascript.md has the table.

        Raises:
            RemoteError: Something in it has no counterpart in Python, such as a function; the message says where it is.
        """
        return self._ask("object.value", object=self)

    def new(self, *args: Any) -> JSObject:
        """``new`` of a function that is no ``class``. Calling a class does the same."""
        return self._ask("object.call", object=self, args=list(args), construct=True)  # type: ignore[no-any-return]

    def __call__(self, *args: Any) -> Any:
        """Calls the function, with the object that it was taken from as ``this``; a class makes an instance."""
        return self._ask("object.call", object=self, this=self._owner, args=list(args), construct=self._kind == "class")

    def __getattr__(self, name: str) -> Any:
        if name.startswith(_PYTHONS):
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        found, value = self._ask("object.get", object=self, name=name)
        if not found:
            raise AttributeError(f"{self!r} has no member {name!r}")
        return self._member(value)

    def __setattr__(self, name: str, value: Any) -> None:
        self._ask("object.set", object=self, name=name, value=value)

    def __getitem__(self, key: str | int) -> Any:
        name = key if isinstance(key, str) or key >= 0 else key + len(self)
        found, value = self._ask("object.get", object=self, name=name)
        if not found:
            raise (KeyError if isinstance(key, str) else IndexError)(key)
        return self._member(value)

    def __setitem__(self, key: str | int, value: Any) -> None:
        name = key if isinstance(key, str) or key >= 0 else key + len(self)
        self._ask("object.set", object=self, name=name, value=value)

    def __contains__(self, name: str | int) -> bool:
        return bool(self._ask("object.get", object=self, name=name)[0])

    def __len__(self) -> int:
        size = self._ask("object.size", object=self)
        if size is None:
            raise TypeError(f"{self!r} has neither length nor size")
        return int(size)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        """Over what JavaScript iterates over: arrays, Map, Set, generators, streams, also async ones."""
        return iter(self._ask("object.iterate", object=self))

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._ask("object.names", object=self)})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JSObject) and (other._connection, other._number) == (self._connection, self._number)

    def __hash__(self) -> int:
        return hash((id(self._connection), self._number))

    def __repr__(self) -> str:
        return f"<JavaScript {self._kind}{f' {self._name}' if self._name else ''}>"

    def __del__(self) -> None:
        self._borrowed.let_go(self._number)

    def _ask(self, method: str, **params: Any) -> Any:
        return self._connection.call(method, params)

    def _member(self, value: Any) -> Any:
        if isinstance(value, JSObject) and value._kind == "function":
            object.__setattr__(value, "_owner", self)
        return value

    def _number_in(self, connection: object, where: str) -> int:
        """Its number for a message of a connection.

        Raises:
            DataError: It lives in another process.
        """
        if connection is not self._connection:
            raise DataError(
                f"{where} is {self!r} of another Node.js process, or of one that has ended.",
                hint="Make it anew in the process that shall use it.",
            )
        return self._number

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} lives in a Node.js process and cannot be pickled or copied")


class JSIterator(JSObject):
    """What a generator, an async iterable or a stream of Node.js gives, one item at a time, when Python asks for it.

    For ``for`` and ``async for``. JavaScript is asked for an item when Python wants it, and waits until then: nothing piles up.
    """

    __slots__ = ()

    def __iter__(self) -> JSIterator:
        return self

    def __next__(self) -> Any:
        found, value = self._ask("object.next", object=self)
        if not found:
            raise StopIteration
        return value

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        found, value = await self._connection.call_async("object.next", {"object": self})
        if not found:
            raise StopAsyncIteration
        return value

    def close(self) -> None:
        """Ends it before its end: a generator's ``finally`` runs, a stream is destroyed."""
        self._ask("object.end", object=self)


def object_of(connection: Caller, borrowed: BorrowedObjects, description: Mapping[str, Any]) -> JSObject:
    """What stands for a JavaScript object that Node.js has described."""
    kind = JSIterator if description.get("kind") == "iterator" else JSObject
    return kind(connection, borrowed, description)


def is_model(value: object) -> bool:
    """Whether it is a ``tf.LayersModel`` that JavaScript has made."""
    return isinstance(value, JSObject) and value._kind == "model"
