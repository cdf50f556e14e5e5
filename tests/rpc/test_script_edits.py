"""A script that is edited between two calls is run as it is now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pybridge.errors import RemoteError
from pybridge.rpc.runner import Runner


def call(runner: Runner, path: Path, function: str = "value") -> Any:
    return runner.call("script.call", {"path": str(path), "function": function, "args": []})


def edit(path: Path, text: str) -> None:
    """Writes a file whose time of change differs for certain, whatever the file system's clock can tell apart."""
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before + 10_000_000, before + 10_000_000))


@pytest.mark.parametrize(("name", "declaration"), [("value.js", "exports.value = "), ("value.mjs", "export const value = ")])
def test_the_script_itself(runner: Runner, tmp_path: Path, name: str, declaration: str) -> None:
    path = tmp_path / name
    for number in (1, 2, 3):
        (edit if path.exists() else Path.write_text)(path, f"{declaration}() => {number};")
        assert call(runner, path) == number


@pytest.mark.parametrize(
    ("script", "part", "text"),
    [
        ("exports.value = () => require('./part.js').number;", "part.js", "exports.number = {};"),
        ("const {{ number }} = require('./part.js'); exports.value = () => number;", "part.js", "exports.number = {};"),
        ("exports.value = () => require('./part.json');", "part.json", "{}"),
    ],
)
def test_a_part_that_a_script_requires(runner: Runner, tmp_path: Path, script: str, part: str, text: str) -> None:
    (tmp_path / "script.js").write_text(script.replace("{{", "{").replace("}}", "}"))
    (tmp_path / part).write_text(text.format(1))
    assert call(runner, tmp_path / "script.js") == 1
    edit(tmp_path / part, text.format(2))
    assert call(runner, tmp_path / "script.js") == 2


def test_a_part_of_a_part_of_an_es_module(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "script.mjs").write_text("import { number } from './middle.mjs'; export const value = () => number;")
    (tmp_path / "middle.mjs").write_text("export { number } from './part.mjs';")
    (tmp_path / "part.mjs").write_text("export const number = 1;")
    assert call(runner, tmp_path / "script.mjs") == 1
    edit(tmp_path / "part.mjs", "export const number = 2;")
    assert call(runner, tmp_path / "script.mjs") == 2


def test_what_has_not_changed_keeps_its_state(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "state.js").write_text("let count = 0; exports.next = () => ++count;")
    (tmp_path / "script.js").write_text("exports.value = () => require('./state.js').next();")
    assert call(runner, tmp_path / "script.js") == 1
    edit(tmp_path / "script.js", "exports.value = () => 10 * require('./state.js').next();")
    assert call(runner, tmp_path / "script.js") == 20


def test_a_broken_edit_is_told_until_it_is_mended(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "script.js"
    path.write_text("exports.value = () => 1;")
    assert call(runner, path) == 1
    edit(path, "exports.value = (")
    for _ in range(2):
        with pytest.raises(RemoteError, match="SyntaxError"):
            call(runner, path)
    edit(path, "exports.value = () => 2;")
    assert call(runner, path) == 2


def test_a_script_that_is_gone_is_named(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "script.js"
    path.write_text("exports.value = () => 1;")
    assert call(runner, path) == 1
    path.unlink()
    with pytest.raises(RemoteError, match=r"there is no file .*script\.js"):
        call(runner, path)
