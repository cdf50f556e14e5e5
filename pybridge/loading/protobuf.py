"""Reads the wire format of protocol buffers: just enough to look into a SavedModel without TensorFlow.

The format: https://protobuf.dev/programming-guides/encoding/. A message is a sequence of fields; each begins with a number that
holds the field's number and its wire type.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(message: memoryview) -> Iterator[tuple[int, int | bytes | memoryview]]:
    """Walk the fields of a message, without copying.

    Only canonical numbers are read. Parsers differ in what they make of others (bits beyond the 32nd of a key, say), and a
    check would then see another message than TensorFlow does.

    Args:
        message: Its bytes.

    Yields:
        The field's number, and its value: an int where it is a varint, a view of the bytes where it has a length, and
        ``bytes`` where it is a fixed32 or fixed64.

    Raises:
        ValueError: The bytes are no message, or one that no writer of protocol buffers leaves.

    Example:
        >>> [(number, value) for number, value in fields(memoryview(bytes([0x08, 0x96, 0x01])))]
        [(1, 150)]
    """
    position, end = 0, len(message)
    while position < end:
        key = message[position]
        if key < 0x80:
            position += 1
        else:
            key, position = _varint(message, position, 32)
        if key < 8:
            raise ValueError(f"byte {position}: a field with the number 0")
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(message, position, 64)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, position = _varint(message, position, 31)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"byte {position}: wire type {kind}")
        if position + size > end:
            raise ValueError(f"byte {position}: {size} bytes announced, {end - position} left")
        found = message[position : position + size]
        yield key >> 3, found if kind == _BYTES else bytes(found)
        position += size


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """Those fields of a message that have one number and a length.

    Raises:
        ValueError: The bytes are no message.
    """
    for found, value in fields(message):
        if found == number and isinstance(value, memoryview):
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


def merged(message: memoryview, number: int) -> memoryview:
    """The one message with that number. Where a field is written several times, parsers merge them, as this does.

    Raises:
        ValueError: The bytes are no message.
    """
    found = list(messages(message, number))
    return found[0] if len(found) == 1 else memoryview(b"".join(found))


def _varint(message: memoryview, position: int, bits: int) -> tuple[int, int]:
    value = shift = 0
    start = position
    while shift < bits:
        if position >= len(message):
            raise ValueError(f"byte {position}: the data end inside a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> bits or (not byte and shift):
                raise ValueError(f"byte {start}: a number that is longer than it need be")
            return value, position
        shift += 7
    raise ValueError(f"byte {start}: a number of more than {bits} bits")
