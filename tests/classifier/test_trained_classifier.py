"""A trained classifier at work in a session: what parity and deployment build on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybridge as pb
from pybridge.classifier.inputs import unlabelled
from pybridge.classifier.trained import TrainedClassifier
from pybridge.errors import ModelFormatError
from pybridge.session import Session


def test_a_run_works_in_any_session(trained: pb.ImageClassifier, node: pb.Node, pixels: Any, tmp_path: Path) -> None:
    trained.save(tmp_path / "run")
    classifier = TrainedClassifier.read(tmp_path / "run", Session(node.runner))
    images = unlabelled(pixels[0], classifier.record.class_names)
    np.testing.assert_array_equal(classifier.probabilities(images), trained.predict_proba(pixels[0]))


def test_its_activations_are_what_the_head_was_trained_on(trained: pb.ImageClassifier, pixels: Any) -> None:
    classifier = trained.trained_
    features = classifier.activations(unlabelled(pixels[0], trained.class_names_))
    weights = classifier.model.weights
    logits = features @ weights["pybridge_probabilities/kernel"] + weights["pybridge_probabilities/bias"]
    np.testing.assert_array_equal(logits.argmax(axis=1), trained.predict(pixels[0]))


def test_it_knows_what_it_was_trained_with_whatever_the_estimator_is_set_to(
    node: pb.Node, trained: pb.ImageClassifier, tmp_path: Path
) -> None:
    trained.save(tmp_path / "run")
    loaded = pb.ImageClassifier.load(tmp_path / "run", node=node).set_params(optimizer="sgd", learning_rate=7.0)
    settings = loaded.trained_.options
    assert (settings.optimizer, settings.learning_rate, settings.seed) == ("adam", 0.1, 0)


def test_a_fine_tuned_one_has_the_rate_of_its_fine_tuning(
    node: pb.Node, trained: pb.ImageClassifier, pixels: Any, tmp_path: Path
) -> None:
    trained.save(tmp_path / "run")
    tuned = pb.ImageClassifier.load(tmp_path / "run", node=node)
    tuned.fine_tune(*pixels, unfreeze="all", epochs=1, learning_rate=1e-2)
    assert tuned.trained_.options.learning_rate == 1e-2
    assert tuned.trained_.record.cut is None


def test_a_run_of_before_there_were_some_settings_says_what_they_meant_then(
    trained: pb.ImageClassifier, node: pb.Node, tmp_path: Path
) -> None:
    trained.save(tmp_path / "run")
    file = tmp_path / "run" / "run.json"
    plain = json.loads(file.read_text("utf-8"))
    for name in ("schedule", "warmup_epochs", "mixup", "global_clipnorm"):
        del plain["settings"][name]
    file.write_text(json.dumps(plain), "utf-8")
    classifier = TrainedClassifier.read(tmp_path / "run", Session(node.runner))
    assert classifier.options == trained.trained_.options


def test_what_is_no_run_does_not_work(tmp_path: Path, node: pb.Node) -> None:
    with pytest.raises(ModelFormatError, match="is not a run directory"):
        TrainedClassifier.read(tmp_path, Session(node.runner))
