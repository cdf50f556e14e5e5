from __future__ import annotations

import json
import shutil

import pytest

from pybridge.runtime import doctor
from pybridge.runtime.python_tensorflow import find_tensorflow
from pybridge.runtime.sandbox import describe_sandbox


def by_name(report):
    return {check.name: check for check in report.checks}


def test_with_everything_set_up_all_is_well_and_the_versions_are_told(runtime):
    report = doctor()
    assert report.ok, str(report)
    checks = by_name(report)
    assert runtime.node_version in checks["Node.js"].found
    assert find_tensorflow().version in checks["TensorFlow"].found
    assert f"loads TensorFlow {find_tensorflow().version}" in checks["native addon"].found


def test_the_report_is_plain_data_and_a_table(runtime):
    report = doctor()
    data = json.loads(json.dumps(report.to_dict()))
    assert data["ok"] is True
    assert {"name", "ok", "found", "advice"} == set(data["checks"][0])
    for check in report.checks:
        assert check.name in str(report)


def test_before_set_up_it_says_what_is_missing_and_changes_nothing(runtime, empty_cache, monkeypatch):
    monkeypatch.setenv("PYBRIDGE_NODE", str(runtime.node))
    report = doctor()
    checks = by_name(report)
    assert not report.ok
    assert "not created yet" in checks["cache"].found
    for name in ("npm packages", "native addon"):
        assert not checks[name].ok
        assert checks[name].advice == "Run: pybridge setup"
    assert "WRONG" in str(report)
    assert not list(empty_cache.glob("runtime/npm")) + list(empty_cache.glob("runtime/addon"))


def test_a_node_that_cannot_be_used_is_told_with_advice_not_raised(monkeypatch, runtime):
    monkeypatch.setenv("PYBRIDGE_NODE", "/nowhere/node")
    checks = by_name(doctor())
    assert not checks["Node.js"].ok
    assert "/nowhere/node" in checks["Node.js"].found
    assert checks["Node.js"].advice
    assert not checks["native addon"].ok


def test_a_damaged_addon_is_found_by_loading_it(runtime, cache_with_packages):
    folder = cache_with_packages / "runtime" / "addon" / runtime.addon.parent.name
    shutil.copytree(runtime.addon.parent, folder)
    (folder / runtime.addon.name).write_bytes(runtime.addon.read_bytes()[:10_000])
    addon = by_name(doctor())["native addon"]
    assert not addon.ok
    assert "does not load" in addon.found
    assert "pybridge setup --force" in addon.advice


@pytest.mark.parametrize("place", ["file/cache"])
def test_a_cache_that_cannot_be_written_is_told(monkeypatch, tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PYBRIDGE_CACHE", str(tmp_path / place))
    cache = by_name(doctor())["cache"]
    assert not cache.ok
    assert "PYBRIDGE_CACHE" in cache.advice


def test_another_tensorflow_on_the_library_path_is_not_the_one_that_is_loaded(monkeypatch, runtime, tmp_path):
    for library in find_tensorflow().libraries:
        (tmp_path / library.name).write_bytes(b"not a library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert by_name(doctor())["native addon"].ok


def test_the_doctor_says_which_sandbox_there_is() -> None:
    sandbox = by_name(doctor())["sandbox"]
    assert sandbox.ok and sandbox.found == describe_sandbox()
