from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from pybridge.errors import SetupError
from pybridge.runtime import Runtime, cache_dir, doctor, ensure
from pybridge.storage.cache import is_complete, set_up_lock, staged

HOLD_THE_LOCK = """
from pybridge.storage.cache import set_up_lock
with set_up_lock(print):
    print("locked", flush=True)
    input()
"""


def silent(_line: str) -> None:
    return None


def test_pybridge_cache_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PYBRIDGE_CACHE", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"


def test_a_home_folder_and_a_relative_path_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYBRIDGE_CACHE", "here")
    assert cache_dir() == tmp_path / "here"
    monkeypatch.setenv("PYBRIDGE_CACHE", "~/there")
    assert cache_dir() == Path.home() / "there"


def test_a_folder_appears_only_when_it_is_finished(empty_cache):
    final = empty_cache / "runtime" / "thing"
    with set_up_lock(silent), staged(final) as folder:
        (folder / "file").write_text("content")
        assert not final.exists()
    assert is_complete(final)
    assert (final / "file").read_text() == "content"


def test_a_failure_publishes_nothing_and_leaves_nothing(empty_cache):
    final = empty_cache / "runtime" / "thing"
    with pytest.raises(ZeroDivisionError), set_up_lock(silent), staged(final) as folder:
        (folder / "file").write_text("content")
        raise ZeroDivisionError
    assert sorted(path.name for path in (empty_cache / "runtime").iterdir()) == ["setup.lock"]


def test_an_incomplete_folder_in_its_place_is_replaced(empty_cache):
    final = empty_cache / "runtime" / "thing"
    (final / "half").mkdir(parents=True)
    assert not is_complete(final)
    with set_up_lock(silent), staged(final) as folder:
        (folder / "file").write_text("content")
    assert sorted(path.name for path in final.iterdir()) == ["complete", "file"]


def test_leftovers_of_a_killed_set_up_are_removed_by_the_next(empty_cache, python):
    child = python("""
import os, signal
from pybridge.storage.cache import cache_dir, set_up_lock, staged
with set_up_lock(print), staged(cache_dir() / "runtime" / "thing") as folder:
    (folder / "half").write_text("content")
    os.kill(os.getpid(), signal.SIGKILL)
""")
    child.communicate()
    assert list((empty_cache / "runtime" / "unfinished").glob("**/half"))
    with set_up_lock(silent):
        assert not (empty_cache / "runtime" / "unfinished").exists()


def test_a_second_process_waits_says_so_and_goes_on_when_the_first_is_killed(empty_cache, python):
    first = python(HOLD_THE_LOCK)
    assert first.stdout.readline() == "locked\n"
    waiting, entered, lines = threading.Event(), threading.Event(), []

    def second():
        def report(line):
            lines.append(line)
            waiting.set()

        with set_up_lock(report):
            entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert waiting.wait(60)
    assert not entered.is_set()
    first.kill()
    first.communicate()
    assert entered.wait(60)
    thread.join()
    assert lines == ["Waiting for another process that is setting up..."]


@pytest.mark.parametrize("place", ["file/cache", "/proc/pybridge"])
def test_a_cache_that_cannot_be_written_is_a_set_up_error_that_says_what_to_do(monkeypatch, tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    if place.startswith("/proc") and not Path("/proc").is_dir():
        pytest.skip("no /proc here")
    monkeypatch.setenv("PYBRIDGE_CACHE", str(tmp_path / place))
    with pytest.raises(SetupError, match="Set PYBRIDGE_CACHE"):
        ensure()


@pytest.fixture
def own_addon(runtime: Runtime, cache_with_packages: Path) -> Path:
    """The addon in a cache of its own, which `ensure` takes as it is."""
    folder = cache_with_packages / "runtime" / "addon" / runtime.addon.parent.name
    shutil.copytree(runtime.addon.parent, folder)
    assert ensure().addon == folder / runtime.addon.name
    return folder / runtime.addon.name


@pytest.mark.parametrize("depth", range(4))
def test_an_addon_that_others_may_change_is_not_loaded(own_addon: Path, depth: int) -> None:
    place = (own_addon, *own_addon.parents)[depth]
    place.chmod(place.stat().st_mode | 0o002)
    with pytest.raises(SetupError, match=f"Everybody may write to {place}, and so change the code") as caught:
        ensure()
    assert caught.value.hint is not None
    subprocess.run(caught.value.hint.rpartition(": ")[2], shell=True, check=True)
    assert ensure().addon == own_addon


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_an_addon_of_somebody_else_is_not_loaded(own_addon: Path) -> None:
    os.chown(own_addon, 54321, -1)
    with pytest.raises(SetupError, match="belongs to user 54321, not to you"):
        ensure()


def test_doctor_says_that_others_may_write_to_the_cache(empty_cache: Path) -> None:
    empty_cache.mkdir()
    empty_cache.chmod(0o777)
    (check,) = (check for check in doctor().checks if check.name == "cache")
    assert not check.ok
    assert "Everybody may write" in check.found
    assert "chmod -R go-w" in check.advice
