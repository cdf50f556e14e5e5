"""One Node.js child process: started with a socket and a lifeline, greeted, ended, and its death explained."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pybridge.errors import BridgeError, CallTimeoutError, DataError, NodeCrashedError, NodeNotFoundError, SetupError
from pybridge.rpc.connection import Connection
from pybridge.rpc.console import Console, ConsoleTarget
from pybridge.rpc.protocol import PROTOCOL_VERSION, ProtocolError

_SOCKET_BUFFER_BYTES: Final = 2**20
# From the end of its socket to the end of a process; longer means that it closed the socket and lives on.
_EXIT_SECONDS: Final = 2.0
_DRAIN_SECONDS: Final = 0.25
_LAST_LINES_SECONDS: Final = 2.0
# Large tensors land in fresh memory. In huge pages it is written almost twice as fast (1.6 -> 2.8 GB/s measured); glibc
# asks for them only when told so (since 2.35), other C libraries ignore this.
_MEMORY_TUNING: Final = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}

_open_processes: weakref.WeakSet[NodeProcess] = weakref.WeakSet()


class NodeProcess:
    """A running Node.js program that speaks the protocol.

    The child gets two descriptors as its last arguments: the socket of the protocol, and the reading end of a pipe
    whose only writing end this process holds. When that pipe ends, however this process went, a thread of the child
    ends the child. It runs in a session of its own, so that Ctrl-C in a terminal reaches Python alone.

    Args:
        command: The program and its arguments, such as ``[node, "main.js"]``.
        environment: The child's whole environment.
        startup_timeout: Seconds until it must have said hello.
        console: Where goes what it prints; see `Console`.
        cwd: Its working directory; None for this process's.

    Raises:
        NodeNotFoundError: The program cannot be started.
        SetupError: It speaks another version of the protocol, or said nothing in time.
        NodeCrashedError: It ended before it said hello.
        DataError: There is no such working directory.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        *,
        startup_timeout: float = 60.0,
        console: ConsoleTarget = "log",
        cwd: Path | None = None,
    ) -> None:
        self._owner_pid = os.getpid()
        self._closing = False
        self._close_lock = threading.Lock()
        with contextlib.ExitStack() as undo:
            ours, theirs = _socket_pair()
            undo.callback(ours.close)
            lifeline_read, self._lifeline = os.pipe()
            undo.callback(self._cut_lifeline)
            try:
                self._child = _spawn(command, environment, (theirs.fileno(), lifeline_read), cwd)
            finally:
                theirs.close()
                os.close(lifeline_read)
            undo.callback(self._kill)
            assert self._child.stdout is not None
            assert self._child.stderr is not None
            self._console = Console(self._child.stdout, self._child.stderr, console)
            self.connection = Connection(ours, self._describe_end)
            undo.callback(self.connection.close)
            undo.callback(self._kill)
            self.node_version = self._greet(startup_timeout)
            undo.pop_all()
        _open_processes.add(self)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the child runs and its connection can be used."""
        return self.connection.usable and not self._closing and self._child.poll() is None

    def close(self, grace: float = 0.5) -> None:
        """End the child politely, after ``grace`` seconds with SIGKILL; pending calls fail. Never hangs."""
        if os.getpid() != self._owner_pid:
            return
        with self._close_lock:
            if self._closing:
                return
            self._closing = True
            self.connection.stop_sending()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(grace)
            self._kill()
            self._cut_lifeline()
            self.connection.close()
            self._console.drain(_LAST_LINES_SECONDS)
            _open_processes.discard(self)

    def close_in_forked_child(self) -> None:
        """Give back the lifeline, which a forked copy of this process would hold after the original is gone."""
        self._cut_lifeline()

    def _greet(self, timeout: float) -> str:
        try:
            hello = self.connection.wait_for_hello(timeout)
        except CallTimeoutError:
            raise SetupError(
                f"The Node.js process started, but was not ready within {timeout:g} s.{self._quoted_stderr()}",
                hint="A slow disk may need a larger startup_timeout.",
            ) from None
        if hello is None:
            loss = self.connection.loss()
            assert loss is not None
            raise loss
        if hello["protocol"] != PROTOCOL_VERSION:
            raise SetupError(
                f"The Node.js runner speaks version {hello['protocol']!r:.40} of the protocol, "
                f"this pybridge speaks version {PROTOCOL_VERSION}.",
                hint="The Python package and its Node.js files are of different releases; reinstall pybridge.",
            )
        return hello["nodeVersion"]

    def _describe_end(self, problem: ProtocolError | None) -> Callable[[], BridgeError]:
        if self._closing:
            return lambda: BridgeError("The Node.js process was closed.", hint="Create a new Node().")
        if problem is not None:
            self._kill()
        try:
            code = self._child.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            problem = problem or ProtocolError("It closed its connection but went on running, and was ended.")
            code = self._child.returncode
        self._console.drain(_DRAIN_SECONDS)
        message = f"The Node.js process {self.pid} {_how_it_ended(code)}"
        if problem is not None:
            message = f"The Node.js process {self.pid} broke the protocol and was ended: {problem.message}"
        tail = self._console.stderr_tail()
        return lambda: NodeCrashedError(
            message + self._quoted_stderr(),
            exit_code=code if code >= 0 else None,
            signal_name=_signal_name(code),
            stderr_tail=tail,
            hint=_hint(code, tail, problem),
        )

    def _quoted_stderr(self) -> str:
        tail = self._console.stderr_tail()
        return f"\nIts last words:\n{tail}" if tail else ""

    def _kill(self) -> None:
        self._child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(5)

    def _cut_lifeline(self) -> None:
        descriptor, self._lifeline = self._lifeline, -1
        if descriptor >= 0:
            os.close(descriptor)


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair()
    for end in pair:
        # The kernel caps these at its own maximum, which costs only speed.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER_BYTES)
    return pair


def _spawn(
    command: Sequence[str | Path], environment: Mapping[str, str], descriptors: tuple[int, int], cwd: Path | None
) -> subprocess.Popen[bytes]:
    arguments = [*(str(part) for part in command), *(str(descriptor) for descriptor in descriptors)]
    try:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=descriptors,
            env={**_MEMORY_TUNING, **environment},
            start_new_session=True,
            cwd=cwd,
        )
    except OSError as error:
        if cwd is not None and not cwd.is_dir():
            raise DataError(f"cwd is {cwd}, and there is no such folder.") from None
        raise NodeNotFoundError(
            f"Node.js could not be started from {arguments[0]}: {error.strerror or error}.",
            hint="Check the installation with: pybridge doctor",
        ) from error


def _signal_name(code: int) -> str | None:
    if code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _how_it_ended(code: int) -> str:
    return f"was ended by {_signal_name(code)}." if code < 0 else f"exited with code {code}."


def _hint(code: int, stderr_tail: str, problem: ProtocolError | None) -> str:
    if "heap out of memory" in stderr_tail:
        return "Give JavaScript more memory, e.g. with the environment variable NODE_OPTIONS=--max-old-space-size=8192."
    if code == -signal.SIGKILL and problem is None:
        return "If nobody killed it, the system may have run out of memory. The next call starts a fresh process."
    return "The next call starts a fresh process."


def _close_in_forked_child() -> None:
    for process in list(_open_processes):
        process.close_in_forked_child()


os.register_at_fork(after_in_child=_close_in_forked_child)
