"""Reads the wire format of protocol buffers: just enough to look into a SavedModel without TensorFlow.

The format: https://protobuf.dev/programming-guides/encoding/. A message is a sequence of fields; each begins with a number that
holds the field's number and its wire type.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Walk the fields of a message, without copying.

    Args:
        message: Its bytes.

    Yields:
        The field's number, and its value: an int where it is a varint, else the bytes.

    Raises:
        ValueError: The bytes are no message.

    Example:
        >>> [(number, value) for number, value in fields(memoryview(bytes([0x08, 0x96, 0x01])))]
        [(1, 150)]
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, position = _varint(message, position)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"byte {position}: wire type {kind}")
        if position + size > len(message):
            raise ValueError(f"byte {position}: {size} bytes announced, {len(message) - position} left")
        yield key >> 3, message[position : position + size]
        position += size


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """Those fields of a message that have one number and hold bytes.

    Raises:
        ValueError: The bytes are no message.
    """
    for found, value in fields(message):
        if found == number and not isinstance(value, int):
            yield value


def text(message: memoryview, number: int) -> str:
    """The last string with that number; empty where there is none.

    Raises:
        ValueError: The bytes are no message, or the string no UTF-8.
    """
    last = b""
    for value in messages(message, number):
        last = bytes(value)
    return last.decode("utf-8")


def integer(message: memoryview, number: int) -> int:
    """The last varint with that number as a signed 64-bit number; 0 where there is none.

    Raises:
        ValueError: The bytes are no message.
    """
    last = 0
    for found, value in fields(message):
        if found == number and isinstance(value, int):
            last = value
    return last - 2**64 if last >= 2**63 else last


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if position >= len(message):
            raise ValueError(f"byte {position}: the data end inside a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), position
        shift += 7
    raise ValueError(f"byte {position}: a number of more than ten bytes")
