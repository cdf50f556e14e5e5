"""One peer's process: started, given orders, watched, ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pybridge.benchmark.process_memory import memory_now, peak_memory
from pybridge.errors import BridgeError

_LOOK_SECONDS = 0.25
_LAST_LINES = 12


class PeerFailedError(BridgeError):
    """A peer could not do its work."""


class PeerProcess:
    """A program that answers each line of JSON with another.

    Args:
        command: The program and its arguments.
        environment: Its whole environment.
        seconds: How long it may take to answer an order.
        memory: How many bytes it and its children may hold; None for any number.

    Raises:
        PeerFailedError: It cannot be started.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], *, seconds: float, memory: int | None = None
    ) -> None:
        self._seconds, self._memory = seconds, memory
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            # In a session of its own: Ctrl-C reaches only the driver, which then ends its peers.
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._words,
                env=dict(environment),
                start_new_session=True,
            )
        except OSError as error:
            self._words.close()
            raise PeerFailedError(f"{command[0]} does not start: {error.strerror or error}") from error

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Gives an order and waits for the answer.

        Raises:
            PeerFailedError: It failed, ended, or took too much time or memory; it is ended then.
        """
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(json.dumps(order).encode() + b"\n")
            self._child.stdin.flush()
        try:
            answer: dict[str, Any] = json.loads(self._line())
        except ValueError as error:
            raise PeerFailedError(f"it gave no answer that can be read: {error}") from error
        if "error" in answer:
            raise PeerFailedError(str(answer["error"]))
        return answer

    def peak_memory(self) -> dict[str, int]:
        """The most that it and each of its children ever held, in bytes."""
        return peak_memory(self._child.pid)

    def memory_now(self) -> int:
        """What it and its children hold, in bytes."""
        return memory_now(self._child.pid)

    def close(self) -> None:
        """Ends it, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.communicate()
        self._words.close()

    def _line(self) -> bytes:
        assert self._child.stdout is not None
        deadline = time.monotonic() + self._seconds
        line = b""
        while not line.endswith(b"\n"):
            if select.select([self._child.stdout], [], [], _LOOK_SECONDS)[0]:
                part = os.read(self._child.stdout.fileno(), 65536)
                if not part:
                    raise PeerFailedError(f"it ended with code {self._child.wait()}{self._last_words()}")
                line += part
            elif time.monotonic() > deadline:
                raise PeerFailedError(f"it took more than {self._seconds:g} s")
            elif self._memory is not None and (held := memory_now(self._child.pid)) > self._memory:
                raise PeerFailedError(f"it held {held / 1e9:.1f} GB of memory, more than the {self._memory / 1e9:.1f} GB allowed")
        return line

    def _last_words(self) -> str:
        self._words.seek(0)
        lines = self._words.read().decode("utf-8", "replace").splitlines()
        return ": " + "\n".join(lines[-_LAST_LINES:]) if lines else ""
