"""What Node.js prints, passed on line by line; the last lines of stderr are kept for crash reports."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import selectors
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import IO, Final, Literal

from pybridge.text import printable

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


ConsoleStream = Literal["stdout", "stderr"]
ConsoleTarget = Literal["print", "log", "silent"] | Callable[[ConsoleStream, str], object]


class Console:
    """Passes a child's output on.

    ``print`` puts it where Python prints: the terminal, or the running cell of a notebook. ``log`` gives it to the logger
    ``pybridge.node``, stdout as INFO, stderr as WARNING. ``silent`` keeps it for crash reports only. A function is called with
    the stream's name and the line, in a thread of the console's own.

    What TensorFlow itself logs on stderr is logged as DEBUG in any case: its users cannot act on most of it. Crash reports keep
    it.

    Lines longer than 64 KiB are forwarded in pieces, so that output without line ends cannot fill the memory.

    Args:
        stdout: The reading end of the child's stdout; owned by the console.
        stderr: The same of its stderr.
        target: Where the lines go.
    """

    def __init__(self, stdout: IO[bytes], stderr: IO[bytes], target: ConsoleTarget = "log") -> None:
        self._streams: dict[IO[bytes], ConsoleStream] = {stdout: "stdout", stderr: "stderr"}
        self._write = _TARGETS[target] if isinstance(target, str) else target
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

    def _emit(self, lines: list[bytes], stream: ConsoleStream) -> None:
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r")
            if stream == "stderr":
                self._tail.append(text)
            if _TENSORFLOW_LOG.match(text):
                _log.debug("%s", printable(text))
                continue
            # Without this thread the child would wait for ever on a full pipe, whatever became of where its lines go.
            try:
                self._write(stream, text)
            except Exception:
                _log.debug("A line of Node.js could not be passed on: %s", printable(text), exc_info=True)


def checked_target(target: ConsoleTarget) -> ConsoleTarget:
    """The target, if it is one.

    Raises:
        ValueError: It is neither a function nor one of the words.
    """
    if callable(target) or target in _TARGETS:
        return target
    raise ValueError(f"console must be one of {', '.join(_TARGETS)}, or a function, not {target!r}")


def _print(stream: ConsoleStream, line: str) -> None:
    # Looked up at each line: notebooks and tests put others in the place of these.
    print(line, file=sys.stdout if stream == "stdout" else sys.stderr, flush=True)


def _log_line(stream: ConsoleStream, line: str) -> None:
    _log.log(logging.INFO if stream == "stdout" else logging.WARNING, "%s", printable(line))


def _drop(_stream: ConsoleStream, _line: str) -> None:
    pass


_TARGETS: Final[dict[str, Callable[[ConsoleStream, str], object]]] = {"print": _print, "log": _log_line, "silent": _drop}
