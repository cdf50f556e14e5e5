"""A browser that a comparison started ends with the process that started it, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
from commands import processes

from pybridge.parity.browser import find_browser
from pybridge.runtime import ensure

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from pybridge.parity.browser import Browser
batches = [[np.load(sys.argv[3])]] * 100_000
Browser(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[4])).run("wasm", "layers", batches)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="needs Chromium or Chrome")
def test_no_browser_outlives_a_killed_python(tmp_path: Path) -> None:
    model, profile = tmp_path / "model", tmp_path / "profile"
    profile.mkdir()
    tiny.convolutional_classifier().write(model)
    np.save(tmp_path / "x.npy", np.zeros((1, 20, 20, 3), np.float32))
    arguments = [str(ensure().node_modules), str(model), str(tmp_path / "x.npy"), str(profile)]
    child = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments])
    try:
        _until(lambda: bool(_browsers(profile)))
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    _until(lambda: not _browsers(profile))


def _browsers(profile: Path) -> list[str]:
    return [command for _, command in processes().values() if f"--user-data-dir={profile}" in command]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
