"""A run directory is loadable whichever file operation is the last one before the process dies."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny

from pybridge.classifier import ImageClassifier
from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.training.checkpoint import write_checkpoint
from pybridge.training.history import History
from pybridge.training.loop import FitState
from pybridge.training.run_directory import RunDirectory, RunRecord

pytestmark = pytest.mark.slow

START = tiny.convolutional_classifier()
LEARNED = replace(START, weights={name: value + np.float32(1) for name, value in START.weights.items()})
ROW = {"epoch": 1, "loss": 0.5, "val_loss": 0.25}
OPERATIONS = ("open", "os.rename", "os.mkdir", "os.remove")


def described(status: str, history: History) -> RunRecord:
    scaling = Preprocessing(16, 16, mean=(127.0,), std=(128.0,))
    return RunRecord(status, {"name": "tiny"}, ("dark", "light"), scaling, None, {}, 0, {}, history=history)


def begin(run: RunDirectory) -> None:
    run.write(described("training", History()), START)


def finish_epoch(run: RunDirectory) -> None:
    write_checkpoint(run.checkpoints, FitState(History([ROW], 1), {"weights": [], "optimizer": []}, LEARNED.weights, 1e-3))
    run.write_history(History([ROW]))


def finish(run: RunDirectory) -> None:
    run.write(described("finished", History([ROW], 1)), LEARNED, "<html></html>")


def killed_at(operation: int, work: object, run: RunDirectory) -> bool:
    """Does the work in a process that is killed as it begins its n-th file operation; False if the work has fewer."""
    child = os.fork()
    if child == 0:
        remaining = operation

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal remaining
            if event in OPERATIONS and str(run.path) in str(arguments):
                remaining -= 1
                if remaining < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work(run)  # type: ignore[operator]
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
        return False
    return True


def states_of_kills(work: object, prepared: Path, folder: Path) -> list[RunDirectory]:
    """The run directories that kills at every file operation of the work leave."""
    runs: list[RunDirectory] = []
    while True:
        run = RunDirectory(folder / f"killed{len(runs)}")
        if prepared.exists():
            shutil.copytree(prepared, run.path)
        if not killed_at(len(runs), work, run):
            return runs
        runs.append(run)


def same_weights(run: RunDirectory, one: object) -> bool:
    _, model = run.read()
    return all(np.array_equal(model.weights[name], value) for name, value in one.weights.items())  # type: ignore[attr-defined]


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    run = RunDirectory(tmp_path / "begun")
    begin(run)
    return run.path


def test_a_kill_as_a_run_begins_leaves_no_run_or_one_that_loads(tmp_path: Path) -> None:
    runs = states_of_kills(begin, tmp_path / "nothing", tmp_path)
    assert len(runs) > 5
    for run in runs:
        if run.exists():
            assert same_weights(run, START)


def test_a_run_that_was_killed_as_it_began_can_be_resumed(tmp_path: Path) -> None:
    for run in states_of_kills(begin, tmp_path / "nothing", tmp_path):
        # The folder is looked at before the base model: this error says that the folder was accepted.
        with pytest.raises(ModelFormatError, match="no-such-base"):
            ImageClassifier("no-such-base").fit(*tiny.pictures(), run_dir=run.path, resume=True)


def test_a_kill_between_epochs_leaves_the_former_weights_or_the_new_ones(tmp_path: Path, begun: Path) -> None:
    runs = states_of_kills(finish_epoch, begun, tmp_path)
    assert len(runs) >= 3
    learned = [same_weights(run, LEARNED) for run in runs]
    assert learned == sorted(learned)
    assert all(new or same_weights(run, START) for run, new in zip(runs, learned, strict=True))
    assert (learned[0], learned[-1]) == (False, True)


def test_a_kill_as_a_run_is_finished_never_loses_what_was_learned(tmp_path: Path, begun: Path) -> None:
    finish_epoch(RunDirectory(begun))
    runs = states_of_kills(finish, begun, tmp_path)
    assert len(runs) > 8
    for run in runs:
        assert same_weights(run, LEARNED)
        assert not run.is_finished() or run.read()[0].status == "finished"


def test_what_a_kill_left_behind_does_not_disturb_a_later_end(tmp_path: Path, begun: Path) -> None:
    finish_epoch(RunDirectory(begun))
    for run in states_of_kills(finish, begun, tmp_path):
        finish(run)
        assert run.is_finished()
        assert same_weights(run, LEARNED)
