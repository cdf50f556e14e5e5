"""Runs `pybridge` as a user does: as a process of its own, in a folder of its own."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "pybridge"]
SECONDS = 240.0


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYBRIDGE_PROGRESS", "PYBRIDGE_MIRROR")}
    return {**kept, **changes}


class CommandLine:
    """`pybridge` in one working folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: object, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Runs one verb to its end and expects an exit code."""
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=environment(**env),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *arguments: object, code: int = 0, **env: str) -> Any:
        """Runs one verb with ``--json`` and gives the one document on its stdout."""
        return json.loads(self(*arguments, "--json", code=code, **env).stdout)

    @contextmanager
    def started(self, *arguments: object, **env: str) -> Iterator[Started]:
        """Starts one verb as the leader of a process group, as a shell does."""
        child = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        running = Started(child)
        try:
            yield running
        finally:
            running.end()


class Started:
    """A running command, whose stderr is read as it comes."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        self.stderr = ""
        self.stdout = ""
        self._readers = [threading.Thread(target=self._read, args=(name,), daemon=True) for name in ("stdout", "stderr")]
        self._seen: set[int] = set()
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        stream = getattr(self.child, name)
        while chunk := os.read(stream.fileno(), 65536):
            setattr(self, name, getattr(self, name) + chunk.decode("utf-8", "replace"))
        stream.close()

    def until(self, condition: Callable[[], Any]) -> Any:
        """Polls until a condition holds; fails if the command ends before."""
        deadline = time.monotonic() + SECONDS
        while not (value := condition()):
            assert self.child.poll() is None, f"ended with {self.child.returncode} too early:\n{self.stdout}\n{self.stderr}"
            assert time.monotonic() < deadline, f"waited in vain:\n{self.stderr}"
            time.sleep(0.005)
        return value

    def until_stderr(self, text: str) -> None:
        self.until(lambda: text in self.stderr)

    def descendant(self, *marks: str) -> int:
        """The process id of a descendant whose command line holds all marks, once there is one."""
        return int(self.until(lambda: next(iter(self.descendants(*marks)), None)))

    def descendants(self, *marks: str) -> list[int]:
        """Process ids of the children, their children, and so on."""
        table = processes()
        family = {self.child.pid}
        while more := {pid for pid, (parent, _) in table.items() if parent in family} - family:
            family |= more
        found = [pid for pid in family & table.keys() if all(mark in table[pid][1] for mark in marks)]
        self._seen |= family - {self.child.pid}
        return [pid for pid in found if pid != self.child.pid]

    def interrupt(self) -> None:
        """Ctrl-C, as a terminal sends it: to the whole process group."""
        os.killpg(self.child.pid, signal.SIGINT)

    def wait(self) -> int:
        """The exit code, with all output read."""
        code = self.child.wait(SECONDS)
        for reader in self._readers:
            reader.join(10)
        return code

    def orphans(self) -> list[str]:
        """Descendants that live on; those that are about to end are waited for."""
        deadline = time.monotonic() + 10
        while left := [command for pid, (_, command) in processes().items() if pid in self._seen]:
            if time.monotonic() > deadline:
                return left
            time.sleep(0.02)
        return []

    def end(self) -> None:
        self.descendants()
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        for pid in self._seen & processes().keys():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes() -> dict[int, tuple[int, str]]:
    """All processes that are not zombies: parent and command line by process id."""
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    table = {}
    for line in listing:
        pid, parent, state, *command = line.split(None, 3)
        if not state.startswith("Z"):
            table[int(pid)] = (int(parent), "".join(command))
    return table


def weight_hashes(run: Path) -> dict[str, str]:
    """The SHA-256 of each weight file of a run's model, and of its ``model.json``."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted((run / "model").iterdir())}


def record(run: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads((run / "run.json").read_text("utf-8"))
    return plain


def link_photos(source: Path, folder: Path, start: int, stop: int | None) -> Path:
    """Some photos of each class, as links."""
    for class_folder in sorted(source.iterdir()):
        (folder / class_folder.name).mkdir(parents=True)
        for photo in sorted(class_folder.iterdir())[start:stop]:
            (folder / class_folder.name / photo.name).symlink_to(photo)
    return folder
