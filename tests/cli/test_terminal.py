"""What a user sees in a terminal: progress with the time that is left; and the demonstration."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from commands import COMMAND, CommandLine, environment


def in_terminal(folder: Path, *arguments: object) -> tuple[int, str]:
    """Runs a verb with a pseudo-terminal as its stderr; gives the exit code and what the terminal got."""
    terminal, end_for_child = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))
    child = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env=environment(TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=end_for_child,
        start_new_session=True,
    )
    os.close(end_for_child)
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError:
        # Linux reports EIO where the other end of a pseudo-terminal was closed.
        pass
    finally:
        os.close(terminal)
        code = child.wait(60)
    return code, shown.decode("utf-8", "replace")


@pytest.mark.slow
def test_a_terminal_shows_progress_with_the_time_that_is_left(waste: Path, small_base: Path, tmp_path: Path) -> None:
    code, shown = in_terminal(tmp_path, "train", waste, "--out", "run", "--base", small_base, "--epochs", 2, "--seed", 0)
    assert code == 0, shown
    for work in ("Training images", "Validation images", "Training"):
        assert re.search(rf"{work}: +\d+%.*\[\d\d:\d\d<\d\d:\d\d", shown), shown
    assert "oneDNN" not in shown
    assert "absl" not in shown


@pytest.mark.slow
def test_the_demonstration_trains_and_its_advice_works(pybridge: CommandLine) -> None:
    done = pybridge("demo", "--out", "demo")
    found = re.search(r"Accuracy on (\d+) pictures that training never saw: (\d+\.\d)%", done.stdout)
    assert found, done.stdout
    assert float(found[2]) > 80
    assert all(line.startswith("step ") for line in done.stderr.splitlines()), done.stderr
    advice = [line.strip() for line in done.stdout.splitlines() if line.startswith("  pybridge")]
    commands = [line for line in advice if "YOUR_" not in line]
    assert len(commands) >= 2
    for line in commands:
        command = line.replace("pybridge", shlex.join(COMMAND), 1)
        ran = subprocess.run(["sh", "-c", command], cwd=pybridge.folder, env=environment(), capture_output=True, text=True)
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        assert ran.stdout
    assert json.loads((pybridge.folder / "demo" / "run" / "run.json").read_text())["status"] == "finished"
