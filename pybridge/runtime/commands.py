"""Running the programs that set-up needs: output kept, time shown, nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybridge.storage.cache import Report

_SECONDS_BETWEEN_REPORTS = 5.0
_TAIL_LINES = 25


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        code: Its exit code; negative for a signal's number.
        stdout: What it wrote to stdout.
        stderr: What it wrote to stderr.
        seconds: How long it ran.
        timed_out: Whether it was ended because it took too long.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended with exit code 0."""
        return self.code == 0

    def tail(self) -> str:
        """Return the last lines of what it wrote, for an error message."""
        lines = [line.rstrip() for line in f"{self.stdout}\n{self.stderr}".splitlines() if line.strip()]
        return "\n".join(f"    {line[:400]}" for line in lines[-_TAIL_LINES:])

    def ending(self) -> str:
        """Say how it ended, such as ``"exit code 1"`` or ``"killed by SIGKILL"``."""
        if self.timed_out:
            return f"no end after {self.seconds:.0f} s"
        if self.code >= 0:
            return f"exit code {self.code}"
        with suppress(ValueError):
            return f"killed by {signal.Signals(-self.code).name}"
        return f"killed by signal {-self.code}"


def run(
    command: Sequence[str | Path],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    title: str = "",
    report: Report | None = None,
) -> Outcome:
    """Run a program to its end.

    Args:
        command: The program and its arguments.
        timeout: Seconds after which it is killed with everything that it started.
        cwd: Its working folder.
        env: Variables on top of this process's environment.
        title: What it does; reported with the elapsed time every few seconds.
        report: Receives these lines.

    Returns:
        How it ended.

    Raises:
        OSError: Where the program cannot be started.
    """
    started = time.monotonic()
    with ending_with_python() as guard:
        # Its own session, so that on Ctrl-C or a timeout the whole family can be ended: npm and compilers start children.
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        guard(process)
        while True:
            elapsed = time.monotonic() - started
            if elapsed >= timeout:
                _end_family(process)
                stdout, stderr = process.communicate()
                return Outcome(process.returncode, stdout, stderr, elapsed, timed_out=True)
            try:
                stdout, stderr = process.communicate(timeout=min(_SECONDS_BETWEEN_REPORTS, timeout - elapsed))
            except subprocess.TimeoutExpired:
                if report is not None:
                    report(f"{title} {time.monotonic() - started:.0f} s")
                continue
            return Outcome(process.returncode, stdout, stderr, time.monotonic() - started)


def python_code(code: str, *arguments: str | Path) -> list[str]:
    """The command that runs code in another Python, which looks for modules where this one's are, never in the working directory.

    ``python -c`` and ``python -m`` look there first: a ``json.py`` in a folder that came from elsewhere would run.

    Example:
        >>> subprocess.run(python_code("import sys; print(sys.argv[1])", "word"))
    """
    return [sys.executable, "-c", f"import sys; sys.path[:] = filter(None, sys.path); {code}", *map(str, arguments)]


def python_module(name: str, *arguments: str | Path) -> list[str]:
    """The same for a module that runs as a program, as ``python -m`` runs it."""
    return python_code(f"import runpy; runpy.run_module({name!r}, run_name='__main__', alter_sys=True)", *arguments)


@contextmanager
def ending_with_python() -> Iterator[Callable[[subprocess.Popen[Any]], None]]:
    """Gives what takes a program under guard: its family ends where the block raises, or this Python process is killed.

    The guard waits on a pipe whose other end only this process holds: it is at its end once the process is gone. It starts before
    the program, which is so guarded from its first moments.
    """
    guarded: list[subprocess.Popen[Any]] = []
    guard = subprocess.Popen(
        ["/bin/sh", "-c", 'read -r family || exit; read -r _; kill -KILL "-$family"'],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert guard.stdin is not None
    pipe = guard.stdin

    def take(process: subprocess.Popen[Any]) -> None:
        guarded.append(process)
        with suppress(BrokenPipeError):
            pipe.write(f"{process.pid}\n".encode())
            pipe.flush()

    try:
        yield take
    except BaseException:
        for process in guarded:
            _end_family(process)
            process.wait()
        raise
    finally:
        guard.kill()
        guard.communicate()


def _end_family(process: subprocess.Popen[Any]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
