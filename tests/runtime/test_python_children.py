"""The Python processes that pybridge starts take no modules from the folder in which their user happens to be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pybridge.graphs import TensorFlowProcess
from pybridge.runtime.commands import python_code, python_module
from pybridge.runtime.sandbox import Confinement, confined_command


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from elsewhere, with modules under names that are imported early; gives the file that they would write."""
    ran = tmp_path / "ran"
    folder = tmp_path / "downloaded"
    folder.mkdir()
    for name in ("json.py", "runpy.py", "pybridge.py", "numpy.py", "ctypes.py"):
        (folder / name).write_text(f"open({str(ran)!r}, 'a').write({name!r}); raise SystemExit(9)")
    monkeypatch.chdir(folder)
    return ran


def test_code_and_modules_are_not_taken_from_there(strange: Path) -> None:
    for command in (python_code("import json; print(sys.argv[1])", "word"), python_module("json.tool", "--help")):
        assert subprocess.run(command, capture_output=True, check=True).stdout
    assert not strange.exists()


def test_a_confined_program_starts_there(strange: Path) -> None:
    done = subprocess.run(confined_command(["/bin/echo", "here"], Confinement()), capture_output=True, text=True, check=True)
    assert done.stdout == "here\n"
    assert not strange.exists()


@pytest.mark.slow
def test_the_tensorflow_process_works_there(strange: Path, tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    with TensorFlowProcess({}) as process:
        assert process.run(tmp_path / "job", "trace", {"items": []}) == {}
    assert not strange.exists()
