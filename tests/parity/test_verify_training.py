"""The training of a run, in Node and in Python."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny

import pybridge as pb
from pybridge.cli import main
from pybridge.errors import DataError
from pybridge.parity.findings import TrainingCheck

ALIKE = TrainingCheck(
    images=24,
    epochs=2,
    values=10,
    different=0,
    max_abs_diff=0.0,
    worst_weight=None,
    changed=10,
    losses={"node": [0.7, 0.5], "python": [0.7, 0.5]},
    engine_images=16,
    engine_losses={"compiled": [0.7, 0.5], "layers": [0.7, 0.50001]},
    max_loss_diff=2e-5,
)


def test_a_head_ends_with_equal_weights_and_the_run_stays(trained: pb.ImageClassifier, pixels: Any, tmp_path: Path) -> None:
    before = trained.trained_.model.weights
    report = pb.verify(trained, pixels[0], runtimes=["node"], training=True)
    assert report.passed
    check = report.training
    assert check is not None
    assert (check.different, check.max_abs_diff, check.images, check.epochs) == (0, 0, 24, 2)
    assert check.losses["node"] == check.losses["python"]
    assert 0 < check.changed <= check.values == 10
    assert check.max_loss_diff <= check.tolerance
    assert trained.trained_.model.weights is before
    assert json.loads(json.dumps(report.to_dict()))["training"]["passed"] is True
    report.write_html(tmp_path / "parity.html")
    assert "Node and Python train alike" in (tmp_path / "parity.html").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{}, {"optimizer": "sgd", "mixup": 0.3, "label_smoothing": 0.1, "weight_decay": 0.01}], ids=["adam", "sgd"]
)
def test_convolutions_and_batch_normalization_end_with_equal_weights(
    node: pb.Node, pixels: Any, settings: dict[str, Any]
) -> None:
    classifier = pb.ImageClassifier(tiny.convolution(), epochs=2, learning_rate=0.1, seed=0, node=node, **settings)
    classifier.fit(*pixels)
    classifier.fine_tune(*pixels, unfreeze="all", epochs=1, learning_rate=1e-2)
    check = pb.verify(classifier, pixels[0], runtimes=["node"], training=True).training
    assert check is not None
    assert check.passed, str(check)
    assert check.values == sum(value.size for value in classifier.trained_.model.weights.values())


@pytest.mark.slow
def test_the_command_line_compares_the_training_of_a_run(
    trained: pb.ImageClassifier, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained.save(tmp_path / "run")
    assert main(["verify", str(tmp_path / "run"), str(photos), "--runtimes", "node", "--training", "--json"]) == 0
    training = json.loads(capsys.readouterr().out)["training"]
    assert (training["different"], training["passed"]) == (0, True)


@pytest.mark.parametrize(
    "change",
    [
        {"different": 1, "max_abs_diff": 1e-7, "worst_weight": "kernel"},
        {"losses": {"node": [0.7, 0.5], "python": [0.7, 0.50000001]}},
        {"max_loss_diff": 0.01},
        {"changed": 0},
    ],
)
def test_any_difference_fails_the_report(change: dict[str, Any], trained: pb.ImageClassifier, pixels: Any) -> None:
    report = pb.verify(trained, pixels[0], runtimes=["node"])
    assert replace(report, training=ALIKE).passed
    broken = replace(report, training=replace(ALIKE, **change))
    assert not broken.passed
    assert "FAILED" in str(broken)


def test_only_runs_are_trained(pixels: Any) -> None:
    with pytest.raises(DataError, match="training of a run"):
        pb.verify(tiny.convolutional_classifier(), pixels[0], training=True)


def test_no_epochs_prove_nothing(trained: pb.ImageClassifier, pixels: Any) -> None:
    with pytest.raises(ValueError, match="at least 1 epoch"):
        pb.verify(trained, pixels[0], runtimes=["node"], training=True, training_epochs=0)
