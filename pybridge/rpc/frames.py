"""Frames on a socket: written as vectors of buffers, read straight into each tensor's own memory."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any, Final

from pybridge.errors import DataError
from pybridge.rpc import tensors
from pybridge.rpc.protocol import HEADER, MAGIC, MAX_JSON_BYTES, MAX_PAYLOAD_BYTES, ProtocolError
from pybridge.rpc.receive_memory import ReceiveMemory
from pybridge.rpc.tensors import Array, Buffer, EncodedTensor

_SCRATCH_BYTES: Final = 64 * 1024
# Linux takes at most 1024 vectors in one sendmsg (IOV_MAX).
_MAX_VECTORS: Final = 1000
# A writer to a dead peer must get an error even where the user has restored SIGPIPE's default action.
_NO_SIGNAL: Final[int] = getattr(socket, "MSG_NOSIGNAL", 0)

# Frames that are parsed whole are too small to share memory.
_SMALL: Final = ReceiveMemory()

_encode_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


@dataclass
class OutgoingFrame:
    """A frame to send: buffers whose concatenation is the frame, and their total length in bytes."""

    buffers: list[Buffer]
    nbytes: int

    def try_send(self, sock: socket.socket) -> bool:
        """Send without waiting; False if the socket had no room. Only for frames that the kernel never splits.

        Raises:
            OSError: The peer is gone.
        """
        try:
            sock.sendmsg(self.buffers, (), socket.MSG_DONTWAIT | _NO_SIGNAL)
        except BlockingIOError:
            return False
        return True

    def send(self, sock: socket.socket) -> None:
        """Send all of it, waiting while the peer is busy; must not run where signal handlers may interrupt it.

        Raises:
            OSError: The peer is gone.
        """
        waiting = list(reversed(self.buffers))
        while waiting:
            batch = waiting[-_MAX_VECTORS:][::-1]
            sent = sock.sendmsg(batch, (), _NO_SIGNAL)
            while waiting and sent >= len(waiting[-1]):
                sent -= len(waiting.pop())
            if sent:
                waiting[-1] = memoryview(waiting[-1])[sent:]


def encode_frame(message: dict[str, Any], parts: list[EncodedTensor]) -> OutgoingFrame:
    """Build the frame of a packed message and its tensors.

    Raises:
        DataError: The message or its tensors are larger than a frame may be.
    """
    if parts:
        message = {**message, "tensors": [part.descriptor for part in parts]}
    text = _encode_json(message).encode()
    payload_bytes = sum(part.descriptor["nbytes"] for part in parts)
    if len(text) > MAX_JSON_BYTES:
        raise DataError(
            f"A message to Node.js has {len(text)} bytes of JSON; at most {MAX_JSON_BYTES} are allowed.",
            hint="Pass numbers as numpy arrays instead of lists.",
        )
    if payload_bytes > MAX_PAYLOAD_BYTES:
        raise DataError(
            f"A message to Node.js carries {payload_bytes} bytes of arrays; at most {MAX_PAYLOAD_BYTES} are allowed.",
            hint="Send the data in several calls.",
        )
    head = HEADER.pack(MAGIC, len(text), payload_bytes) + text
    buffers: list[Buffer] = [head]
    for part in parts:
        buffers.extend(part.buffers)
    return OutgoingFrame(buffers, len(head) + payload_bytes)


@dataclass(frozen=True)
class IncomingFrame:
    """A received message, its tensors, and whether it may hold placeholders."""

    message: dict[str, Any]
    tensors: list[Array]
    has_placeholders: bool


class FrameReader:
    """Reads frames from a blocking socket.

    Small frames cost one system call; the bulk of a large tensor goes straight into the array that the user gets.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._memory = ReceiveMemory()
        self._scratch = memoryview(bytearray(_SCRATCH_BYTES))
        self._start = 0
        self._end = 0

    @property
    def buffered(self) -> bool:
        """Whether bytes were taken from the socket that no frame has used yet."""
        return self._start != self._end

    def read(self) -> IncomingFrame | None:
        """Wait for the next frame; None at the end of the stream.

        Raises:
            ProtocolError: What arrived is no frame; nothing after it can be understood.
            EOFError: The stream ended inside a frame.
            OSError: The socket failed.
        """
        if not self._fill(HEADER.size):
            return None
        json_bytes, payload_bytes = _parse_header(self._scratch, self._start)
        self._start += HEADER.size
        text = self._read_text(json_bytes)
        message = _parse(text)
        descriptors = tensors.check_descriptors(message.get("tensors", []), payload_bytes)
        received = []
        for descriptor in descriptors:
            array, view = tensors.allocate(descriptor, self._memory)
            self._read_into(view)
            received.append(tensors.finish(descriptor, array))
        return IncomingFrame(message, received, '"$' in text)

    def _fill(self, wanted: int) -> bool:
        """Have at least ``wanted`` bytes in the scratch buffer; False if the stream ends before the first of them."""
        available = self._end - self._start
        if available >= wanted:
            return True
        self._scratch[:available] = self._scratch[self._start : self._end]
        self._start, self._end = 0, available
        while self._end < wanted:
            count = self._sock.recv_into(self._scratch[self._end :])
            if count == 0:
                if self._end:
                    raise EOFError("The stream ended inside a frame.")
                return False
            self._end += count
        return True

    def _read_text(self, size: int) -> str:
        if size <= self._end - self._start:
            text = _decode(self._scratch[self._start : self._start + size])
            self._start += size
            return text
        content = bytearray(size)
        self._read_into(memoryview(content))
        return _decode(content)

    def _read_into(self, view: memoryview) -> None:
        buffered = min(len(view), self._end - self._start)
        view[:buffered] = self._scratch[self._start : self._start + buffered]
        self._start += buffered
        while buffered < len(view):
            count = self._sock.recv_into(view[buffered:], 0, socket.MSG_WAITALL)
            if count == 0:
                raise EOFError("The stream ended inside a frame.")
            buffered += count


def parse_whole(content: bytes) -> tuple[IncomingFrame, int] | None:
    """The frame at the beginning of ``content`` and its length; None if not all of it is there.

    Raises:
        ProtocolError: It is no frame.
    """
    if len(content) < HEADER.size:
        return None
    json_bytes, payload_bytes = _parse_header(content, 0)
    position = HEADER.size + json_bytes
    length = position + payload_bytes
    if length > len(content):
        return None
    text = _decode(content[HEADER.size : position])
    message = _parse(text)
    received = []
    for descriptor in tensors.check_descriptors(message.get("tensors", []), payload_bytes):
        array, view = tensors.allocate(descriptor, _SMALL)
        view[:] = content[position : position + len(view)]
        position += len(view)
        received.append(tensors.finish(descriptor, array))
    return IncomingFrame(message, received, '"$' in text), length


def _parse_header(content: bytes | memoryview, start: int) -> tuple[int, int]:
    magic, json_bytes, payload_bytes = HEADER.unpack_from(content, start)
    if magic != MAGIC:
        raise ProtocolError(f"A frame begins with {magic!r} instead of {MAGIC!r}.")
    if json_bytes > MAX_JSON_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise ProtocolError(f"A frame announces {json_bytes} bytes of JSON and {payload_bytes} of tensors; too large.")
    return json_bytes, payload_bytes


def _decode(content: bytes | bytearray | memoryview) -> str:
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"A message is not valid UTF-8: {error}.") from None


def _parse(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"A message is not valid JSON: {error}.") from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise ProtocolError(f"A message is not a JSON-RPC 2.0 object: {text:.80}.")
    return message
