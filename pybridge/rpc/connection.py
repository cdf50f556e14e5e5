"""One connection: matches answers to calls, for any number of threads, and survives whatever interrupts a caller."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import select
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from pybridge.errors import BridgeError, CallTimeoutError, DataError, RemoteError
from pybridge.rpc import protocol
from pybridge.rpc.frames import FrameReader, IncomingFrame, OutgoingFrame, encode_frame, parse_whole
from pybridge.rpc.javascript import JSObject, object_of
from pybridge.rpc.pending import AsyncCall, PendingCall, checked_timeout
from pybridge.rpc.protocol import ProtocolError
from pybridge.rpc.references import BorrowedObjects, CallbackThreads, LentFunctions
from pybridge.rpc.values import pack, unpack

_log = logging.getLogger("pybridge.rpc")

# Linux queues up to this much as one unit: all of it, or nothing. A frame of this size can therefore be sent by a
# thread that Ctrl-C may interrupt at any instruction. (unix_stream_sendmsg splits at SKB_MAX_ALLOC, 16 KiB less its
# bookkeeping.)
_WHOLE_FRAME_BYTES: Final = 12 * 1024

# The most that a waiting caller looks at; longer frames are left to the reader thread.
_PEEK_BYTES: Final = 16 * 1024
# poll() takes a C int; the reader thread serves those who wait longer.
_MAX_POLL_MS: Final = 2**31 - 1
_MAX_CAUSES: Final = 10
_STAY_AWAKE_SECONDS: Final = 150e-6

_open_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


class Connection:
    """Calls over one socket.

    Sending: small frames leave from the calling thread; the others, and those that find the socket full, from a writer
    thread, so that an interrupted caller never leaves half a frame behind.

    Receiving: at most one thread reads, the one that holds ``_reading``. A waiting caller takes it if it is free, which
    saves a change of threads (a quarter of a small call's time). It only peeks, delivers what it saw, and then consumes:
    whenever Ctrl-C strikes, a frame is delivered at least once, and a second delivery finds no pending call. Whatever is not
    a small whole frame, such as a large tensor or the end, and the calls of other threads when it leaves, it hands to the
    reader thread, which serves until no call is pending.

    Args:
        sock: This side's end; the connection owns it.
        describe_end: Called once, in the reader thread, when the other side is gone, with what was wrong with its last
            frame, or None at a plain end. It answers with a function that makes the error for one pending call.
    """

    def __init__(self, sock: socket.socket, describe_end: Callable[[ProtocolError | None], Callable[[], BridgeError]]) -> None:
        self._sock = sock
        self._describe_end = describe_end
        self._owner_pid = os.getpid()
        self._ids = itertools.count(1)
        self._pending: dict[int, PendingCall] = {}
        self._make_loss: Callable[[], BridgeError] | None = None
        self._loss_was_told = False
        self._hello: queue.SimpleQueue[IncomingFrame | None] = queue.SimpleQueue()
        self._send_lock = threading.Lock()
        self._lent = LentFunctions()
        self._borrowed = BorrowedObjects()
        self._callback_threads = CallbackThreads()
        self._last_serial = 0
        self._outbox: deque[tuple[OutgoingFrame, PendingCall | None]] = deque()
        self._outbox_ticket: queue.SimpleQueue[bool] = queue.SimpleQueue()
        # Re-entrant, because only its owner can release such a lock: cleaning up twice does no harm.
        self._reading = threading.RLock()
        self._reader_ticket: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._reader_serves = False
        self._wake_read, self._wake_write = self._wake_descriptors = list(os.pipe())
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)
        self._threads = [
            threading.Thread(target=self._read_frames, name="pybridge-reader", daemon=True),
            threading.Thread(target=self._write_frames, name="pybridge-writer", daemon=True),
        ]
        _open_connections.add(self)
        for thread in self._threads:
            thread.start()

    @property
    def usable(self) -> bool:
        """Whether calls can be sent: the other side has not been seen to end."""
        return self._make_loss is None

    @property
    def loss_was_told(self) -> bool:
        """Whether a call has failed because the other side is gone."""
        return self._loss_was_told

    def wait_for_hello(self, timeout: float) -> protocol.Hello | None:
        """Wait for the other side's greeting; None if it ended first.

        Raises:
            CallTimeoutError: It did not come in ``timeout`` seconds.
            ProtocolError: The first frame was another one.
        """
        try:
            frame = self._hello.get(timeout=checked_timeout(timeout))
        except queue.Empty:
            raise CallTimeoutError(f"Node.js did not say hello within {timeout:g} s.") from None
        if frame is None:
            return None
        params = frame.message.get("params")
        if frame.message.get("method") != "hello" or not isinstance(params, dict):
            raise ProtocolError(f"The first message from Node.js was {frame.message!r:.80} instead of hello.")
        return protocol.Hello(
            protocol=params.get("protocol", 0), pid=params.get("pid", 0), nodeVersion=str(params.get("nodeVersion"))
        )

    def loss(self) -> BridgeError | None:
        """Wait until the reader has seen the end of the connection, and say why it ended."""
        self._threads[0].join()
        return self._make_loss() if self._make_loss else None

    def submit(self, method: str, params: Mapping[str, Any] | None = None) -> PendingCall:
        """Send a call without waiting for its answer.

        Raises:
            DataError: Something in ``params`` cannot cross.
            NodeCrashedError: The other side is gone.
        """
        call = PendingCall(self, next(self._ids), method)
        self.start(call, params)
        return call

    def start(self, call: PendingCall, params: Mapping[str, Any] | None) -> None:
        """Send a new call; see `submit`."""
        if os.getpid() != self._owner_pid:
            raise BridgeError(
                f"This connection to Node.js belongs to process {self._owner_pid}; a forked child cannot use it.",
                hint="Create a new Node() in the child process.",
            )
        crossing = _Crossing(self, self._lent)
        try:
            packed, tensors = pack(params if params is not None else {}, "params", crossing)
            frame = encode_frame({"jsonrpc": "2.0", "id": call.id, "method": call.method, "params": packed}, tensors)
        except BaseException:
            crossing.undo()
            raise
        self._pending[call.id] = call
        # The reader publishes the loss before it empties _pending, so one of the two always sees the other.
        if self._make_loss is not None:
            self._pending.pop(call.id, None)
            self._loss_was_told = True
            raise self._make_loss()
        try:
            if self._borrowed:
                self._release_objects()
            self._send(frame, call)
        except BaseException:
            call.abandon()
            raise

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Any], object] | None = None,
    ) -> Any:
        """Call a method of the Node runner and wait for its result; see ``PendingCall.result`` for what it raises.

        Example:
            >>> connection.call("echo", {"value": np.arange(3)})
            array([0, 1, 2])
        """
        return self.submit(method, params).result(timeout, on_progress)

    def value_of(self, frame: IncomingFrame, *path: str) -> Any:
        """A member of a message, with its tensors and objects."""
        value: Any = frame.message
        for key in path:
            value = value.get(key)
        return unpack(value, frame.tensors, self._borrow) if frame.has_placeholders else value

    def remote_error(self, error: Mapping[str, Any], depth: int = 0) -> RemoteError:
        """The error of an answer; where a Python function raised it, that is its cause."""
        data = error.get("data")
        data = data if isinstance(data, dict) else {}
        code = error.get("code")
        hint, properties, cause = data.get("hint"), data.get("properties"), data.get("cause")
        return RemoteError(
            str(data.get("name", "Error")),
            str(error.get("message", "")),
            stack=str(data.get("stack", "")),
            code=code if isinstance(code, int) else protocol.INTERNAL_ERROR,
            hint=str(hint) if hint else None,
            properties=properties if isinstance(properties, dict) else None,
            cause=self.remote_error(cause, depth + 1)
            if isinstance(cause, dict) and depth < _MAX_CAUSES
            else self._lent.exception(data.get("python")),
        )

    def drop_answer(self, frame: IncomingFrame) -> None:
        """Let go what an answer brings that nobody takes."""
        if frame.has_placeholders:
            with contextlib.suppress(ProtocolError, DataError):
                unpack(frame.message.get("result"), frame.tensors, lambda description: self._borrowed.let_go(description["id"]))

    async def call_async(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Any], object] | None = None,
    ) -> Any:
        """Call a method within asyncio; see `AsyncCall.answer` for what it raises. Cancelling it gives the call up."""
        call = AsyncCall(self, next(self._ids), method)
        self.start(call, params)
        self.wake_reader()
        return await call.answer(timeout, on_progress)

    def forget(self, call: PendingCall) -> None:
        """Drop a pending call and tell the other side."""
        if self._pending.pop(call.id, None) is not None:
            message = {"jsonrpc": "2.0", "method": "$/cancel", "params": {"id": call.id}}
            self._send(encode_frame(message, []), None)

    def lead(self, call: PendingCall, deadline: float | None) -> None:
        """Read for all threads until ``call`` has an event, the deadline is over, or the reader thread must take over."""
        if call.has_event or not self._reading.acquire(blocking=False):
            return
        try:
            while self._make_loss is None and not call.has_event and self._deliver_small_frame(deadline):
                pass
        finally:
            self.stop_leading(call)

    def stop_leading(self, call: PendingCall) -> None:
        """Let another thread read if this one did; see to it that one does if there are calls to wait for."""
        with contextlib.suppress(RuntimeError):
            self._reading.release()
        others = len(self._pending) - (call.id in self._pending)
        if others or not call.has_event or self._lent:
            self.wake_reader()

    def wake_reader(self) -> None:
        """Let the reader thread serve, for as long as anything may come."""
        # It looks at what is pending after it has said that it serves no longer.
        if not self._reader_serves:
            self._reader_ticket.put(True)

    def wake_leader(self) -> None:
        """Make a caller that reads look whether its own call was cancelled meanwhile."""
        # A full pipe wakes it as well; after close() the descriptor's number may be another file's.
        with contextlib.suppress(BlockingIOError):
            if self._wake_descriptors:
                os.write(self._wake_write, b"!")

    def stop_sending(self) -> None:
        """Tell the other side that no call will follow, so that it can end by itself."""
        self._shut_down(socket.SHUT_WR)

    def close(self) -> None:
        """End both directions and the threads. Safe to call twice and from any thread."""
        self._shut_down(socket.SHUT_RDWR)
        self._outbox_ticket.put(False)
        self._reader_ticket.put(False)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=5)
        # A caller that still reads has been woken by the shutdown; its descriptors must not be reused under its hands.
        if self._reading.acquire(timeout=5):
            self._reading.release()
        self._close_descriptors()
        _open_connections.discard(self)

    def close_in_forked_child(self) -> None:
        """Give back the inherited descriptor, which would otherwise keep the pipe open when the parent is gone."""
        self._close_descriptors()

    def _close_descriptors(self) -> None:
        self._sock.close()
        while self._wake_descriptors:
            os.close(self._wake_descriptors.pop())

    def _shut_down(self, how: int) -> None:
        # The other side, or an earlier close, may have been faster.
        with contextlib.suppress(OSError):
            self._sock.shutdown(how)

    def _send(self, frame: OutgoingFrame, call: PendingCall | None) -> None:
        with self._send_lock:
            if not self._outbox and frame.nbytes <= _WHOLE_FRAME_BYTES:
                try:
                    if frame.try_send(self._sock):
                        return
                except OSError:
                    # The reader sees the same end and fails this call with the reason.
                    return
            # The ticket first: if Ctrl-C strikes between the two lines, the writer finds nothing to do, and no frame
            # waits without a ticket.
            self._outbox_ticket.put(True)
            self._outbox.append((frame, call))

    def _write_frames(self) -> None:
        while self._outbox_ticket.get():
            with self._send_lock:
                entry = self._outbox[0] if self._outbox else None
            if entry is None:
                continue
            frame, call = entry
            if call is None or not call.abandoned:
                try:
                    frame.send(self._sock)
                except OSError:
                    return
            with self._send_lock:
                self._outbox.popleft()
            # A large array must not live on in this frame until the next one comes.
            del entry, frame, call

    def _read_frames(self) -> None:
        problem = None
        reader = FrameReader(self._sock)
        try:
            with self._reading:
                hello = reader.read()
                self._hello.put(hello)
            while hello is not None and self._serve_pending(reader) and self._reader_ticket.get():
                pass
        except ProtocolError as error:
            problem = error
        except MemoryError:
            problem = ProtocolError("Node.js sent a tensor that does not fit into memory.")
        except (EOFError, OSError):
            pass
        make_loss = self._describe_end(problem)
        self._make_loss = make_loss
        self._hello.put(None)
        for call in list(self._pending.values()):
            self._loss_was_told = True
            call.deliver("lost", make_loss)
        self._pending.clear()

    def _serve_pending(self, reader: FrameReader) -> bool:
        """Read until no call is pending and Node.js can call nothing; False at the end of the stream."""
        # A caller that finds the lock taken relies on the look at _pending after its release.
        while self._expects_frames(reader):
            self._reader_serves = True
            with self._reading:
                while self._expects_frames(reader):
                    frame = reader.read()
                    if frame is None:
                        return False
                    self._dispatch(frame)
                    # A large result must not live on in this variable until the next one comes.
                    del frame
            self._reader_serves = False
        return True

    def _expects_frames(self, reader: FrameReader) -> bool:
        return bool(self._pending or reader.buffered or self._lent)

    def _deliver_small_frame(self, deadline: float | None) -> bool:
        """Wait for a small whole frame and deliver it; False, with nothing consumed, when there is none in time."""
        remaining = None if deadline is None else min(max(0.0, deadline - time.monotonic()) * 1000, _MAX_POLL_MS)
        try:
            ready = self._wait(remaining)
            if not ready:
                return False
            if any(descriptor == self._wake_read for descriptor, _ in ready):
                os.read(self._wake_read, 4096)
                return True
            parsed = parse_whole(self._sock.recv(_PEEK_BYTES, socket.MSG_PEEK))
            if parsed is None:
                return False
            frame, length = parsed
            self._dispatch(frame)
            self._sock.recv(length, socket.MSG_WAITALL)
        except (ProtocolError, OSError):
            # The reader thread meets the same and ends the connection.
            return False
        return True

    def _wait(self, milliseconds: float | None) -> list[tuple[int, int]]:
        """Descriptors that can be read; an empty list when the time is over."""
        # A short call is answered before a core that has gone to sleep would be awake again.
        awake_until = time.perf_counter() + _STAY_AWAKE_SECONDS
        while time.perf_counter() < awake_until:
            if ready := self._poll.poll(0):
                return ready
        return self._poll.poll(milliseconds)

    def _dispatch(self, frame: IncomingFrame) -> None:
        message = frame.message
        if "method" in message:
            self._dispatch_request(frame)
            return
        call_id = message.get("id")
        if call_id is None:
            self._fail_all(message)
            return
        if type(call_id) is not int or ("result" not in message and not isinstance(message.get("error"), dict)):
            raise ProtocolError(f"An answer has no valid id or neither result nor error: {message!r:.80}.")
        call = self._pending.pop(call_id, None)
        if call is not None:
            call.deliver("answer", frame)
        else:
            self.drop_answer(frame)

    def _dispatch_request(self, frame: IncomingFrame) -> None:
        """What Node.js says or asks by itself."""
        message = frame.message
        method, params = message["method"], message.get("params")
        if method == "$/progress" and isinstance(params, dict):
            call = self._pending.get(params.get("id", 0))
            if call is not None:
                call.deliver("progress", frame)
        elif method == "$/callback" and isinstance(params, dict) and self._is_new(message.get("id")):
            self._callback_threads.run(lambda: self._answer_callback(frame))
        elif method == "$/released" and isinstance(params, dict) and self._is_new(params.get("serial")):
            for number, crossings in params.get("callbacks", []):
                self._lent.take_back(number, crossings)
        elif method not in {"$/callback", "$/released"}:
            _log.warning("Node.js sent the unknown notification %.80r.", method)

    def _is_new(self, serial: object) -> bool:
        """Whether this request has not been dispatched yet: an interrupted caller leaves it on the socket for the next."""
        if not isinstance(serial, int) or serial <= self._last_serial:
            return False
        self._last_serial = serial
        return True

    def _answer_callback(self, frame: IncomingFrame) -> None:
        message = frame.message
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        crossing = _Crossing(self, self._lent)
        try:
            arguments = self.value_of(frame, "params", "args")
            result = self._lent.call(message["params"].get("callback"), arguments)
            packed, tensors = pack(result, "the callback's result", crossing)
            encoded = encode_frame({**answer, "result": packed}, tensors)
        except BaseException as error:
            crossing.undo()
            encoded = encode_frame({**answer, "error": self._lent.describe(error)}, [])
        self._send(encoded, None)
        if self._borrowed:
            self._release_objects()

    def _release_objects(self) -> None:
        message = {"jsonrpc": "2.0", "method": "$/release", "params": {"objects": self._borrowed.take()}}
        self._send(encode_frame(message, []), None)

    def _borrow(self, description: Mapping[str, Any]) -> JSObject:
        return object_of(self, self._borrowed, description)

    def _fail_all(self, message: dict[str, Any]) -> None:
        """Node could not tell which call it failed to understand; any of them would otherwise wait for ever."""
        error = message.get("error")
        described = error.get("message") if isinstance(error, dict) else message
        _log.error("Node.js could not understand a message: %.200s", described)
        while self._pending:
            _, call = self._pending.popitem()
            call.deliver("lost", lambda: ProtocolError(f"Node.js could not understand a message: {described}"))


class _Crossing:
    """What one message lends; given back if it is not sent."""

    def __init__(self, connection: Connection, lent: LentFunctions) -> None:
        self._connection = connection
        self._lent = lent
        self._numbers: list[int] = []
        # Let go of earlier, they would be forgotten there before the message comes.
        self._objects: list[JSObject] = []

    def lend_function(self, function: Callable[..., Any], where: str) -> int:
        number = self._lent.lend(function, where)
        self._numbers.append(number)
        return number

    def object_number(self, value: Any, where: str) -> int | None:
        lend = getattr(type(value), "to_javascript", None)
        if lend is not None:
            value = lend(value)
        if not isinstance(value, JSObject):
            return None
        self._objects.append(value)
        return value._number_in(self._connection, where)

    def undo(self) -> None:
        """The message was not sent."""
        for number in self._numbers:
            self._lent.take_back(number, 1)


def _close_in_forked_child() -> None:
    for connection in list(_open_connections):
        connection.close_in_forked_child()


os.register_at_fork(after_in_child=_close_in_forked_child)
