"""The Node.js runner, or TensorFlow's process, is killed in every phase: a clear error, no orphan, a loadable run."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import CommandLine, Started, record, weight_hashes

from pybridge.graphs.training.program import TrainingProgram
from pybridge.training.run_directory import RunDirectory

NODE = ("main.js",)
# Enough of them that a kill after the second cannot come too late.
EPOCHS = 40


def in_start(command: Started) -> int:
    """Node.js runs; TensorFlow.js is being loaded."""
    return command.descendant(*NODE)


def in_features(command: Started) -> int:
    """The frozen part has run for some of the images."""
    runner = command.descendant(*NODE)
    command.until(lambda: re.search(r"Training images: .*[1-9]\d*/96", command.stderr))
    return runner


def in_training(command: Started) -> int:
    """Two epochs are finished."""
    runner = command.descendant(*NODE)
    command.until(lambda: re.search(r"epoch +2\b", command.stderr))
    return runner


def in_saving(command: Started) -> int:
    """The last epoch is finished; the weights are being read, judged and written."""
    runner = command.descendant(*NODE)
    command.until(lambda: re.search(rf"epoch +{EPOCHS}\b", command.stderr))
    return runner


@pytest.fixture(scope="module")
def uninterrupted(waste: Path, small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The weights of a training that nobody disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    CommandLine(folder)(*train(waste, small_base))
    return weight_hashes(folder / "run")


def train(photos: Path, base: Path) -> Sequence[object]:
    return ("train", photos, "--out", "run", "--base", base, "--seed", 0, "--epochs", EPOCHS, "--patience", 0)


def rarely(case: Any) -> Any:
    """A case of which the gate runs a sister."""
    return pytest.param(case, marks=pytest.mark.exhaustive)


def check_resumed(pybridge: CommandLine, photos: Path, base: Path, expected: dict[str, str]) -> None:
    """What is there can be loaded, and --resume goes on to the same end."""
    run = pybridge.folder / "run"
    if (run / "run.json").exists():
        found, model = RunDirectory(run).read()
        assert model.weights
        assert found.class_names[0] == "cardboard"
    resumed = pybridge.json(*train(photos, base), "--resume")
    assert resumed["epochs"] == EPOCHS
    assert record(run)["status"] == "finished"
    assert weight_hashes(run) == expected
    RunDirectory(run).read()


@pytest.mark.slow
@pytest.mark.parametrize("phase", [rarely(in_start), rarely(in_features), in_training])
def test_a_killed_runner_is_a_clear_error_and_the_run_goes_on(
    phase: Callable[[Started], int], pybridge: CommandLine, waste: Path, small_base: Path, uninterrupted: dict[str, str]
) -> None:
    with pybridge.started(*train(waste, small_base), PYBRIDGE_PROGRESS="1") as command:
        os.kill(phase(command), signal.SIGKILL)
        assert command.wait() == 1, command.stderr
        assert "was ended by SIGKILL" in command.stderr
        assert "Traceback" not in command.stderr
        assert command.orphans() == []
    check_resumed(pybridge, waste, small_base, uninterrupted)


@pytest.mark.slow
def test_a_runner_killed_while_the_run_is_saved_leaves_it_loadable(
    pybridge: CommandLine, waste: Path, small_base: Path, uninterrupted: dict[str, str]
) -> None:
    with pybridge.started(*train(waste, small_base), PYBRIDGE_PROGRESS="1") as command:
        os.kill(in_saving(command), signal.SIGKILL)
        assert command.wait() in (0, 1), command.stderr
        assert "Traceback" not in command.stderr
        assert command.orphans() == []
    check_resumed(pybridge, waste, small_base, uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("phase", [rarely(in_start), rarely(in_features), in_training, in_saving])
def test_a_killed_python_leaves_no_orphan_and_the_run_goes_on(
    phase: Callable[[Started], int], pybridge: CommandLine, waste: Path, small_base: Path, uninterrupted: dict[str, str]
) -> None:
    with pybridge.started(*train(waste, small_base), PYBRIDGE_PROGRESS="1") as command:
        phase(command)
        command.descendants()
        command.child.send_signal(signal.SIGKILL)
        assert command.wait() == -signal.SIGKILL
        assert command.orphans() == []
    check_resumed(pybridge, waste, small_base, uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("phase", [rarely(in_start), in_features])
def test_ctrl_c_before_the_first_epoch_stops_at_once(
    phase: Callable[[Started], int], pybridge: CommandLine, waste: Path, small_base: Path, uninterrupted: dict[str, str]
) -> None:
    with pybridge.started(*train(waste, small_base), PYBRIDGE_PROGRESS="1") as command:
        phase(command)
        command.interrupt()
        assert command.wait() == 130, command.stderr
        assert "Interrupted." in command.stderr
        assert "Traceback" not in command.stderr
        assert command.orphans() == []
    check_resumed(pybridge, waste, small_base, uninterrupted)


@pytest.mark.slow
def test_ctrl_c_in_training_keeps_the_best_weights(
    pybridge: CommandLine, waste: Path, other_waste: Path, small_base: Path
) -> None:
    arguments = ("train", waste, "--out", "run", "--base", small_base, "--seed", 0, "--epochs", 100_000, "--patience", 0)
    with pybridge.started(*arguments) as command:
        in_training(command)
        command.interrupt()
        assert command.wait() == 130, command.stderr
        assert "the weights of epoch" in command.stderr
        assert "Traceback" not in command.stderr
        assert command.orphans() == []
    found, _ = RunDirectory(pybridge.folder / "run").read()
    assert len(found.history) >= 2
    assert found.history.best_epoch is not None
    assert pybridge.json("evaluate", "run", other_waste)["images"] == 30


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["tensorflow", rarely("python")])
def test_a_kill_while_the_model_is_traced(
    victim: str,
    pybridge: CommandLine,
    waste: Path,
    small_base: Path,
    cache_without_models: Path,
    uninterrupted: dict[str, str],
) -> None:
    with pybridge.started(*train(waste, small_base), PYBRIDGE_CACHE=str(cache_without_models)) as command:
        tracing = command.descendant("pybridge.graphs.tensorflow_process")
        os.kill(tracing if victim == "tensorflow" else command.child.pid, signal.SIGKILL)
        code = command.wait()
        # Killed before its first job, TensorFlow's process is started again.
        if victim == "tensorflow" and code != 0:
            assert code == 1, command.stderr
            assert "TensorFlow process ended" in command.stderr
            assert "pybridge doctor" in command.stderr
        assert "Traceback" not in command.stderr
        assert command.orphans() == []
    check_resumed(pybridge, waste, small_base, uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [rarely("tensorflow"), "ctrl-c"])
def test_an_end_while_the_training_is_traced_beside_the_features(
    victim: str,
    pybridge: CommandLine,
    waste: Path,
    small_base: Path,
    cache_without_models: Path,
    uninterrupted: dict[str, str],
) -> None:
    with pybridge.started(*train(waste, small_base), PYBRIDGE_CACHE=str(cache_without_models), PYBRIDGE_PROGRESS="1") as command:
        in_features(command)
        if victim == "ctrl-c":
            command.interrupt()
            assert command.wait() == 130, command.stderr
        else:
            os.kill(command.descendant("pybridge.graphs.tensorflow_process"), signal.SIGKILL)
            # On a fast machine it may have finished, and is started again for the proof.
            assert command.wait() in (0, 1), command.stderr
        assert "Traceback" not in command.stderr
        assert command.orphans() == []
    programs = cache_without_models / "programs"
    assert not list(programs.glob("tracing-*"))
    for folder in programs.glob("training-*"):
        TrainingProgram.read(folder)
    check_resumed(pybridge, waste, small_base, uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_a_runner_killed_in_prediction_is_a_clear_error(verb: str, pybridge: CommandLine, waste: Path, waste_run: Path) -> None:
    with pybridge.started(verb, waste_run, waste) as command:
        os.kill(command.descendant(*NODE), signal.SIGKILL)
        assert command.wait() == 1, command.stderr
        assert "was ended by SIGKILL" in command.stderr
        assert "Traceback" not in command.stderr
        assert command.orphans() == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", [pytest.param("npm", marks=pytest.mark.exhaustive), "python"])
def test_a_kill_in_set_up_is_made_good_by_the_next_set_up(victim: str, pybridge: CommandLine) -> None:
    cache = str(pybridge.folder / "cache")
    with pybridge.started("setup", PYBRIDGE_CACHE=cache) as command:
        npm = command.descendant("npm", " ci")
        os.kill(command.child.pid if victim == "python" else npm, signal.SIGKILL)
        code = command.wait()
        if victim == "npm":
            assert code == 1, command.stderr
            assert "pybridge: " in command.stderr
        assert "Traceback" not in command.stderr
        assert command.orphans() == []
    assert pybridge.json("doctor", PYBRIDGE_CACHE=cache, code=1)["ok"] is False
    pybridge("setup", PYBRIDGE_CACHE=cache)
    assert pybridge.json("doctor", PYBRIDGE_CACHE=cache)["ok"] is True


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", [pytest.param(victim, marks=pytest.mark.exhaustive) for victim in ("compiler", "python")])
def test_a_kill_in_compilation_leaves_nothing_half_done(victim: str, pybridge: CommandLine) -> None:
    cache = str(pybridge.folder / "cache")
    with pybridge.started("setup", PYBRIDGE_CACHE=cache) as command:
        compiler = command.descendant("tfjs_backend.cc", "-std=c++17")
        os.kill(command.child.pid if victim == "python" else compiler, signal.SIGKILL)
        code = command.wait()
        # Where a compiler fails the next one on PATH is tried.
        assert code == -signal.SIGKILL if victim == "python" else code in (0, 1), command.stderr
        assert "Traceback" not in command.stderr
        assert command.orphans() == []
    assert pybridge.json("doctor", PYBRIDGE_CACHE=cache, code=code if code in (0, 1) else 1)["ok"] is (code == 0)
    pybridge("setup", PYBRIDGE_CACHE=cache)
    assert pybridge.json("doctor", PYBRIDGE_CACHE=cache)["ok"] is True
