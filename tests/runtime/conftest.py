from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pybridge.runtime import Runtime, cache_dir, ensure

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """The runtime of this user's own cache, set up if need be."""
    return ensure()


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PYBRIDGE_CACHE", str(folder))
    return folder


@pytest.fixture
def cache_with_packages(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which the npm packages are installed and the addon is not compiled."""
    packages = cache_dir() / "runtime" / "npm"
    folder = tmp_path / "cache"
    (folder / "runtime").mkdir(parents=True)
    (folder / "runtime" / "npm").symlink_to(packages)
    monkeypatch.setenv("PYBRIDGE_CACHE", str(folder))
    return folder


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    """Writes an executable shell script, such as a stand-in for a compiler of a broken machine."""

    def write(name: str, body: str) -> Path:
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        file.chmod(0o755)
        return file

    return write


def start_python(code: str, **variables: str) -> subprocess.Popen[str]:
    path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.fixture
def python() -> Callable[..., subprocess.Popen[str]]:
    """Starts another Python that runs the given code with this pybridge."""
    return start_python


@pytest.fixture
def until() -> Callable[[Callable[[], bool], str], None]:
    """Waits until a condition holds, at most two minutes."""

    def wait(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain until {what}"
            time.sleep(0.01)

    return wait
