from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from pybridge.errors import SetupError
from pybridge.runtime import ensure


@pytest.fixture
def only_these_on_path(runtime, monkeypatch, tmp_path):
    """PATH holds nothing but the scripts of the test; Node.js is named explicitly."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PYBRIDGE_NODE", str(runtime.node))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CXX", raising=False)
    return folder


@pytest.fixture
def nothing_is_published(cache_with_packages):
    yield
    assert not (cache_with_packages / "runtime" / "unfinished").exists()
    assert not list(cache_with_packages.glob("runtime/addon/*"))


def without_zig():
    if "ziglang" in sys.modules or any((Path(place) / "ziglang").exists() for place in sys.path):
        pytest.skip("ziglang is installed, so there always is a compiler")


def test_npm_failing_shows_its_last_lines_and_publishes_nothing(empty_cache, runtime, monkeypatch, tmp_path):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(SetupError) as caught:
        ensure()
    assert "127.0.0.1:9" in str(caught.value)
    assert "npm config get registry" in str(caught.value.hint)
    assert not list(empty_cache.glob("runtime/npm/*"))


def test_without_a_compiler_the_error_names_what_to_install(nothing_is_published, only_these_on_path):
    without_zig()
    with pytest.raises(SetupError, match=r"no C\+\+ compiler") as caught:
        ensure()
    for command in (
        "apt install g++",
        "dnf install gcc-c++",
        "xcode-select --install",
        "pip install 'pybridge[compiler]'",
    ):
        assert command in str(caught.value.hint)


def test_a_compiler_that_fails_is_quoted(nothing_is_published, only_these_on_path, script):
    without_zig()
    script("g++", "echo 'fatal error: cstddef: No such file' >&2; exit 1")
    with pytest.raises(SetupError, match="cstddef: No such file"):
        ensure()


def test_an_addon_that_does_not_load_is_never_published(nothing_is_published, only_these_on_path, script):
    script("g++", 'while [ "$1" != "-o" ]; do shift; done; echo garbage > "$2"')
    with pytest.raises(SetupError, match="does not load"):
        ensure()


@pytest.mark.slow
def test_a_broken_cxx_does_not_stand_in_the_way_of_a_good_compiler(cache_with_packages, script, monkeypatch):
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        pytest.skip("no C++ compiler on PATH")
    monkeypatch.setenv("CXX", str(script("broken-compiler", "exit 3")))
    assert ensure().addon.is_file()


@pytest.mark.slow
def test_a_full_disk_is_a_set_up_error(cache_with_packages, python):
    # A limit on the size of files fails writes as a full disk does.
    code = """
import resource
from pybridge.errors import SetupError
from pybridge.runtime import ensure
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    ensure()
except SetupError as error:
    print("SetupError", error)
"""
    stdout, stderr = python(code).communicate()
    assert "SetupError" in stdout, stderr
    assert not list(cache_with_packages.glob("runtime/addon/*"))
