"""What a confined process can still do; each test confines a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pybridge.runtime.sandbox import describe_sandbox, sandbox_version

needs_sandbox = pytest.mark.skipif(not sandbox_version(), reason=describe_sandbox())

_ATTEMPT = """
import json, os, socket, subprocess, sys
from pathlib import Path
from pybridge.runtime.sandbox import Confinement, confine
read, write, other = map(Path, sys.argv[1:4])
assert confine(Confinement(read=(read,), write=(write,)))
attempts = {
    "read its own": lambda: (read / "file").read_text(),
    "write its own": lambda: (write / "made").write_text("made"),
    "write what it reads": lambda: (read / "made").write_text("made"),
    "read others": lambda: (other / "file").read_text(),
    "write others": lambda: (other / "made").write_text("made"),
    "list others": lambda: os.listdir(other),
    "a child reads others": lambda: subprocess.run(["/bin/cat", other / "file"], check=True, capture_output=True),
    "TCP": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "UDP": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    "a pair of sockets": socket.socketpair,
    "threads": lambda: __import__("concurrent.futures").futures.ThreadPoolExecutor(2).submit((other / "file").read_text).result(),
    "the environment of its parent": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
}
done = {}
for name, attempt in attempts.items():
    try:
        attempt()
        done[name] = True
    except (OSError, subprocess.CalledProcessError):
        done[name] = False
print(json.dumps(done))
"""


@needs_sandbox
def test_a_confined_process_opens_what_it_is_given_and_nothing_else(tmp_path: Path) -> None:
    for name in ("read", "write", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("content")
    folders = [str(tmp_path / name) for name in ("read", "write", "other")]
    run = subprocess.run([sys.executable, "-c", _ATTEMPT, *folders], capture_output=True, text=True, check=True)
    done = json.loads(run.stdout)
    assert [name for name, works in done.items() if works] == ["read its own", "write its own", "a pair of sockets"]
    assert not (tmp_path / "other" / "made").exists()


def test_the_sandbox_can_be_switched_off_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBRIDGE_SANDBOX", "off")
    assert sandbox_version() == 0
    assert describe_sandbox().startswith("none: ")
    assert describe_sandbox().endswith("models are held to the operations that compute")
