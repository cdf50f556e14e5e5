"""The wheel holds all that is needed: it works in another environment, outside the repository."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from commands import environment

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel; what pybridge depends on is lent to it by this one."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", folder, REPOSITORY]
    subprocess.run(build, check=True, cwd=folder)
    (wheel,) = folder.glob("pybridge-*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run(install, check=True, cwd=folder)
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True, capture_output=True, text=True
    ).stdout.strip()
    # Plain path entries do not run the .pth files of the lender, among them that of an editable pybridge.
    (Path(site) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(python: Path, *arguments: object, **env: str) -> str:
    lent = {name: value for name, value in environment(**env).items() if name != "PYTHONPATH"}
    command = [python.parent / "pybridge", *arguments]
    done = subprocess.run([*map(str, command)], cwd=python.parent.parent, env=lent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_package_and_its_node_side_come_from_the_wheel(installed: Path) -> None:
    script = (
        "import pybridge; from pybridge.runtime.bundle import find_bundle; print(pybridge.__file__); print(find_bundle().main_js)"
    )
    shown = subprocess.run([installed, "-c", script], cwd=installed.parent, check=True, capture_output=True, text=True).stdout
    for path in map(Path, shown.split()):
        assert path.is_relative_to(installed.parent.parent)
        assert not path.is_relative_to(REPOSITORY)
        assert path.is_file()


def test_it_trains_outside_the_repository(installed: Path, waste: Path, small_base: Path, tmp_path: Path) -> None:
    run(installed, "setup")
    assert json.loads(run(installed, "doctor", "--json"))["ok"] is True
    out = tmp_path / "run"
    trained = json.loads(run(installed, "train", waste, "--out", out, "--base", small_base, "--epochs", 1, "--json"))
    assert trained["epochs"] == 1
    assert "held-out images" in (out / "report.html").read_text("utf-8")
    assert json.loads(run(installed, "verify", out, waste / "glass", "--json"))["passed"] is True
