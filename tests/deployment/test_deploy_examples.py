"""The examples that are not started: they are linted, and what they name exists."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pybridge.cli import build_parser as cli_parser
from pybridge.deployment import DeployedPackage

EXAMPLES = Path(__file__).parents[2] / "examples"


def commands_of_pybridge(text: str) -> list[list[str]]:
    """The arguments of each ``pybridge ...`` on a line or behind ``&&``."""
    found = re.findall(r"(?:^|&&|run:)\s*pybridge ([^\n>&]*)", text, re.MULTILINE)
    return [shlex.split(re.sub(r"\$\{\{[^}]*\}\}", "7", command)) for command in found]


def test_every_command_of_an_example_is_one_of_the_command_line() -> None:
    files = [*EXAMPLES.rglob("*.md"), *EXAMPLES.rglob("*.yml")]
    commands = [command for file in files for command in commands_of_pybridge(file.read_text("utf-8"))]
    assert len(commands) >= 7
    for command in commands:
        assert cli_parser().parse_args(command).run


def test_the_workflow_is_one_of_github() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    subprocess.run([*checker, str(EXAMPLES / "ci" / "parity.yml")], check=True, timeout=60)


def test_the_dockerfile_passes_its_linter() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not built for this machine")
    done = subprocess.run([linter, str(EXAMPLES / "docker" / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_what_the_package_has(package: DeployedPackage) -> None:
    lines = (EXAMPLES / "docker" / "Dockerfile").read_text("utf-8")
    *_, command = re.findall(r"^CMD (\[.*\])$", lines, re.MULTILINE)
    node, script, *_ = json.loads(command)
    described: dict[str, Any] = json.loads((package.path / "package.json").read_text())
    assert f"{node} {script}" == described["scripts"]["start"]
    assert (package.path / script).is_file()
    assert re.search(r"^USER [1-9]", lines, re.MULTILINE)
