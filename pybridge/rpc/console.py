"""What Node.js prints goes to Python's logging line by line; the last lines of stderr are kept for crash reports."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import selectors
import threading
from collections import deque
from typing import IO, Final

_log = logging.getLogger("pybridge.node")

_CHUNK_BYTES: Final = 64 * 1024
_MAX_LINE_BYTES: Final = 64 * 1024
_TAIL_LINES: Final = 40
# What TensorFlow's C++ side logs: severity, date, time (abseil's prefix, which counts seconds from 1970 before it is
# initialised), or the other way round (TensorFlow's own), and the line that abseil puts before its first one.
_TENSORFLOW_LOG: Final = re.compile(
    r"[IWEF]\d{4,8} \d{2}:\d{2}:\d+\.\d+"
    r"|\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d+: [IWEF] "
    r"|WARNING: All log messages before absl::InitializeLog"
)


class Console:
    """Forwards a child's output to the logger ``pybridge.node``: stdout as INFO, stderr as WARNING.

    What TensorFlow itself logs on stderr is forwarded as DEBUG: its users cannot act on most of it. Crash reports keep it.

    Lines longer than 64 KiB are forwarded in pieces, so that output without line ends cannot fill the memory.

    Args:
        stdout: The reading end of the child's stdout; owned by the console.
        stderr: The same of its stderr.
    """

    def __init__(self, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self._streams = {stdout: logging.INFO, stderr: logging.WARNING}
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._thread = threading.Thread(target=self._forward, name="pybridge-console", daemon=True)
        self._thread.start()

    def drain(self, timeout: float) -> None:
        """Wait until both streams have ended, at most ``timeout`` seconds: a grandchild may hold them open."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def stderr_tail(self) -> str:
        """The last lines of stderr, at most 40."""
        return "\n".join(list(self._tail))

    def _forward(self) -> None:
        rest = dict.fromkeys(self._streams, b"")
        with contextlib.ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            for stream in self._streams:
                stack.enter_context(stream)
                selector.register(stream, selectors.EVENT_READ, stream)
            while selector.get_map():
                for key, _ in selector.select():
                    stream = key.data
                    chunk = os.read(key.fd, _CHUNK_BYTES)
                    *lines, last = (rest[stream] + chunk).split(b"\n")
                    if last and (not chunk or len(last) > _MAX_LINE_BYTES):
                        lines.append(last)
                        last = b""
                    rest[stream] = last
                    self._emit(lines, self._streams[stream])
                    if not chunk:
                        selector.unregister(stream)

    def _emit(self, lines: list[bytes], level: int) -> None:
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r")
            if level == logging.WARNING:
                self._tail.append(text)
            _log.log(logging.DEBUG if _TENSORFLOW_LOG.match(text) else level, "%s", text)
