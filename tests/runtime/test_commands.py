"""Programs that set-up runs end with the Python process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pybridge.runtime.commands import run

FAMILY = "sh -c 'echo $$ > child; sleep 600' & echo $$ > parent; wait"


def is_running(pid: int) -> bool:
    listing = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listing.stdout.strip() not in ("", "Z", "Zs")


def read_pid(file: Path) -> int:
    deadline = time.monotonic() + 20
    while not (file.exists() and file.read_text().strip()):
        assert time.monotonic() < deadline, f"{file.name} was never written"
    return int(file.read_text())


def test_a_program_and_its_children_are_gone_when_python_is_killed(tmp_path: Path) -> None:
    script = f"""
from pybridge.runtime import commands
commands._SECONDS_BETWEEN_REPORTS = 0.01
commands.run(["sh", "-c", {FAMILY!r}], timeout=600, report=lambda line: print("under way", flush=True))
"""
    python = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE)
    assert python.stdout is not None
    assert python.stdout.readline() == b"under way\n"
    family = [read_pid(tmp_path / "parent"), read_pid(tmp_path / "child")]
    os.kill(python.pid, signal.SIGKILL)
    python.communicate()
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in family):
        assert time.monotonic() < deadline, "the family outlived its parent"


def test_a_program_that_ends_by_itself_is_not_disturbed() -> None:
    outcome = run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=60)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (3, "out\n", "err\n")
