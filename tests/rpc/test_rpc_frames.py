"""The reader of frames takes what the writer writes, and refuses everything else before it allocates."""

from __future__ import annotations

import json
import random
import socket
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

from pybridge.errors import DataError
from pybridge.rpc.frames import FrameReader, IncomingFrame, encode_frame
from pybridge.rpc.protocol import HEADER, MAGIC, ProtocolError
from pybridge.rpc.values import pack


def read_bytes(content: bytes) -> list[IncomingFrame]:
    """All frames of a stream that holds these bytes and then ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = threading.Thread(target=lambda: (theirs.sendall(content), theirs.shutdown(socket.SHUT_WR)))
        writer.start()
        try:
            reader = FrameReader(ours)
            return list(iter(reader.read, None))
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            writer.join()


def frame(message: Any, payload: bytes = b"") -> bytes:
    text = json.dumps(message).encode()
    return HEADER.pack(MAGIC, len(text), len(payload)) + text + payload


def with_tensor(dtype: Any, shape: Any, nbytes: Any, payload: bytes) -> bytes:
    return frame({"jsonrpc": "2.0", "tensors": [{"dtype": dtype, "shape": shape, "nbytes": nbytes}]}, payload)


def test_a_written_frame_reads_back() -> None:
    array = np.arange(100_000, dtype=np.float64)
    packed, tensors = pack({"x": array, "note": "ü\ud800"})
    sent = encode_frame({"jsonrpc": "2.0", "params": packed}, tensors)
    (received,) = read_bytes(b"".join(bytes(buffer) for buffer in sent.buffers))
    np.testing.assert_array_equal(received.tensors[0], array)
    assert received.message["params"]["note"] == "ü\ud800"


def test_frames_that_arrive_together_are_told_apart() -> None:
    frames = read_bytes(b"".join(frame({"jsonrpc": "2.0", "id": number}) for number in range(5000)))
    assert [received.message["id"] for received in frames] == list(range(5000))


def test_a_contiguous_array_is_sent_from_its_own_memory() -> None:
    array = np.zeros(1000, np.float32)
    _, (tensor,) = pack(array)
    array[0] = 1
    assert bytes(tensor.buffers[0][:4]) == np.float32(1).tobytes()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "begins with"),
        (HEADER.pack(MAGIC, 2**32 - 1, 0), "too large"),
        (HEADER.pack(MAGIC, 2, 2**64 - 1), "too large"),
        (HEADER.pack(MAGIC, 3, 0) + b"\xff\xfe\xfd", "UTF-8"),
        (HEADER.pack(MAGIC, 3, 0) + b"{{{", "JSON"),
        (HEADER.pack(MAGIC, 200_000, 0) + b"[" * 200_000, "JSON"),
        (frame([1]), "JSON-RPC"),
        (frame({"jsonrpc": "1.0"}), "JSON-RPC"),
        (frame({"jsonrpc": "2.0"}, b"abc"), "0 bytes"),
        (frame({"jsonrpc": "2.0", "tensors": {}}), "list"),
        (frame({"jsonrpc": "2.0", "tensors": [3]}), "not an object"),
        (with_tensor("float31", [1], 4, b"abcd"), "unknown dtype"),
        (with_tensor(["float32"], [1], 4, b"abcd"), "unknown dtype"),
        (with_tensor("float32", [2], 4, b"abcd"), "cannot have 4"),
        (with_tensor("float32", [-1], 4, b"abcd"), "invalid shape"),
        (with_tensor("float32", [1.0], 4, b"abcd"), "invalid shape"),
        (with_tensor("float32", [True], 4, b"abcd"), "invalid shape"),
        (with_tensor("float32", [0, 2**33, 2**33], 0, b""), "too large"),
        (with_tensor("float32", [1] * 33, 4, b"abcd"), "no valid shape"),
        (with_tensor("string", [2], 16, b"\0" * 16), "cannot fit"),
        (with_tensor("string", [1], 17, b"\1" + b"\0" * 16), "damaged"),
        (with_tensor("string", [2], 24, b"\0" * 8 + b"\xff" * 8 + b"\0" * 8), "damaged"),
    ],
)
def test_what_is_no_frame_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        read_bytes(content)


def test_a_stream_that_ends_inside_a_frame_is_told_from_a_plain_end() -> None:
    assert read_bytes(b"") == []
    for length in (1, 15, 16, 20):
        with pytest.raises(EOFError):
            read_bytes(frame({"jsonrpc": "2.0"})[:length])


def test_random_bytes_neither_hang_nor_allocate() -> None:
    chance = random.Random(1)
    valid = with_tensor("float32", [2, 2], 16, b"0123456789abcdef")
    tracemalloc.start()
    try:
        for _ in range(1500):
            content = bytearray(valid)
            # The length fields stay, or nearly every mutation would end at them.
            for _ in range(chance.randint(1, 4)):
                content[chance.choice([*range(4), *range(16, len(content))])] = chance.randrange(256)
            try:
                read_bytes(bytes(content[: chance.randint(1, len(content))]))
            except (ProtocolError, EOFError):
                continue
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_a_message_of_too_much_json_is_refused_before_it_is_sent() -> None:
    with pytest.raises(DataError, match="numpy arrays instead of lists"):
        encode_frame({"params": "x" * (64 * 2**20)}, [])


def test_more_than_eight_gibibytes_are_refused_before_they_are_sent() -> None:
    one = pack(np.broadcast_to(np.int8(1), 1))[1][0]
    one.descriptor["nbytes"] = 9 * 2**30
    with pytest.raises(DataError, match="several calls"):
        encode_frame({}, [one])
