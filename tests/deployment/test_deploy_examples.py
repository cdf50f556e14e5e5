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
from ruamel.yaml import YAML

from pybridge.cli import build_parser as cli_parser
from pybridge.deployment import DeployedPackage

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVER = EXAMPLES.parent / "node_runner" / "server"


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


def test_the_compose_file_is_one_of_compose() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    subprocess.run([*checker, str(EXAMPLES / "compose" / "compose.yaml")], check=True, timeout=60)


def documents(name: str) -> list[Any]:
    with (EXAMPLES / name).open("r", encoding="utf-8") as file:
        return list(YAML(typ="safe").load_all(file))


def test_the_server_knows_the_options_of_the_recipes() -> None:
    described = (SERVER / "options.js").read_text("utf-8") + (SERVER / "options.json").read_text("utf-8")
    (compose,) = documents("compose/compose.yaml")
    (deployment, *_) = documents("kubernetes/classifier.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for command in (compose["services"]["classifier"]["command"], container["command"]):
        flags = [word.removeprefix("--") for word in command if word.startswith("--")]
        assert len(flags) >= 3
        assert [flag for flag in flags if f'"{flag}"' not in described and f"  {flag}:" not in described] == []


def test_the_cluster_asks_what_the_server_answers() -> None:
    deployment, _, scaler, _ = documents("kubernetes/classifier.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    command, ports = container["command"], {each["name"]: str(each["containerPort"]) for each in container["ports"]}
    value = {flag: command[command.index(flag) + 1] for flag in ("--port", "--probe-port", "--drain-timeout")}
    assert ports == {"http": value["--port"], "probes": value["--probe-port"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] == "probes"
        assert f"'{asked['path']}'" in (SERVER / "probes.js").read_text("utf-8")
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > int(value["--drain-timeout"]) + pause
    (metric,) = scaler["spec"]["metrics"]
    assert f"'{metric['pods']['metric']['name']}'" in (SERVER / "metrics.js").read_text("utf-8")


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
