"""Calls that were sent: waited for by a thread, or within asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pybridge.errors import BridgeError, CallTimeoutError, DataError, RemoteError
from pybridge.rpc.frames import IncomingFrame


class Pipe(Protocol):
    """What a call needs of its connection."""

    def lead(self, call: PendingCall, deadline: float | None) -> None:
        """Read, if nobody else does, until the call has an event."""

    def stop_leading(self, call: PendingCall) -> None:
        """Let others read."""

    def forget(self, call: PendingCall) -> None:
        """Drop the call and tell the other side."""

    def wake_leader(self) -> None:
        """Make a reading caller look whether its call was cancelled."""

    def value_of(self, frame: IncomingFrame, *path: str) -> Any:
        """A member of a message."""

    def remote_error(self, error: Mapping[str, Any]) -> RemoteError:
        """The error of an answer."""

    def drop_answer(self, frame: IncomingFrame) -> None:
        """Let go what an answer brings that nobody takes."""


class PendingCall:
    """A call that was sent. ``result`` waits for its answer; ``cancel`` gives it up from any thread."""

    def __init__(self, connection: Pipe, call_id: int, method: str) -> None:
        self.method = method
        self.id = call_id
        self.abandoned = False
        self._connection = connection
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._outcome: tuple[str, Any] | None = None

    def result(self, timeout: float | None = None, on_progress: Callable[[Any], object] | None = None) -> Any:
        """Wait for the answer.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.
            on_progress: Called in this thread with each progress value; what it raises cancels the call.

        Raises:
            RemoteError: The JavaScript method threw.
            NodeCrashedError: Node.js ended first.
            CallTimeoutError: The time ran out. The call is cancelled, the connection stays usable.
        """
        deadline = None if timeout is None else time.monotonic() + checked_timeout(timeout)
        try:
            while self._outcome is None:
                kind, content = self._next_event(timeout, deadline)
                if kind != "progress":
                    self._outcome = kind, content
                elif on_progress is not None:
                    on_progress(self._connection.value_of(content, "params", "value"))
        except BaseException:
            self._connection.stop_leading(self)
            self.abandon()
            raise
        return self._taken(*self._outcome)

    def cancel(self) -> None:
        """Give the call up: Node is told through the method's AbortSignal, and a waiting thread gets a BridgeError."""
        self.abandon()
        self.deliver("lost", lambda: BridgeError(f"The call of {self.method} was cancelled."))
        self._connection.wake_leader()

    def abandon(self) -> None:
        """Tell Node that nobody waits any more; a late answer is dropped."""
        if self._outcome is None and not self.abandoned:
            self.abandoned = True
            self._connection.forget(self)
            with contextlib.suppress(queue.Empty):
                while True:
                    kind, content = self._events.get_nowait()
                    if kind == "answer":
                        self._connection.drop_answer(content)

    @property
    def has_event(self) -> bool:
        """Whether something was delivered that ``result`` has not taken yet."""
        return not self._events.empty()

    def deliver(self, kind: str, content: Any) -> None:
        """Hand over an event: ``progress`` or ``answer`` with a frame, ``lost`` with a function that makes an error."""
        self._events.put((kind, content))

    def _taken(self, kind: str, content: Any) -> Any:
        if kind == "lost":
            raise content()
        error = content.message.get("error")
        if error is not None:
            raise self._connection.remote_error(error)
        return self._connection.value_of(content, "result")

    def _next_event(self, timeout: float | None, deadline: float | None) -> tuple[str, Any]:
        self._connection.lead(self, deadline)
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            return self._events.get(timeout=remaining)
        except queue.Empty:
            raise CallTimeoutError(
                f"{self.method} did not answer within {timeout:g} s; the call was cancelled.",
                hint="Allow more time with timeout=..., or None to wait as long as it takes.",
            ) from None


class AsyncCall(PendingCall):
    """A call within asyncio. Its events reach the event loop in bundles, so that hundreds of calls cost few wake-ups."""

    def __init__(self, connection: Pipe, call_id: int, method: str) -> None:
        super().__init__(connection, call_id, method)
        self._inbox = _inbox_of(asyncio.get_running_loop())
        self._future: asyncio.Future[tuple[str, Any]] = self._inbox.loop.create_future()
        self._on_progress: Callable[[Any], object] | None = None

    async def answer(self, timeout: float | None = None, on_progress: Callable[[Any], object] | None = None) -> Any:
        """Await the answer.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.
            on_progress: Called in the event loop with each progress value; what it raises cancels the call.

        Raises:
            RemoteError: The JavaScript method threw.
            NodeCrashedError: Node.js ended first.
            CallTimeoutError: The time ran out.
            asyncio.CancelledError: The task was cancelled; so is the call in Node.js.
        """
        self._on_progress = on_progress
        try:
            if timeout is None:
                outcome = await self._future
            else:
                outcome = await asyncio.wait_for(self._future, checked_timeout(timeout))
        except asyncio.TimeoutError:
            self.abandon()
            raise CallTimeoutError(
                f"{self.method} did not answer within {timeout:g} s; the call was cancelled.",
                hint="Allow more time with timeout=..., or None to wait as long as it takes.",
            ) from None
        except BaseException:
            self.abandon()
            if self._future.done() and not self._future.cancelled() and self._future.exception() is None:
                self.take(*self._future.result())
            raise
        self._outcome = outcome
        return self._taken(*outcome)

    def deliver(self, kind: str, content: Any) -> None:
        """Hand an event over to the event loop."""
        self._inbox.post(self, kind, content)

    def take(self, kind: str, content: Any) -> None:
        """An event, in the event loop."""
        if self._future.done():
            if kind == "answer":
                self._connection.drop_answer(content)
        elif kind != "progress":
            self._future.set_result((kind, content))
        elif self._on_progress is not None:
            try:
                self._on_progress(self._connection.value_of(content, "params", "value"))
            except BaseException as error:
                self._future.set_exception(error)


class _Inbox:
    """Events on their way from the reading thread to an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: deque[tuple[AsyncCall, str, Any]] = deque()
        self._is_called = False

    def post(self, call: AsyncCall, kind: str, content: Any) -> None:
        self._waiting.append((call, kind, content))
        if not self._is_called:
            self._is_called = True
            # The loop may have ended before its calls did.
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        # First: what is posted from now on calls again.
        self._is_called = False
        while self._waiting:
            call, kind, content = self._waiting.popleft()
            call.take(kind, content)


_inboxes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Inbox] = weakref.WeakKeyDictionary()


def _inbox_of(loop: asyncio.AbstractEventLoop) -> _Inbox:
    inbox = _inboxes.get(loop)
    if inbox is None:
        inbox = _inboxes[loop] = _Inbox(loop)
    return inbox


def checked_timeout(timeout: float) -> float:
    """A number of seconds that locks can wait.

    Raises:
        DataError: It is none.
    """
    if math.isnan(timeout) or timeout < 0:
        raise DataError(f"timeout must be a number of seconds, at least 0, or None; found {timeout!r}.")
    return min(timeout, threading.TIMEOUT_MAX)
