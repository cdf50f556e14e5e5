"""What the runner's own side of the pipe does with bytes that Python would never send."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pybridge.rpc.frames import FrameReader
from pybridge.rpc.protocol import HEADER, MAGIC, PROTOCOL_VERSION

MAIN_JS = Path(__file__).resolve().parents[2] / "node_runner" / "main.js"


class RawNode:
    """The runner's program with a bare socket."""

    def __init__(self, node: Path) -> None:
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(20)
        read, self.lifeline = os.pipe()
        self.child = subprocess.Popen(
            [node, MAIN_JS, str(theirs.fileno()), str(read)], pass_fds=(theirs.fileno(), read), stderr=subprocess.PIPE
        )
        theirs.close()
        os.close(read)
        self.reader = FrameReader(self.sock)
        self.hello = self.answer()

    def send(self, message: Any, payload: bytes = b"", *, announce: int | None = None) -> None:
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.sock.sendall(HEADER.pack(MAGIC, len(text), len(payload) if announce is None else announce) + text + payload)

    def answer(self) -> dict[str, Any]:
        frame = self.reader.read()
        assert frame is not None
        return frame.message

    def close(self) -> None:
        self.sock.close()
        os.close(self.lifeline)
        self.child.communicate(timeout=20)


@pytest.fixture
def raw(node: Path) -> Iterator[RawNode]:
    started = RawNode(node)
    yield started
    started.close()


def echo(call_id: int, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call_id, "method": "echo", "params": {"value": call_id}, **more}


def test_it_says_hello_first(raw: RawNode) -> None:
    assert raw.hello["method"] == "hello"
    assert raw.hello["params"]["protocol"] == PROTOCOL_VERSION
    assert raw.hello["params"]["pid"] == raw.child.pid


@pytest.mark.parametrize(
    ("message", "payload", "code", "call_id"),
    [
        (b"not json", b"", -32700, None),
        (b"", b"", -32700, None),
        (b"\xff\xff", b"x" * 100_000, -32700, None),
        (b"[1, 2]", b"", -32600, None),
        (b"null", b"", -32600, None),
        ({"jsonrpc": "1.0", "id": 4, "method": "echo"}, b"", -32600, 4),
        ({"jsonrpc": "2.0", "id": 4}, b"", -32600, 4),
        ({"jsonrpc": "2.0", "id": "x", "method": "echo"}, b"", -32600, None),
        (echo(5), b"unannounced", -32600, 5),
        (echo(6, tensors=[{"dtype": "float99", "shape": [], "nbytes": 3}]), b"abc", -32600, 6),
        (echo(6, tensors=[{"dtype": "int8", "shape": [4], "nbytes": 3}]), b"abc", -32600, 6),
        (echo(6, tensors=[{"dtype": "int8", "shape": [-3], "nbytes": 3}]), b"abc", -32600, 6),
        (echo(6, tensors=[{"dtype": "int8", "shape": [0, 1e300], "nbytes": 0}]), b"", -32600, 6),
        (echo(6, tensors=[{"dtype": "__proto__", "shape": [], "nbytes": 0}]), b"", -32600, 6),
        (echo(6, tensors=[None]), b"", -32600, 6),
        (echo(7, tensors=[{"dtype": "string", "shape": [1], "nbytes": 17}]), b"\1" * 17, -32600, 7),
        (echo(8, params={"value": {"$tensor": 0}}), b"", -32602, 8),
        (echo(8, params={"value": {"$bigint": "1; evil()"}}), b"", -32602, 8),
    ],
)
def test_a_bad_message_is_answered_and_the_next_one_works(
    raw: RawNode, message: Any, payload: bytes, code: int, call_id: int | None
) -> None:
    raw.send(message, payload)
    raw.send(echo(99))
    answer = raw.answer()
    assert (answer["error"]["code"], answer["id"]) == (code, call_id)
    assert raw.answer()["result"] == 99


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "magic"),
        (HEADER.pack(MAGIC, 2**32 - 1, 0), "too large"),
        (HEADER.pack(MAGIC, 2, 2**63), "too large"),
    ],
)
def test_what_is_no_frame_ends_the_process_with_a_reason(raw: RawNode, content: bytes, says: str) -> None:
    raw.sock.sendall(content)
    _, stderr = raw.child.communicate(timeout=20)
    assert raw.child.returncode == 70
    assert says in stderr.decode()


def test_frames_may_come_in_any_pieces(raw: RawNode) -> None:
    chance = random.Random(3)
    payload = bytes(range(256)) * 300
    descriptor = {"dtype": "uint8", "shape": [len(payload)], "nbytes": len(payload)}
    text = json.dumps(echo(1, params={"value": {"$tensor": 0}}, tensors=[descriptor])).encode()
    stream = (HEADER.pack(MAGIC, len(text), len(payload)) + text + payload) * 20
    position = 0
    received = 0
    while received < 20:
        size = chance.choice([1, 7, 100, 16_000, 70_000])
        raw.sock.sendall(stream[position : position + size])
        position += size
        if position >= len(stream) or position // (len(stream) // 20) > received:
            frame = raw.reader.read()
            assert frame is not None
            assert frame.tensors[0].tobytes() == payload
            received += 1


def test_a_cancel_of_an_unknown_call_is_ignored(raw: RawNode) -> None:
    raw.send({"jsonrpc": "2.0", "method": "$/cancel", "params": {"id": 12345}})
    raw.send({"jsonrpc": "2.0", "method": "$/cancel"})
    raw.send(echo(1))
    assert raw.answer()["result"] == 1


def test_it_leaves_when_the_socket_ends(raw: RawNode) -> None:
    raw.sock.shutdown(socket.SHUT_WR)
    assert raw.child.wait(20) == 0


def test_started_by_hand_it_says_who_starts_it(node: Path) -> None:
    done = subprocess.run([node, MAIN_JS], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 64
    assert "started by the Python package" in done.stderr
