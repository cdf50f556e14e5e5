"""The comparison of Node with Python's TensorFlow."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.cli import main
from pybridge.errors import DataError, ModelFormatError, ParityError
from pybridge.graphs import Program, programs_for
from pybridge.parity import ParityReport, RuntimeResult
from pybridge.parity.difference import max_ulp_diff
from pybridge.runtime import ensure


def result(**changes: Any) -> RuntimeResult:
    perfect = RuntimeResult("node", 0.0, 0.0, 0, 1.0, True, None, 1.0)
    return replace(perfect, **changes)


def report(*results: RuntimeResult, tolerance: float = 0.0) -> ParityReport:
    return ParityReport("TensorFlow in Python", tolerance, 4, results)


def test_node_and_python_agree_to_the_last_bit_on_files(trained: pb.ImageClassifier, photos: Path) -> None:
    checked = pb.verify(trained, photos, runtimes=["node"])
    assert checked.passed
    assert checked.images == 24
    facts = checked.to_dict()["runtimes"]["node"]
    assert (facts["max_abs_diff"], facts["max_abs_diff_features"], facts["max_ulp_diff"]) == (0, 0, 0)
    assert facts["label_agreement"] == 1
    assert facts["identical"]
    checked.raise_for_status()
    assert json.loads(json.dumps(checked.to_dict()))["passed"] is True


@pytest.mark.slow
def test_altered_weights_on_one_side_are_found(trained: pb.ImageClassifier, node: pb.Node, pixels: Any, tmp_path: Path) -> None:
    """Node has loaded the program when its folder is replaced by one with other weights, which Python then reads."""
    trained.save(tmp_path / "run")
    classifier = pb.ImageClassifier.load(tmp_path / "run", node=node)
    stages = classifier.trained_.programs
    other = tiny.vector_classifier(4, 2)
    (altered,) = programs_for([other], ensure())
    shutil.copytree(stages[-1].folder, tmp_path / "program")
    stages[-1] = Program(tmp_path / "program", stages[-1].signatures)
    classifier.predict(pixels[0])
    shutil.rmtree(tmp_path / "program")
    shutil.copytree(altered.folder, tmp_path / "program")

    checked = pb.verify(classifier, pixels[0], runtimes=["node"])
    assert not checked.passed
    (found,) = checked.runtimes
    assert found.max_abs_diff > 0.01
    assert found.max_abs_diff_features == 0
    assert found.label_agreement < 1
    assert not found.identical
    assert found.worst_image is not None
    assert found.worst_image.startswith("array[")
    with pytest.raises(ParityError, match="FAILED"):
        checked.raise_for_status()


@pytest.mark.slow
def test_the_command_exits_with_0_where_all_agree(
    trained: pb.ImageClassifier, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained.save(tmp_path / "run")
    assert main(["verify", str(tmp_path / "run"), str(photos), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["passed"] is True
    assert facts["runtimes"]["node"]["max_abs_diff"] == 0
    assert {"tfjs-node-layers", "tfjs-wasm", "tfjs-cpu"} <= set(facts["runtimes"])


@pytest.mark.slow
def test_pictures_in_memory_agree_too(trained: pb.ImageClassifier, pixels: Any) -> None:
    assert pb.verify(trained, pixels[0]).passed


def test_what_cannot_be_verified_is_a_clear_error(trained: pb.ImageClassifier, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="is not a run directory"):
        pb.verify(tmp_path, tmp_path)
    with pytest.raises(DataError, match="no images"):
        pb.verify(trained, tmp_path)


@pytest.mark.parametrize(
    "difference",
    [
        {"max_abs_diff": 1e-9},
        {"max_abs_diff_features": 1e-9},
        {"label_agreement": 0.75},
        {"max_abs_diff": float("nan")},
        {"max_abs_diff_features": float("nan")},
    ],
)
def test_any_difference_fails(difference: dict[str, float]) -> None:
    assert report(result()).passed
    assert not report(result(), result(**difference)).passed


def test_a_tolerance_bears_differences_but_no_other_label() -> None:
    assert report(result(max_abs_diff=1e-6, max_abs_diff_features=1e-6), tolerance=1e-5).passed
    assert not report(result(max_abs_diff=1e-6, label_agreement=0.75), tolerance=1e-5).passed


@pytest.mark.parametrize(
    ("status", "asked", "passed"),
    [("unavailable", False, True), ("unsupported", False, True), ("unsupported", True, False), ("failed", False, False)],
)
def test_a_runtime_that_gave_nothing_counts_where_it_was_asked_for_or_should_have_worked(
    status: Any, asked: bool, passed: bool
) -> None:
    missing = RuntimeResult.missing("tfjs-wasm", status, "it has no such operation", asked=asked)
    assert report(result(), missing).passed is passed
    assert "it has no such operation" in str(report(result(), missing))


def test_nothing_compared_is_no_success() -> None:
    assert not report(RuntimeResult.missing("tfjs-wasm", "unavailable", "not here", asked=False)).passed


def test_a_report_is_readable() -> None:
    text = str(report(result(max_abs_diff=0.25, worst_image="cat.jpg")))
    assert "0.25" in text
    assert "cat.jpg" in text
    assert text.endswith("FAILED")


@pytest.mark.parametrize(
    ("one", "other", "steps"),
    [(1.0, np.nextafter(np.float32(1), np.float32(2)), 1), (0.0, -0.0, 0), (1e-45, -1e-45, 2), (1.0, 1.0, 0)],
)
def test_differences_are_counted_in_floats_between(one: float, other: float, steps: int) -> None:
    assert max_ulp_diff(np.array([one], np.float32), np.array([other], np.float32)) == steps
