"""Python values to JSON plus tensors and back; the placeholders are explained in ``protocol``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pybridge.errors import DataError
from pybridge.rpc.protocol import MAX_BIGINT_DIGITS, MAX_DEPTH, MAX_SAFE_INTEGER, ProtocolError
from pybridge.rpc.tensors import Array, EncodedTensor, encode_bytes, encode_tensor

_PLACEHOLDERS: Final = frozenset({"$tensor", "$number", "$bigint", "$literal"})
_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "-0": -0.0}


class Arguments(list[Any]):
    """Arguments of a call: each is a value by itself, also where all of them are ``bytes``."""


def pack(value: Any, where: str = "params") -> tuple[Any, list[EncodedTensor]]:
    """Split a value into what JSON can say and the tensors beside it.

    Arrays, and whatever offers ``__array__``, become tensors; ``bytes`` a uint8 tensor; a list of only ``bytes`` one
    string tensor; tuples lists; numpy scalars numbers. NaN, infinities and integers of any size arrive as they are.

    Raises:
        DataError: Something in it cannot cross; the message says where.

    Example:
        >>> pack({"x": np.zeros(2, np.int8), "rate": 0.1})[0]
        {'x': {'$tensor': 0}, 'rate': 0.1}
    """
    tensors: list[EncodedTensor] = []
    return _pack(value, where, tensors, 0), tensors


def _pack(value: Any, where: str, tensors: list[EncodedTensor], depth: int) -> Any:
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
        return _pack_mapping(value, where, tensors, depth)
    if isinstance(value, (list, tuple)):
        if value and not isinstance(value, Arguments) and all(isinstance(item, bytes) for item in value):
            return _add(encode_bytes(list(value)), tensors)
        return [_pack(item, f"{where}[{index}]", tensors, depth + 1) for index, item in enumerate(value)]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _add(encode_tensor(np.frombuffer(value, np.uint8), where), tensors)
    if isinstance(value, np.generic) and value.dtype.kind in "biufUS":
        return _pack(value.item(), where, tensors, depth + 1)
    if hasattr(value, "__array__"):
        return _add(encode_tensor(value, where), tensors)
    raise DataError(
        f"{where} is a {type(value).__name__}, which cannot cross to Node.js.",
        hint="Use numbers, strings, bytes, lists, dicts with string keys, or numpy arrays.",
    )


def _pack_mapping(value: Mapping[Any, Any], where: str, tensors: list[EncodedTensor], depth: int) -> dict[str, Any]:
    packed: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise DataError(f"{where} has the key {key!r:.80}; only strings can be keys in JavaScript.")
        packed[key] = _pack(item, f"{where}.{key}", tensors, depth + 1)
    if len(packed) == 1 and not _PLACEHOLDERS.isdisjoint(packed):
        return {"$literal": packed}
    return packed


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


def unpack(value: Any, tensors: list[Array], depth: int = 0) -> Any:
    """Put tensors and special numbers back in the place of their placeholders.

    Raises:
        ProtocolError: A placeholder is malformed, or the value is nested too deeply.
    """
    if isinstance(value, list):
        _check_depth(depth)
        return [unpack(item, tensors, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    _check_depth(depth)
    if len(value) == 1:
        ((key, content),) = value.items()
        if key in _PLACEHOLDERS:
            return _unpack_placeholder(key, content, tensors, depth)
    return {key: unpack(item, tensors, depth + 1) for key, item in value.items()}


def _check_depth(depth: int) -> None:
    # A literal adds a level on the wire that its sender did not count.
    if depth > 2 * MAX_DEPTH:
        raise ProtocolError(f"A value is nested deeper than {MAX_DEPTH} levels.")


def _unpack_placeholder(key: str, content: Any, tensors: list[Array], depth: int) -> Any:
    if key == "$tensor" and type(content) is int and 0 <= content < len(tensors):
        return tensors[content]
    if key == "$number" and isinstance(content, str) and content in _NUMBERS:
        return _NUMBERS[content]
    if key == "$bigint" and isinstance(content, str) and len(content) <= MAX_BIGINT_DIGITS:
        digits = content.removeprefix("-")
        if digits.isascii() and digits.isdigit():
            return int(content)
    if key == "$literal" and isinstance(content, dict):
        return {name: unpack(item, tensors, depth + 2) for name, item in content.items()}
    raise ProtocolError(f"A message holds the malformed placeholder {key}: {content!r:.80}.")
