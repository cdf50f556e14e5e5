"""Python values to JSON plus tensors and back; the placeholders are explained in ``protocol``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final, Protocol

import numpy as np

from pybridge.errors import DataError
from pybridge.rpc.protocol import MAX_BIGINT_DIGITS, MAX_DEPTH, MAX_SAFE_INTEGER, ProtocolError
from pybridge.rpc.tensors import Array, EncodedTensor, encode_bytes, encode_tensor

_PLACEHOLDERS: Final = frozenset({"$tensor", "$number", "$bigint", "$date", "$map", "$set", "$object", "$callback", "$literal"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_KEYS: Final = (str, bool, int, float, type(None), datetime, np.generic)
_LARGE: Final = re.compile(r"-?\d{1,30}(\.\d{1,30})?(e\+\d{1,3})?", re.ASCII)
_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "-0": -0.0}


class Arguments(list[Any]):
    """Arguments of a call: each is a value by itself, also where all of them are ``bytes``."""


class References(Protocol):
    """What a connection knows of functions and objects that cross by reference."""

    def lend_function(self, function: Callable[..., Any], where: str) -> int:
        """The number of a Python function that Node.js may call."""

    def object_number(self, value: Any, where: str) -> int | None:
        """The number of a JavaScript object that Python holds; None for all else."""


def pack(value: Any, where: str = "params", references: References | None = None) -> tuple[Any, list[EncodedTensor]]:
    """Split a value into what JSON can say and the tensors beside it.

    Arrays, and whatever offers ``__array__``, become tensors; ``bytes`` a uint8 tensor; a list of only ``bytes`` one
    string tensor; tuples lists; numpy scalars numbers. NaN, infinities and integers of any size arrive as they are. A set
    becomes a Set, a dict with other keys than strings a Map, a datetime with a time zone a Date; with ``references`` a function
    becomes a function.

    Raises:
        DataError: Something in it cannot cross; the message says where.

    Example:
        >>> pack({"x": np.zeros(2, np.int8), "rate": 0.1})[0]
        {'x': {'$tensor': 0}, 'rate': 0.1}
    """
    tensors: list[EncodedTensor] = []
    return _pack(value, where, tensors, references, 0), tensors


def _pack(value: Any, where: str, tensors: list[EncodedTensor], references: References | None, depth: int) -> Any:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        value = int(value)
        return value if abs(value) <= MAX_SAFE_INTEGER else _pack_large(value, where)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$number": _name_of(value)}
    if depth >= MAX_DEPTH:
        raise DataError(f"{where[:80]}... is nested deeper than {MAX_DEPTH} levels, or contains itself.")
    if isinstance(value, Mapping):
        return _pack_mapping(value, where, tensors, references, depth)
    if isinstance(value, (list, tuple)):
        if value and not isinstance(value, Arguments) and all(isinstance(item, bytes) for item in value):
            return _add(encode_bytes(list(value)), tensors)
        return [_pack(item, f"{where}[{index}]", tensors, references, depth + 1) for index, item in enumerate(value)]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _add(encode_tensor(np.frombuffer(value, np.uint8), where), tensors)
    if isinstance(value, np.generic) and value.dtype.kind in "biufUS":
        return _pack(value.item(), where, tensors, references, depth + 1)
    if isinstance(value, (set, frozenset)):
        return {"$set": [_pack_key(item, where, tensors, depth + 2) for item in value]}
    if isinstance(value, datetime):
        return {"$date": _milliseconds(value, where)}
    if references is not None:
        number = references.object_number(value, where)
        if number is not None:
            return {"$object": number}
    if hasattr(value, "__array__"):
        return _add(encode_tensor(value, where), tensors)
    if references is not None and callable(value):
        return {"$callback": references.lend_function(value, where)}
    raise DataError(
        f"{where} is a {type(value).__name__}, which cannot cross to Node.js.",
        hint="Use numbers, strings, bytes, lists, dicts, sets, datetimes, or numpy arrays.",
    )


def _pack_mapping(
    value: Mapping[Any, Any], where: str, tensors: list[EncodedTensor], references: References | None, depth: int
) -> dict[str, Any]:
    if not all(isinstance(key, str) for key in value):
        return {
            "$map": [
                [_pack_key(key, where, tensors, depth + 2), _pack(item, f"{where}[{key!r:.80}]", tensors, references, depth + 2)]
                for key, item in value.items()
            ]
        }
    packed = {key: _pack(item, f"{where}.{key}", tensors, references, depth + 1) for key, item in value.items()}
    if len(packed) == 1 and not _PLACEHOLDERS.isdisjoint(packed):
        return {"$literal": packed}
    return packed


def _pack_key(key: Any, where: str, tensors: list[EncodedTensor], depth: int) -> Any:
    """A key of a Map or an element of a Set; JavaScript finds only primitive ones again."""
    if not isinstance(key, _KEYS):
        raise DataError(
            f"{where} has the key or element {key!r:.80}, a {type(key).__name__}; JavaScript would not find it again.",
            hint="Use strings, numbers, booleans or None.",
        )
    return _pack(key, f"{where}[{key!r:.80}]", tensors, None, depth)


def _milliseconds(value: datetime, where: str) -> int:
    if value.tzinfo is None:
        raise DataError(f"{where} is a datetime without a time zone.", hint="Say which: value.astimezone() takes the local one.")
    if value.microsecond % 1000:
        raise DataError(
            f"{where} is a datetime with microseconds; a Date of JavaScript has milliseconds.",
            hint="Cut it: value.replace(microsecond=value.microsecond // 1000 * 1000).",
        )
    return (value - _EPOCH) // timedelta(milliseconds=1)


def _pack_large(value: int, where: str) -> dict[str, str]:
    # Ten bits hold a little more than three decimal digits; larger numbers would hit Python's own digit limit.
    if value.bit_length() > MAX_BIGINT_DIGITS * 3:
        raise DataError(f"{where} is an integer of {value.bit_length()} bits; that is too large to cross to Node.js.")
    return {"$bigint": str(value)}


def _add(tensor: EncodedTensor, tensors: list[EncodedTensor]) -> dict[str, int]:
    tensors.append(tensor)
    return {"$tensor": len(tensors) - 1}


def _name_of(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def unpack(value: Any, tensors: list[Array], borrow: Callable[[Any], Any] | None = None, depth: int = 0) -> Any:
    """Put tensors and what else JSON lacks back in the place of their placeholders.

    Args:
        value: What `pack` or its mirror has packed.
        tensors: Of its message.
        borrow: Makes what stands for a JavaScript object, from its description.
        depth: How deep the value lies in its message.

    Raises:
        ProtocolError: A placeholder is malformed, or the value is nested too deeply.
        DataError: Keys of a Map or elements of a Set are equal in Python, or cannot be its keys.
    """
    if isinstance(value, list):
        _check_depth(depth)
        return [unpack(item, tensors, borrow, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    _check_depth(depth)
    if len(value) == 1:
        ((key, content),) = value.items()
        if key in _PLACEHOLDERS:
            return _unpack_placeholder(key, content, tensors, borrow, depth)
    return {key: unpack(item, tensors, borrow, depth + 1) for key, item in value.items()}


def _check_depth(depth: int) -> None:
    # A literal adds a level on the wire that its sender did not count.
    if depth > 2 * MAX_DEPTH:
        raise ProtocolError(f"A value is nested deeper than {MAX_DEPTH} levels.")


def _unpack_placeholder(key: str, content: Any, tensors: list[Array], borrow: Callable[[Any], Any] | None, depth: int) -> Any:
    if key == "$tensor" and type(content) is int and 0 <= content < len(tensors):
        return tensors[content]
    if key == "$number" and isinstance(content, str) and content in _NUMBERS:
        return _NUMBERS[content]
    if key == "$number" and isinstance(content, str) and _LARGE.fullmatch(content):
        return float(content)
    if key == "$bigint" and isinstance(content, str) and len(content) <= MAX_BIGINT_DIGITS:
        digits = content.removeprefix("-")
        if digits.isascii() and digits.isdigit():
            return int(content)
    if key == "$literal" and isinstance(content, dict):
        return {name: unpack(item, tensors, borrow, depth + 2) for name, item in content.items()}
    if key == "$date" and isinstance(content, (int, float)) and not isinstance(content, bool):
        return _datetime(content)
    if key == "$set" and isinstance(content, list):
        return set(_unique([(unpack(item, tensors, borrow, depth + 1), None) for item in content], "a Set"))
    if key == "$map" and isinstance(content, list) and all(isinstance(entry, list) and len(entry) == 2 for entry in content):
        return _unique([tuple(unpack(entry, tensors, borrow, depth + 1)) for entry in content], "a Map")
    if key == "$object" and borrow is not None and isinstance(content, dict) and type(content.get("id")) is int:
        return borrow(content)
    raise ProtocolError(f"A message holds the malformed placeholder {key}: {content!r:.80}.")


def _datetime(milliseconds: float) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError):
        raise DataError(f"A Date lies {milliseconds:g} ms from 1970, which is outside of Python's years 1 to 9999.") from None


def _unique(entries: list[Any], what: str) -> dict[Any, Any]:
    """A dict of entries, none of which may take the place of another."""
    found: dict[Any, Any] = {}
    for key, item in entries:
        if not isinstance(key, Hashable) or isinstance(key, tuple):
            raise DataError(f"{what} from JavaScript has the key or element {key!r:.80}, which cannot be one in Python.")
        if key in found:
            raise DataError(f"{what} from JavaScript has keys or elements that are equal in Python: {key!r:.80}.")
        found[key] = item
    return found
