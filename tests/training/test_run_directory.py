"""Run directories and checkpoints: complete or absent, and never silently altered."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from pybridge.data import Preprocessing
from pybridge.errors import BridgeError, DataError, ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.checkpoint import read_checkpoint, write_checkpoint
from pybridge.training.history import History
from pybridge.training.loop import FitState
from pybridge.training.run_directory import RunDirectory, RunRecord

ROWS = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4}]
KERNEL = "pybridge_probabilities/kernel"


@pytest.fixture
def model() -> LayersModel:
    return tiny.vector_classifier()


@pytest.fixture
def record() -> RunRecord:
    return RunRecord(
        status="finished",
        base={"name": "tiny"},
        class_names=("cat", "dog", "õ"),
        preprocessing=Preprocessing(16, 16),
        cut="pool",
        settings={"epochs": 2},
        seed=7,
        versions={"node": "20"},
        metrics={"accuracy": 1.0},
        data={"training": {"cat": 1}},
        history=History(list(ROWS), 2),
    )


@pytest.fixture
def run(tmp_path: Path, record: RunRecord, model: LayersModel) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run")
    directory.write(record, model, "<p>report</p>")
    return directory


def state(weights: dict[str, Any], rows: list[dict[str, float]]) -> FitState:
    trainer = {
        "weights": list(weights.values()),
        "optimizer": [np.int32(3), np.ones((5, 3), np.float32)],
        "optimizerNames": ["iter", "m"],
        "powers": [0.1, 0.2],
        "step": 3,
    }
    return FitState(History(rows, 2), trainer, weights, 0.25)


def edit(run: RunDirectory, **changes: Any) -> None:
    file = run.path / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **changes}), "utf-8")


def test_a_run_comes_back_as_it_was_written(run: RunDirectory, record: RunRecord, model: LayersModel) -> None:
    read, weights = run.read()
    assert read == record
    assert weights.sha256() == model.sha256()


def test_run_json_names_every_other_file_with_its_sha256(run: RunDirectory) -> None:
    named = json.loads((run.path / "run.json").read_text("utf-8"))["files"]
    present = {path.relative_to(run.path).as_posix(): path for path in run.path.rglob("*") if path.is_file()}
    del present["run.json"]
    assert named == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in present.items()}
    assert {"history.jsonl", "report.html", "model/model.json"} <= set(named)


def test_the_history_has_one_line_for_each_epoch(run: RunDirectory) -> None:
    assert [json.loads(line) for line in (run.path / "history.jsonl").read_text().splitlines()] == ROWS


@pytest.mark.parametrize("name", ["report.html", "history.jsonl", "model/model.json"])
def test_an_altered_file_is_named(run: RunDirectory, name: str) -> None:
    (run.path / name).write_text("{}")
    with pytest.raises(ModelFormatError, match=f"{name} was altered"):
        run.read()


def test_altered_weights_are_noticed(run: RunDirectory) -> None:
    shard = next((run.path / "model").glob("*.bin"))
    data = bytearray(shard.read_bytes())
    data[5] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ModelFormatError, match="was altered"):
        run.read()


def test_a_missing_file_is_named(run: RunDirectory) -> None:
    (run.path / "report.html").unlink()
    with pytest.raises(ModelFormatError, match=r"report\.html is missing"):
        run.read()


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname"])
def test_files_outside_of_the_run_are_not_read(run: RunDirectory, name: str) -> None:
    (run.path.parent / "secret").write_text("x")
    edit(run, files={name: "0" * 64})
    with pytest.raises(ModelFormatError, match="lies outside the run"):
        run.read()


def test_hashes_cannot_be_switched_off(run: RunDirectory) -> None:
    edit(run, files={})
    with pytest.raises(ModelFormatError, match=r"has no SHA-256 of history\.jsonl, model/.*, model/model\.json"):
        run.read()


@pytest.mark.parametrize("name", ["model/model.json", "history.jsonl"])
def test_a_file_that_is_read_must_be_among_those_with_a_hash(run: RunDirectory, name: str) -> None:
    hashes = json.loads((run.path / "run.json").read_text("utf-8"))["files"]
    del hashes[name]
    edit(run, files=hashes)
    with pytest.raises(ModelFormatError, match=f"has no SHA-256 of {name}, so"):
        run.read()


def test_other_files_in_the_folder_are_the_users_own(run: RunDirectory, record: RunRecord) -> None:
    (run.path / "notes.txt").write_text("the one from Tuesday")
    assert run.read()[0] == record


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_have_the_permissions_that_the_umask_leaves(
    tmp_path: Path, record: RunRecord, model: LayersModel, umask: int
) -> None:
    before = os.umask(umask)
    try:
        run = RunDirectory(tmp_path / "run")
        run.write(record, model, "<p>report</p>")
        write_checkpoint(run.checkpoints, state(model.weights, ROWS))
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (run.path, *run.path.rglob("*"))}
    assert len(modes) == 9
    assert modes == {path: (0o777 if path.is_dir() else 0o666) & ~umask for path in modes}


def test_a_file_that_was_being_written_does_not_count(run: RunDirectory, record: RunRecord) -> None:
    for name in ("run.json.part", "history.jsonl.part"):
        (run.path / name).write_text("{")
    assert run.read()[0] == record


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "is not a run's record"),
        ({"version": 99}, "run format 99"),
        ({"labels": None}, "is damaged"),
        ({"labels": "cat"}, "labels are no list of texts"),
        ({"labels": ["cat", 7]}, "labels are no list of texts"),
        ({"labels": ["cat", None]}, "labels are no list of texts"),
        ({"labels": []}, "labels are no list of texts"),
        ({"preprocessing": {}}, "preprocessing lacks"),
        ({"files": []}, "is damaged"),
    ],
)
def test_a_damaged_record_is_a_clear_error(run: RunDirectory, changes: dict[str, Any], message: str) -> None:
    edit(run, **changes)
    with pytest.raises(ModelFormatError, match=message):
        run.read()


def test_a_record_that_is_no_json_is_a_clear_error(run: RunDirectory) -> None:
    (run.path / "run.json").write_text("{")
    with pytest.raises(ModelFormatError, match="is damaged: it is no JSON"):
        run.read()


def test_a_folder_without_a_run_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="is not a run directory"):
        RunDirectory(tmp_path).read()
    assert not RunDirectory(tmp_path).is_finished()


def test_only_an_empty_or_new_folder_is_vacant(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    RunDirectory(tmp_path / "empty").check_vacant()
    RunDirectory(tmp_path / "new").check_vacant()
    with pytest.raises(BridgeError, match="exists already and holds a finished run"):
        run.check_vacant()
    (tmp_path / "file").write_text("")
    with pytest.raises(BridgeError, match="exists already"):
        RunDirectory(tmp_path / "file").check_vacant()


@pytest.mark.parametrize("made_before", [False, True])
def test_nothing_is_left_of_a_run_that_failed_before_its_first_epoch(
    tmp_path: Path, record: RunRecord, model: LayersModel, made_before: bool
) -> None:
    run = RunDirectory(tmp_path / "run")
    if made_before:
        run.path.mkdir()
    with pytest.raises(DataError), run.nothing_left_of_a_refusal():
        run.write(replace(record, status="training"), model)
        raise DataError("an image is damaged")
    assert run.path.exists() == made_before
    run.check_vacant()


def test_a_run_with_an_epoch_stays_whatever_fails(tmp_path: Path, record: RunRecord, model: LayersModel) -> None:
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt), run.nothing_left_of_a_refusal():
        run.write(replace(record, status="training"), model)
        write_checkpoint(run.checkpoints, state(model.weights, ROWS))
        raise KeyboardInterrupt
    assert run.exists()


def test_an_unfinished_run_has_the_best_weights_of_its_checkpoint(tmp_path: Path, record: RunRecord, model: LayersModel) -> None:
    run = RunDirectory(tmp_path / "run")
    run.write(replace(record, status="training", history=History()), model)
    assert run.read()[1].sha256() == model.sha256()
    better = {**model.weights, KERNEL: model.weights[KERNEL] + 1}
    write_checkpoint(run.checkpoints, state(better, ROWS))
    read, weights = run.read()
    np.testing.assert_array_equal(weights.weights[KERNEL], better[KERNEL])
    assert read.history == History(ROWS, 2)
    assert not run.is_finished()


def test_a_fine_tuned_unfinished_run_counts_on_from_the_epochs_before(
    tmp_path: Path, record: RunRecord, model: LayersModel
) -> None:
    run = RunDirectory(tmp_path / "run")
    run.write(replace(record, status="training", epochs_before=2), model)
    write_checkpoint(run.checkpoints, state(model.weights, ROWS))
    run.write_history(History([*ROWS, {"epoch": 3, "loss": 0.5}]))
    read, _ = run.read()
    assert [row["epoch"] for row in read.history.rows] == [1, 2, 3, 4]
    assert read.history.best_epoch == 4


def test_a_history_that_ends_within_a_line_loses_only_that_line(tmp_path: Path, record: RunRecord, model: LayersModel) -> None:
    run = RunDirectory(tmp_path / "run")
    run.write(replace(record, status="training"), model)
    with (run.path / "history.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')
    assert run.read()[0].history.rows == ROWS


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path: Path, model: LayersModel) -> None:
    written = state(model.weights, ROWS)
    write_checkpoint(tmp_path, written)
    read = read_checkpoint(tmp_path)
    assert read is not None
    assert (read.history, read.learning_rate) == (written.history, 0.25)
    np.testing.assert_equal(read.trainer, written.trainer)
    np.testing.assert_equal(read.best_weights, written.best_weights)


def test_a_checkpoint_that_was_being_written_leaves_the_one_before(tmp_path: Path, model: LayersModel) -> None:
    write_checkpoint(tmp_path, state(model.weights, ROWS))
    (tmp_path / "latest.npz.part").write_bytes(b"half")
    read = read_checkpoint(tmp_path)
    assert read is not None
    assert read.history.rows == ROWS


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path) is None


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\x80\x04N."])
def test_a_damaged_checkpoint_is_a_clear_error(tmp_path: Path, model: LayersModel, damage: Any) -> None:
    write_checkpoint(tmp_path, state(model.weights, ROWS))
    file = tmp_path / "latest.npz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ModelFormatError, match=r"The checkpoint .* is damaged"):
        read_checkpoint(tmp_path)
