"""Presets: what is tried for more accuracy, in which time, and what helps next."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybridge as pb
from pybridge.classifier.advice import advise
from pybridge.classifier.evaluation import Evaluation
from pybridge.classifier.presets import Budget
from pybridge.data import ImageSet
from pybridge.training.options import seconds
from pybridge.training.run_directory import RunRecord

pytestmark = pytest.mark.slow

New = Callable[..., pb.ImageClassifier]


def test_balanced_fine_tunes_and_keeps_what_is_better(new: New, photos: Path, tmp_path: Path) -> None:
    fast, balanced = new(), new(preset="balanced", epochs=2)
    fast.fit(photos)
    history = balanced.fit(photos, run_dir=tmp_path / "run")
    record = balanced.trained_.record
    assert record.data["comparison"]["tried"]["epochs"] == 2
    assert len(history) == len(fast.history_) + 2
    # Fine-tuning has nothing to gain on these pictures: the head stays, to the last bit.
    weights = [one.trained_.model.weights for one in (fast, balanced)]
    assert all(weights[0][name].tobytes() == value.tobytes() for name, value in weights[1].items())
    assert pb.ImageClassifier.load(tmp_path / "run").metrics_ == fast.metrics_


def test_what_does_not_fit_into_the_time_is_left_out_and_said(
    new: New, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    classifier = new(preset="balanced", time_limit=0.001)
    classifier.fit(photos, run_dir=tmp_path / "run")
    assert "none of 10 epochs of fine-tuning fit" in caplog.text
    assert "comparison" not in classifier.trained_.record.data
    assert pb.ImageClassifier.load(tmp_path / "run").metrics_["accuracy"] == classifier.metrics_["accuracy"]


def test_a_budget_says_how_many_epochs_fit() -> None:
    assert Budget(None).epochs(10, 5.0) == 10
    assert Budget(100.0).epochs(10, 0.1) == 10
    assert Budget(100.0).epochs(10, 20.0) == 3
    assert Budget(100.0).epochs(10, 60.0) == 0
    assert Budget(100.0, time.monotonic() - 101).left < 0


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("90s", 90), ("15m", 900), ("1.5h", 5400)])
def test_a_time_is_given_in_seconds_minutes_or_hours(text: str, expected: float) -> None:
    assert seconds(text) == expected


def advice(labels: list[int], said: list[int], certainty: float, training: dict[str, int], **data: Any) -> str:
    """What is advised for two classes, given what was said of each picture, and how surely."""
    probabilities = np.full((len(labels), 2), 1 - certainty, np.float32)
    probabilities[np.arange(len(said)), said] = certainty
    images = ImageSet(np.zeros((len(labels), 1, 1, 3), np.uint8), np.array(labels, np.int32), ("cat", "dog"))
    evaluation = Evaluation(images, probabilities)
    record = RunRecord("finished", {}, ("cat", "dog"), None, None, {}, 0, {}, evaluation.summary())  # type: ignore[arg-type]
    record.data = {"judged_by": "held-out folds", "training": training, **data}
    return advise(record, evaluation)


MANY = {"cat": 50, "dog": 50}


def test_labels_that_look_wrong_are_named_first() -> None:
    assert advice([0] * 50 + [1] * 50, [0] * 46 + [1] * 54, 0.99, MANY).startswith("the labels: 4 of 100 photos")


def test_a_small_class_that_is_not_found_needs_photos() -> None:
    assert "more photos of dog: it has 5, and 20%" in advice([0] * 50 + [1] * 5, [0] * 54 + [1], 0.8, {"cat": 50, "dog": 5})


def test_a_head_may_gain_by_fine_tuning_which_is_an_estimate() -> None:
    text = advice([0] * 50 + [1] * 50, [0] * 60 + [1] * 40, 0.8, MANY)
    assert "--preset balanced" in text
    assert "not measured on these photos" in text


def test_fine_tuning_that_did_not_help_is_not_advised_again() -> None:
    text = advice([0] * 50 + [1] * 50, [0] * 60 + [1] * 40, 0.8, MANY, comparison={"helped": False})
    assert text.startswith("more photos")


def test_where_nearly_all_is_right_other_photos_tell_more() -> None:
    assert "from where it will be used" in advice([0] * 50 + [1] * 50, [0] * 50 + [1] * 50, 0.8, MANY)
