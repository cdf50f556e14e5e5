"""Runs jobs that need TensorFlow in a Python process of their own.

The process sees the same TensorFlow settings as the Node.js runner, whatever the caller's own process has imported or set:
equal programs then take equal code paths. The child runs `main`: it reads the names of job folders from its standard input,
one a line; for each it reads ``job.json`` there, leaves ``result.json``, and writes a byte to a descriptor of its own. Its
standard input is a lifeline too: at end of file it ends.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybridge import errors
from pybridge.errors import BridgeError, CallTimeoutError
from pybridge.runtime.commands import python_code
from pybridge.runtime.sandbox import Confinement, confine, sandbox_version

_CHILD = "from pybridge.graphs.tensorflow_process import main; main(int(sys.argv[1]), sys.argv[2])"

Job = Callable[[Path, dict[str, Any]], dict[str, Any]]


class TensorFlowProcess:
    """A Python process that imports TensorFlow as it starts, and then runs one job after the other.

    It starts with its first job, or before with `start` or a ``with`` block. Threads may share it: their jobs wait for each
    other. If it dies, the job is lost, and the next one starts another process.

    Args:
        environment: Added to this process's own; the runtime's ``environment()``.
        confinement: Where the system has a sandbox, the process can open nothing but this and its installation, and has no
            network. For files of strangers; None confines nothing.

    Example:
        >>> with TensorFlowProcess(runtime.environment()) as tensorflow:
        ...     tensorflow.run(folder, "trace", {"items": [...]})
    """

    def __init__(self, environment: Mapping[str, str], confinement: Confinement | None = None) -> None:
        self._environment = dict(environment)
        self._confinement = confinement
        self._child: _Child | None = None
        self._closed = False
        self._starting = threading.Lock()
        self._running = threading.Lock()
        self._runner: int | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        child = self._child
        return child is not None and child.alive

    def start(self) -> None:
        """Lets the process begin to import TensorFlow, which takes seconds, and does not wait for it.

        Raises:
            BridgeError: It was closed.
        """
        self._started()

    def run(self, folder: Path, name: str, arguments: dict[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
        """Runs one job.

        Args:
            folder: A folder for the job's files; arrays and models pass through it.
            name: Which job: ``trace`` or ``run_programs``, or that of a room above this one as ``module:function``.
            arguments: What JSON can carry.
            timeout: Seconds after which the process is ended; None waits as long as it takes.

        Returns:
            What the job returned.

        Raises:
            BridgeError: What the job raised, or that the process died, with the end of its error output.
            CallTimeoutError: The job took longer; the process is gone.
        """
        (folder / "job.json").write_text(json.dumps({"name": name, "arguments": arguments}), "utf-8")
        with self._running:
            self._runner = threading.get_ident()
            child = self._started()
            try:
                finished = child.run(folder, timeout)
            except BaseException:
                # Ctrl-C: nobody will read this job's answer, which must not become the next one's.
                child.kill()
                raise
            finally:
                self._runner = None
            if finished is None:
                child.kill()
                raise CallTimeoutError(f"{name} took longer than {timeout:g} seconds in Python's TensorFlow process")
            if not finished:
                raise child.death(name)
        try:
            result: dict[str, Any] = json.loads((folder / "result.json").read_text("utf-8"))
        except (OSError, ValueError):
            raise BridgeError(
                f"Python's TensorFlow process could not write its answer to {name} into {folder}",
                hint="Free some space there, or name another folder for pybridge's cache in PYBRIDGE_CACHE.",
            ) from None
        if "error" not in result:
            return result
        kind = getattr(errors, result["error"]["type"], BridgeError)
        raise kind(result["error"]["message"], hint=result["error"]["hint"])

    def cancel(self, thread: int) -> None:
        """Ends the process if it runs a job of the thread with this identifier; the job then fails."""
        child = self._child
        if child is not None and self._runner == thread:
            child.kill()

    def close(self) -> None:
        """Ends the process, whatever it does."""
        with self._starting:
            self._closed = True
        if self._child is None:
            return
        self._child.kill()
        with self._running:
            self._child.close()

    def __enter__(self) -> TensorFlowProcess:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _started(self) -> _Child:
        with self._starting:
            if self._closed:
                raise BridgeError("Python's TensorFlow process was closed", hint="Start another one.")
            if self._child is None or not self._child.alive:
                if self._child is not None:
                    self._child.close()
                self._child = _Child(self._environment, self._confinement)
            return self._child


class _Child:
    """One life of the process."""

    def __init__(self, environment: Mapping[str, str], confinement: Confinement | None) -> None:
        self._confined = confinement is not None and sandbox_version() > 0
        search_path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
        self._output = tempfile.TemporaryFile()  # noqa: SIM115, closed with the process
        done, notify = os.pipe()
        self._done = os.fdopen(done, "rb", buffering=0)
        try:
            self._process = subprocess.Popen(
                python_code(_CHILD, str(notify), confinement.to_json() if confinement else ""),
                stdin=subprocess.PIPE,
                stdout=self._output,
                stderr=self._output,
                pass_fds=(notify,),
                env={**os.environ, **environment, "PYTHONPATH": search_path},
            )
        finally:
            os.close(notify)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def run(self, folder: Path, timeout: float | None) -> bool | None:
        """True when the job is done, False when the process died of it, None when the time was over."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(str(folder)).encode() + b"\n")
            self._process.stdin.flush()
        if not select.select([self._done], [], [], timeout)[0]:
            return None
        return bool(self._done.read(1))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._done.close()
        self._output.close()

    def death(self, name: str) -> BridgeError:
        code = self._process.wait()
        self._output.seek(0)
        lines = self._output.read().decode("utf-8", "replace").splitlines()
        return BridgeError(
            f"Python's TensorFlow process ended with code {code} during {name}:\n" + "\n".join(lines[-15:]),
            hint="`pybridge doctor` checks the installation. Out of memory is a common reason for code -9."
            + (" If something is installed where the sandbox does not look: PYBRIDGE_SANDBOX=off." if self._confined else ""),
        )


@dataclass
class _Shared:
    process: TensorFlowProcess
    holders: int = 0


_shared: dict[tuple[Any, ...], _Shared] = {}
_sharing = threading.Lock()


@contextlib.contextmanager
def shared_tensorflow(environment: Mapping[str, str]) -> Iterator[TensorFlowProcess]:
    """The one TensorFlow process of all who hold it at the same time: from its first job to the last holder.

    A job that traces several things, one after the other or at once, holds it around them: TensorFlow is imported once, and
    not at all where everything is in the cache.

    Args:
        environment: As for `TensorFlowProcess`; other variables mean another process.

    Example:
        >>> with shared_tensorflow(runtime.environment()):
        ...     programs_for([preprocessing], runtime)
        ...     programs_for([model], runtime)
    """
    # A forked child shares nothing with its parent.
    key = (os.getpid(), *sorted(environment.items()))
    with _sharing:
        entry = _shared.setdefault(key, _Shared(TensorFlowProcess(environment)))
        entry.holders += 1
    try:
        yield entry.process
    finally:
        with _sharing:
            entry.holders -= 1
            if last := not entry.holders:
                del _shared[key]
        if last:
            entry.process.close()


def _jobs() -> dict[str, Job]:
    from pybridge.graphs import jobs

    return {"trace": jobs.trace, "run_programs": jobs.run_programs}


def _find_job(name: str, jobs: dict[str, Job]) -> Job:
    if ":" not in name:
        return jobs[name]
    module, _, function = name.partition(":")
    found: Job = getattr(importlib.import_module(module), function)
    return found


def main(notify: int, confinement: str = "") -> None:
    """The child's side: runs jobs until its standard input ends."""
    if confinement:
        # Before TensorFlow starts threads, which would stay free.
        confine(Confinement.from_json(confinement))
    # Ctrl-C reaches all processes of a terminal; what it means for the job is for the parent to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folders: queue.SimpleQueue[Path] = queue.SimpleQueue()
    threading.Thread(target=_read_jobs, args=(folders,), daemon=True).start()
    jobs = _jobs()
    while True:
        _run(folders.get(), jobs)
        os.write(notify, b".")


def _read_jobs(folders: queue.SimpleQueue[Path]) -> None:
    for line in sys.stdin.buffer:
        folders.put(Path(json.loads(line)))
    os._exit(0)


def _run(folder: Path, jobs: dict[str, Job]) -> None:
    job = json.loads((folder / "job.json").read_text("utf-8"))
    try:
        result = _find_job(job["name"], jobs)(folder, job["arguments"])
    except BridgeError as error:
        result = {"error": {"type": type(error).__name__, "message": error.message, "hint": error.hint}}
    except Exception:  # the caller is another process: the traceback is all that can reach it
        message = f"{job['name']} failed in Python's TensorFlow process:\n{traceback.format_exc()}"
        result = {"error": {"type": "BridgeError", "message": message, "hint": None}}
    # Without a place to answer in, the parent finds no answer, and says so.
    with contextlib.suppress(OSError):
        (folder / "result.json").write_text(json.dumps(result), "utf-8")
