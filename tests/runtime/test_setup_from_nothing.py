from __future__ import annotations

import json
import shutil
import signal
import subprocess

import pytest

from pybridge.runtime import doctor, ensure

pytestmark = pytest.mark.slow

SET_UP = """
import json
from pybridge.runtime import ensure
runtime = ensure(report=lambda line: print(line, flush=True))
print(json.dumps([str(runtime.addon), str(runtime.node_modules), runtime.tensorflow_version]))
"""
FAST_PATH = """
import sys
def refuse(event, arguments):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.system", "os.exec"):
        raise AssertionError(f"started a process: {event} {arguments}")
sys.addaudithook(refuse)
from pybridge.runtime import ensure
ensure(report=lambda line: sys.exit(f"had to do: {line}"))
assert "tensorflow" not in sys.modules
"""


def commands_that_mention(folder):
    """The processes with this folder among their arguments."""
    if shutil.which("ps") is None:
        pytest.skip("no `ps` here")
    listing = subprocess.run(["ps", "-Aww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if str(folder) in line]


@pytest.mark.timeout(600)
@pytest.mark.exhaustive
def test_two_processes_that_set_up_at_once_end_with_one_runtime_that_works(empty_cache, python):
    processes = [python(SET_UP) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    answers = [json.loads(stdout.splitlines()[-1]) for stdout, _ in outputs]
    assert answers[0] == answers[1]
    installs = [stdout.count("Ready:") for stdout, _ in outputs]
    assert sorted(installs) == [0, 1]
    assert doctor().ok, str(doctor())

    child = python(FAST_PATH)
    _, stderr = child.communicate()
    assert child.returncode == 0, stderr


@pytest.mark.timeout(600)
def test_a_set_up_killed_in_each_phase_is_done_again_by_the_next(empty_cache, python, until):
    runtime_folder = empty_cache / "runtime"
    for phase in ("Installing npm packages", "Compiling the native addon"):
        child = python(SET_UP)
        for line in child.stdout:
            if line.startswith(phase):
                break
        until(lambda: any((runtime_folder / "unfinished").glob("*")), f"{phase} has begun")
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert not any(runtime_folder.glob("addon/*"))
    runtime = ensure()
    assert runtime.addon.is_file()
    assert not (runtime_folder / "unfinished").exists()
    assert doctor().ok, str(doctor())


@pytest.mark.exhaustive
def test_force_compiles_anew_what_is_there(cache_with_packages, monkeypatch):
    first = ensure()
    before = first.addon.stat().st_mtime_ns
    lines = []
    monkeypatch.setenv("npm_config_prefer_offline", "true")
    # The packages' folder is shared with the user's own cache here, so that only the addon may be replaced.
    (cache_with_packages / "runtime" / "npm").unlink()
    again = ensure(report=lines.append, force=True)
    assert again == first
    assert again.addon.stat().st_mtime_ns > before
    assert any(line.startswith("Compiling") for line in lines)


def test_an_interrupt_from_the_keyboard_leaves_nothing_running_or_unfinished(cache_with_packages, python, until):
    child = python(SET_UP)
    for line in child.stdout:
        if line.startswith("Compiling"):
            break
    until(lambda: commands_that_mention(cache_with_packages), "the compiler runs")
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate()
    assert "KeyboardInterrupt" in stderr
    assert commands_that_mention(cache_with_packages) == []
    assert not (cache_with_packages / "runtime" / "unfinished").exists()
    assert not list(cache_with_packages.glob("runtime/addon/*"))
