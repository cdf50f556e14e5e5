"""The protocol between Python and the Node runner, as types. ``node_runner/rpc/protocol.js`` is its mirror.

Both sides exchange frames over one stream socket. A frame is::

    offset  size  content
    0       4     magic, the bytes "PYB1"
    4       4     J, length of the JSON text in bytes, unsigned little-endian, at most 64 MiB
    8       8     P, length of the payload in bytes, unsigned little-endian, at most 8 GiB
    16      J     a JSON-RPC 2.0 message in UTF-8
    16+J    P     the message's tensors back to back, in the order of its member ``tensors``

A tensor is little-endian and in C order. A string tensor of n elements is n+1 unsigned 64-bit offsets, counted from the
end of the offsets, then the bytes of all elements. In params, results and progress values these objects stand for what
JSON lacks::

    {"$tensor": 3}              the message's tensor number 3
    {"$number": "NaN"}          NaN, Infinity, -Infinity or -0; from Node also a whole double beyond 2^53
    {"$bigint": "9007199254740993"}   an integer that a double cannot hold
    {"$date": 1700000000000}    a Date, in milliseconds from 1970
    {"$map": [[key, value]]}    a Map
    {"$set": [...]}             a Set
    {"$object": ...}            a JavaScript object that Python holds: from Node its id, kind and name, from Python its id
    {"$callback": 7}            a Python function, only from Python
    {"$literal": {...}}         a user's own object that looks like one of these

Node speaks first with the notification ``hello``; then Python sends requests, and Node answers each exactly once, in
any order. Answers to calls that Python has cancelled may come and are dropped. Node asks with ``$/callback`` for a call of a
Python function, with ids of its own that only grow; Python answers each once, in any order.

Both sides count how often an object or a function has crossed. ``$/release`` (to Node) and ``$/released`` (to Python) give
back so many crossings as the other side has let go; at none it is forgotten.
"""

from __future__ import annotations

import struct
from typing import Any, Final, TypedDict

from pybridge.errors import BridgeError

PROTOCOL_VERSION: Final = 2
MAGIC: Final = b"PYB1"
HEADER: Final = struct.Struct("<4sIQ")
MAX_JSON_BYTES: Final = 64 * 2**20
MAX_PAYLOAD_BYTES: Final = 8 * 2**30
MAX_DEPTH: Final = 200
MAX_TENSOR_RANK: Final = 32
MAX_BIGINT_DIGITS: Final = 4000
MAX_SAFE_INTEGER: Final = 2**53 - 1

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
JAVASCRIPT_ERROR: Final = -32000
PYTHON_ERROR: Final = -32001
CANCELLED: Final = -32800

PROTOCOL_EXIT_CODE: Final = 70


class TensorDescriptor(TypedDict):
    """One tensor of a frame: its element type, shape, and bytes in the payload."""

    dtype: str
    shape: list[int]
    nbytes: int


class ErrorData(TypedDict, total=False):
    """What a JavaScript error carries beside its message.

    ``properties`` are its own members, such as ``code``; ``cause`` is the error that it came from;
    ``python`` the number of the exception of a Python function that it came from.
    """

    name: str
    stack: str
    hint: str
    properties: dict[str, Any]
    cause: ErrorObject
    python: int


class ErrorObject(TypedDict, total=False):
    """The member ``error`` of an answer."""

    code: int
    message: str
    data: ErrorData


class Hello(TypedDict):
    """Params of the notification ``hello``, Node's first frame."""

    protocol: int
    pid: int
    nodeVersion: str


class CancelParams(TypedDict):
    """Params of the notification ``$/cancel``: Python no longer waits for that answer."""

    id: int


class ProgressParams(TypedDict):
    """Params of the notification ``$/progress``: a value from a call that is still running."""

    id: int
    value: Any


class ReleaseParams(TypedDict):
    """Params of the notification ``$/release``: JavaScript objects that Python has let go, each with the number of crossings."""

    objects: list[tuple[int, int]]


class CallbackParams(TypedDict):
    """Params of Node's request ``$/callback``."""

    callback: int
    args: list[Any]


class ReleasedParams(TypedDict):
    """Params of the notification ``$/released``: Python functions that Node has let go; ``serial`` counts like an id."""

    callbacks: list[tuple[int, int]]
    serial: int


class Message(TypedDict, total=False):
    """A JSON-RPC 2.0 request, notification or answer, with the descriptors of its tensors."""

    jsonrpc: str
    id: int | None
    method: str
    params: Any
    result: Any
    error: ErrorObject
    tensors: list[TensorDescriptor]


class ProtocolError(BridgeError):
    """The other side sent something that is no frame of this protocol."""
