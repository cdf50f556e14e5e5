"""Mistakes are seen before a process is started, and the server's own options have sense."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pybridge as pb
from pybridge.cli import main
from pybridge.deployment.server import named_models
from pybridge.runtime import ensure
from pybridge.runtime.bundle import find_bundle


def test_models_are_named_on_the_command_line(tmp_path: Path) -> None:
    assert named_models(["cats=runs/1", "dogs=runs/2"]) == {"cats": "runs/1", "dogs": "runs/2"}
    assert named_models(["My Run (2)", "b"]) == {"my-run-2": "My Run (2)", "b": "b"}
    strange = tmp_path / "a=b"
    strange.mkdir()
    assert named_models([str(strange)]) == str(strange)
    with pytest.raises(pb.BridgeError, match="Two models are called a"):
        named_models(["a=1", "a=2"])


def test_what_is_no_run_and_no_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pb.DataError, match="neither a run nor a deployed package"):
        pb.serve(tmp_path)
    with pytest.raises(pb.DataError, match="not a name for a model"):
        pb.serve({"../x": tmp_path})
    with pytest.raises(pb.DataError, match="There is no limit 'speed'"):
        pb.serve(tmp_path, limits={"speed": 1})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"limits": {"max_body": 1}}, "max_body must be a whole number from 1024 to 1073741824, not 1"),
        ({"limits": {"max_batch": 1.5}}, "max_batch must be a whole number"),
        ({"limits": {"reload": float("nan")}}, "reload must be a number from 0 to 86400"),
        ({"port": 70000}, "port must be a whole number from 0 to 65535"),
        ({"workers": 0}, "workers must be"),
    ],
)
def test_a_limit_that_the_server_would_refuse_is_refused_before_it_starts(
    tmp_path: Path, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(pb.DataError, match=words):
        pb.serve(tmp_path, **arguments)


def test_python_and_the_server_list_the_same_options_with_the_same_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    ours, theirs = " ".join(capsys.readouterr().out.split()), run_server("--help").stdout
    defaults = re.findall(r"^ +(--[a-z-]+) N +(.*) \(default (.*)\)$", theirs, re.MULTILINE)
    assert len(defaults) == 16
    for flag, meaning, default in defaults:
        assert f"{flag} N {meaning} (default {default})" in ours


def run_server(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    runtime = ensure()
    main_js = find_bundle().node_runner / "server" / "main.js"
    environment = {**os.environ, **runtime.environment(), **env}
    return subprocess.run(
        [str(runtime.node), str(main_js), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "at least one model"),
        (["--port", "70000", "."], "--port must be"),
        (["--workers", "1.5", "."], "--workers must be"),
        (["--prot", "1", "."], "--prot"),
        (["a=.", "a=."], "called a"),
        (["a=/nowhere-at-all"], "no folder"),
        (["--token-file", "/nowhere-at-all", "a=."], "cannot be read"),
    ],
)
def test_a_mistake_in_the_servers_options_is_one_line(arguments: list[str], words: str) -> None:
    done = run_server(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.slow
def test_the_readmes_example_gets_an_answer(served_run: Path, picture_files: list[Path], tmp_path: Path) -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
    (example,) = (
        block for block in re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE) if "pb.serve" in block
    )
    (tmp_path / "run").symlink_to(served_run)
    (tmp_path / "photo.jpg").symlink_to(picture_files[1])
    (tmp_path / "example.py").write_text(example.replace("    requests", "    answer = requests") + "print(answer)\n")
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "probability" in done.stdout
