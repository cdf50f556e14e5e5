"""The running Node runner: started when first needed, started afresh after a crash, gone when Python goes."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, get_args

from pybridge.errors import BridgeError, NodeCrashedError
from pybridge.rpc import NodeProcess, PendingCall
from pybridge.rpc.console import ConsoleTarget, checked_target
from pybridge.runtime.sandbox import Confinement, confined_command, sandbox_version

Restart = Literal["never", "raise", "silent"]


class RunnerRuntime(Protocol):
    """What a runner needs to know of the runtime: which Node.js, which program, which environment variables."""

    @property
    def node(self) -> Path:
        """The Node.js executable."""

    @property
    def main_js(self) -> Path:
        """The runner's program."""

    def environment(self) -> dict[str, str]:
        """Variables that the child needs on top of this process's own."""


class Runner:
    """One Node.js process that answers calls, safe to use from many threads.

    Args:
        runtime: Which Node.js and which program; None finds or installs them on first use.
        env: More environment variables for the child.
        startup_timeout: Seconds until a started process must be ready.
        restart: What follows when the process has ended by itself, and with it all that lived in it. ``silent``: the next call
            starts a fresh one. ``raise``: so it does once a call has failed with `NodeCrashedError`; the end of a process that
            nobody was waiting for is told to the next call. ``never``: all further calls fail.
        console: Where goes what JavaScript prints; see `pybridge.rpc.console.Console`.
        confinement: Where the system has a sandbox, the process can open nothing but this and its installation, and has no
            network. For graphs of strangers; None confines nothing.
        cwd: Working directory of the process; None for Python's.

    Example:
        >>> with Runner() as runner:
        ...     runner.call("echo", {"value": np.eye(2)})
    """

    def __init__(
        self,
        runtime: RunnerRuntime | None = None,
        *,
        env: Mapping[str, str] | None = None,
        startup_timeout: float = 60.0,
        restart: Restart = "silent",
        console: ConsoleTarget = "log",
        confinement: Confinement | None = None,
        cwd: Path | None = None,
    ) -> None:
        if restart not in get_args(Restart):
            raise ValueError(f"restart must be one of {', '.join(get_args(Restart))}, not {restart!r}")
        self._restart = restart
        self._console = checked_target(console)
        self._runtime = runtime
        self._env = dict(env or {})
        self._startup_timeout = startup_timeout
        self._confinement = confinement
        self._cwd = cwd
        self._siblings: weakref.WeakSet[Runner] = weakref.WeakSet()
        self._owner_pid = os.getpid()
        self._lock = threading.Lock()
        self._process: NodeProcess | None = None
        self._finalizer: weakref.finalize[[], Runner] | None = None
        self._closed = False
        self._generation = 0

    @property
    def generation(self) -> int:
        """How many processes this runner has started. What lived in an earlier process, such as models, is gone."""
        return self._generation

    @property
    def pid(self) -> int | None:
        """The process id of Node.js, or None while none runs."""
        process = self._process
        return process.pid if process is not None and process.alive else None

    @property
    def alive(self) -> bool:
        """Whether a Node.js process is running for this runner."""
        return self.pid is not None

    def start(self) -> NodeProcess:
        """Start Node.js unless it runs already.

        Raises:
            NodeNotFoundError: There is no usable Node.js.
            SetupError: The Node.js side is not installed correctly or does not fit this pybridge.
            BridgeError: The runner was closed, or belongs to the parent of this forked process.
        """
        if os.getpid() != self._owner_pid:
            raise BridgeError(
                f"This Node.js runner belongs to process {self._owner_pid}; a forked child cannot use it.",
                hint="Create a new Node() in the child process, or start it with multiprocessing's 'spawn' method.",
            )
        process = self._process
        if process is not None and not self._closed and process.alive:
            return process
        with self._lock:
            if self._closed:
                raise BridgeError("This Node.js runner is closed.", hint="Create a new Node().")
            if self._process is None or (not self._process.alive and self._may_replace(self._process)):
                self._replace_process()
            assert self._process is not None
            return self._process

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Any], object] | None = None,
    ) -> Any:
        """Call a method of the Node runner and wait for its result. After a crash the next call starts a fresh process.

        Args:
            method: The method's name, such as ``"script.call"``.
            params: JSON-like values; numpy arrays and bytes cross in binary.
            timeout: Seconds to wait; None, the default, waits as long as it takes.
            on_progress: Called in this thread with each progress value; what it raises cancels the call.

        Raises:
            RemoteError: The JavaScript method threw.
            NodeCrashedError: Node.js ended before it answered.
            CallTimeoutError: The time ran out; later calls work.
            DataError: Something in ``params`` cannot cross.
        """
        return self.submit(method, params).result(timeout, on_progress)

    def submit(self, method: str, params: Mapping[str, Any] | None = None) -> PendingCall:
        """Send a call without waiting; ``.result()`` waits for its answer, ``.cancel()`` gives it up."""
        return self.start().connection.submit(method, params)

    def confined(self, confinement: Confinement) -> Runner:
        """A runner like this one, with a process of its own that is confined. It is closed with this one at the latest."""
        sibling = Runner(
            self._runtime,
            env=self._env,
            startup_timeout=self._startup_timeout,
            restart=self._restart,
            console=self._console,
            confinement=confinement,
        )
        self._siblings.add(sibling)
        return sibling

    def close(self) -> None:
        """End Node.js: politely, after half a second by force. Pending calls fail; the runner cannot be used again."""
        if os.getpid() != self._owner_pid:
            return
        for sibling in list(self._siblings):
            sibling.close()
        with self._lock:
            self._closed = True
            if self._finalizer is not None:
                self._finalizer()

    def __enter__(self) -> Runner:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _may_replace(self, ended: NodeProcess) -> bool:
        # A call on the ended process fails with the reason of its end.
        return self._restart == "silent" or (self._restart == "raise" and ended.connection.loss_was_told)

    def _replace_process(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        if self._runtime is None:
            from pybridge.runtime import ensure

            self._runtime = ensure()
        environment = {**os.environ, **self._runtime.environment(), **self._env}
        command: Sequence[str | Path] = [self._runtime.node, self._runtime.main_js]
        if self._confinement is not None:
            # Its system-wide configuration lies in another folder on each distribution; nothing here encrypts.
            environment["OPENSSL_CONF"] = os.devnull
            environment.pop("NODE_EXTRA_CA_CERTS", None)
            needed = (*_program_folders(self._runtime), *self._confinement.read)
            command = confined_command(command, replace(self._confinement, read=needed))
        try:
            process = NodeProcess(
                command, environment, startup_timeout=self._startup_timeout, console=self._console, cwd=self._cwd
            )
        except NodeCrashedError as error:
            if self._confinement is not None and sandbox_version():
                error.hint = "If something is installed where the sandbox does not look: PYBRIDGE_SANDBOX=off."
            raise
        # Runs when this object is collected and at exit, whichever comes first; must not refer to this object.
        self._finalizer = weakref.finalize(self, process.close)
        self._process = process
        self._generation += 1


def _program_folders(runtime: RunnerRuntime) -> list[Path]:
    """What Node.js and the runner are loaded from."""
    environment = runtime.environment()
    named = [*environment.get("NODE_PATH", "").split(os.pathsep), os.path.dirname(environment.get("PYBRIDGE_ADDON", ""))]  # noqa: PTH120
    return [runtime.node.resolve().parent, runtime.main_js.parent, *(Path(name).resolve() for name in named if name)]
