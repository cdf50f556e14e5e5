"""Tracing programs once, keeping them, and doing so in a process of its own."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tiny

from pybridge.data import Preprocessing
from pybridge.errors import BridgeError, DataError, ModelFormatError, SetupError
from pybridge.graphs import Program, TensorFlowProcess, programs_for, run_reference
from pybridge.graphs.cache import tracing_folder
from pybridge.graphs.training.cache import rules_hash
from pybridge.runtime import Runtime, ensure
from pybridge.tfjs.surgery import append_head

DOUBLING = Preprocessing(4, 4, mean=(0.0,), std=(0.5,))


@pytest.fixture
def runtime() -> Runtime:
    return ensure()


@pytest.fixture
def own_cache(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for programs; the runtime was found before."""
    monkeypatch.setenv("PYBRIDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def times(program: Program) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in program.folder.rglob("*")}


def test_a_program_that_is_in_the_cache_is_not_traced_again(runtime: Runtime, tensorflow: TensorFlowProcess) -> None:
    (first,) = programs_for([DOUBLING], runtime, tensorflow)
    before = times(first)
    (second,) = programs_for([DOUBLING], runtime, tensorflow)
    assert second == first
    assert times(second) == before


def test_a_program_that_others_may_change_is_not_used(runtime: Runtime, tensorflow: TensorFlowProcess, own_cache: Path) -> None:
    (program,) = programs_for([DOUBLING], runtime, tensorflow)
    program.folder.chmod(0o777)
    with pytest.raises(SetupError, match=f"Everybody may write to {program.folder}"):
        programs_for([DOUBLING], runtime, tensorflow)


def test_a_program_describes_itself_as_it_was_written(runtime: Runtime, tensorflow: TensorFlowProcess) -> None:
    (program,) = programs_for([DOUBLING], runtime, tensorflow)
    assert Program.read(program.folder) == Program.from_dict(program.to_dict()) == program
    assert program.output_shape == (4, 4, 3)
    assert {name: [spec.name for spec in each.inputs] for name, each in program.signatures.items()} == {
        "files": ["images", "orientations", "boxes", "flips", "brightness"],
        "pixels": ["images", "boxes", "flips", "brightness"],
    }


def test_a_refused_input_is_a_bridge_error_with_the_reason(runtime: Runtime, tensorflow: TensorFlowProcess) -> None:
    programs = programs_for([DOUBLING], runtime, tensorflow)
    one = [np.array([[0, 0, 1, 1]], np.float32), np.array([False]), np.ones(1, np.float32)]
    with pytest.raises(BridgeError, match="Unknown image file format"):
        run_reference(programs, "files", [[[b"no picture"], np.ones(1, np.int32), *one]], tensorflow, keep=[0])


def test_an_error_in_the_tensorflow_process_arrives_as_what_it_was(
    runtime: Runtime, tensorflow: TensorFlowProcess, tmp_path: Path
) -> None:
    """A layer that cannot be traced is a ModelFormatError that names the layer."""
    model = append_head(tiny.entrance(4, 4, 3), [tiny.layer("ConvLSTM2D", "odd_one", filters=1)], {})
    with pytest.raises(ModelFormatError, match="odd_one"):
        programs_for([model], runtime, tensorflow)


def test_an_unknown_job_says_so_and_the_process_goes_on(tensorflow: TensorFlowProcess, tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="KeyError: 'dance'"):
        tensorflow.run(tmp_path, "dance", {})


def tensorflow_children() -> list[int]:
    """Children of this process that run TensorFlow jobs; Linux only."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(folder.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1])
            command = folder.joinpath("cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if parent == os.getpid() and b"tensorflow_process" in command:
            found.append(int(folder.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the child in /proc")
def test_a_killed_tensorflow_process_is_a_clear_error(runtime: Runtime, own_cache: Path) -> None:
    ended = threading.Event()
    others = set(tensorflow_children())

    def kill() -> None:
        while not ended.is_set():
            for pid in set(tensorflow_children()) - others:
                os.kill(pid, signal.SIGKILL)
                return

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(BridgeError, match=r"TensorFlow process ended with code -9 during trace"):
            programs_for([DOUBLING], runtime, TensorFlowProcess(runtime.environment()))
    finally:
        ended.set()
        killer.join()
    assert not [path for path in (own_cache / "programs").iterdir() if path.suffix != ".lock"], "nothing half traced is left"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for the child in /proc")
def test_the_tensorflow_process_ends_with_the_process_that_started_it(runtime: Runtime, own_cache: Path) -> None:
    script = (
        "from pybridge.data import Preprocessing; from pybridge.graphs import programs_for\n"
        "import sys, pickle, threading; runtime = pickle.load(sys.stdin.buffer)\n"
        "threading.Thread(target=lambda: programs_for([Preprocessing(64, 64)], runtime), daemon=True).start()\n"
        "print('started', flush=True); threading.Event().wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(pickle.dumps(runtime))
    parent.stdin.close()
    assert parent.stdout.readline() == b"started\n"
    deadline = time.monotonic() + 30
    children: list[int] = []
    while not children and time.monotonic() < deadline:
        children = [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if (stat := _read(folder / "stat")) and int(stat.rsplit(")", 1)[1].split()[1]) == parent.pid
        ]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    while any(_is_running(pid) for pid in children) and time.monotonic() < deadline:
        pass
    assert children
    assert not any(_is_running(pid) for pid in children)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _is_running(pid: int) -> bool:
    stat = _read(Path(f"/proc/{pid}/stat"))
    return bool(stat) and stat.rsplit(")", 1)[1].split()[0] not in ("Z", "X")


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "program.json").write_text("{"),
        lambda folder: (folder / "program.json").unlink(),
        lambda folder: (folder / "saved_model.pb").unlink(),
        lambda folder: (folder / "saved_model.pb").write_bytes((folder / "saved_model.pb").read_bytes()[:100]),
    ],
    ids=["manifest cut off", "manifest missing", "graph missing", "graph cut off"],
)
def test_a_damaged_program_is_traced_anew(
    runtime: Runtime, tensorflow: TensorFlowProcess, own_cache: Path, damage: object
) -> None:
    (whole,) = programs_for([DOUBLING], runtime, tensorflow)
    damage(whole.folder)  # type: ignore[operator]
    with pytest.raises(ModelFormatError, match="no complete traced program"):
        Program.read(whole.folder)
    (again,) = programs_for([DOUBLING], runtime, tensorflow)
    assert again == whole
    pixels = np.full((1, 4, 4, 3), 7, np.uint8)
    view = [np.array([[0, 0, 1, 1]], np.float32), np.array([False]), np.ones(1, np.float32)]
    np.testing.assert_allclose(run_reference([again], "pixels", [[pixels, *view]], tensorflow, keep=[0])[0], 14, atol=1e-4)


@pytest.mark.slow
def test_two_processes_that_trace_at_once_end_with_the_same_program(runtime: Runtime, own_cache: Path) -> None:
    script = (
        "from pybridge.data import Preprocessing; from pybridge.graphs import programs_for; import sys, pickle\n"
        "print(programs_for([Preprocessing(6, 6)], pickle.load(sys.stdin.buffer))[0].folder)"
    )
    both = [subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write(pickle.dumps(runtime))
        process.stdin.close()
        process.stdin = None
    folders = [process.communicate()[0].decode().strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert folders[0] == folders[1]
    assert Program.read(Path(folders[0])).output_shape == (6, 6, 3)


@pytest.mark.slow
def test_what_a_model_computes_as_a_program_is_what_keras_computes(runtime: Runtime, tensorflow: TensorFlowProcess) -> None:
    from pybridge.models import to_keras

    model = tiny.convolution()
    images = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)
    (result,) = run_reference(programs_for([model], runtime, tensorflow), "default", [[images]], tensorflow, keep=[0])
    np.testing.assert_allclose(result, to_keras(model)(images, training=False).numpy(), atol=1e-5)


def test_a_preprocessing_of_another_size_is_another_program(runtime: Runtime, tensorflow: TensorFlowProcess) -> None:
    one, other = programs_for([DOUBLING, Preprocessing(8, 12, mean=(0.0,), std=(1.0,))], runtime, tensorflow)
    assert one.folder != other.folder


def test_an_impossible_preprocessing_never_reaches_tensorflow() -> None:
    with pytest.raises(DataError):
        Preprocessing(0, 4)


def test_a_full_disk_is_named_with_what_to_do() -> None:
    with pytest.raises(BridgeError, match="No space left") as caught, tracing_folder():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "PYBRIDGE_CACHE" in str(caught.value)


def test_a_changed_rule_of_an_optimizer_is_another_training(tmp_path: Path) -> None:
    (tmp_path / "adam.py").write_text("step = 1\n")
    before = rules_hash(tmp_path)
    assert rules_hash(tmp_path) == before
    (tmp_path / "adam.py").write_text("step = 2\n")
    assert rules_hash(tmp_path) != before
