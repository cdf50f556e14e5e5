"""Classifiers whose head is fitted: what they are judged by, what a run says of it, and what goes on from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray

import pybridge as pb
from pybridge.heads import EPSILON, normalized, softmax
from pybridge.training.head import append_classifier

pytestmark = pytest.mark.slow

Pixels = tuple[NDArray[np.uint8], NDArray[np.int64]]
New = Callable[..., pb.ImageClassifier]


def test_every_photo_is_judged_by_a_head_that_had_not_seen_it(new: New, photos: Path, tmp_path: Path) -> None:
    classifier = new()
    history = classifier.fit(photos, run_dir=tmp_path / "run")
    data = classifier.trained_.record.data
    assert (data["judged_by"], data["judged_images"]) == ("held-out folds", 24)
    assert data["training"] == {"dark": 8, "grey": 8, "light": 8}
    assert data["head"]["folds"] == 5
    assert history.best["val_accuracy"] == classifier.metrics_["accuracy"]
    report = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "24 images, each by a head that had not seen it" in report


def test_a_split_that_is_asked_for_is_kept_to_judge_by(new: New, photos: Path) -> None:
    classifier = new()
    classifier.fit(photos, validation_split=0.25)
    data = classifier.trained_.record.data
    assert (data["judged_by"], data["judged_images"]) == ("validation", 6)
    assert data["training"] == {"dark": 6, "grey": 6, "light": 6}


def test_validation_data_judge(new: New, photos: Path, pixels: Pixels) -> None:
    classifier = new()
    classifier.fit(*pixels, validation_data=tiny.pictures(seed=5))
    assert classifier.trained_.record.data["judged_by"] == "validation"
    assert classifier.metrics_["loss"] == pytest.approx(classifier.evaluate(*tiny.pictures(seed=5))["loss"], rel=1e-4)


def test_the_same_seed_gives_the_same_weights(new: New, photos: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        new().fit(photos, run_dir=tmp_path / name)
    one, other = (next((tmp_path / name / "model").glob("*.bin")) for name in ("one", "other"))
    assert (one.name, one.read_bytes()) == (other.name, other.read_bytes())


def test_a_killed_search_begins_anew_and_ends_alike(new: New, photos: Path, tmp_path: Path) -> None:
    def copy(epoch: int, logs: Any) -> None:
        if epoch == 1:
            shutil.copytree(tmp_path / "whole", tmp_path / "killed")

    new().fit(photos, run_dir=tmp_path / "whole", callbacks=[pb.callbacks.LambdaCallback(copy)])
    resumed = new(seed=7)
    resumed.fit(photos, run_dir=tmp_path / "killed", resume=True)
    assert resumed.seed_ == 0
    whole, again = (pb.ImageClassifier.load(tmp_path / name).trained_.model.weights for name in ("whole", "killed"))
    assert all(whole[name].tobytes() == again[name].tobytes() for name in whole)


def test_callbacks_see_the_steps_of_the_search(new: New, pixels: Pixels) -> None:
    seen: list[int] = []
    history = new().fit(*pixels, callbacks=[pb.callbacks.LambdaCallback(lambda epoch, logs: seen.append(epoch))])
    assert seen == history.epoch == list(range(len(history)))
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "C"} <= history.rows[0].keys()


def test_the_saved_model_computes_what_the_fold_free_head_does(new: New, pixels: Pixels, tmp_path: Path) -> None:
    classifier = new()
    classifier.fit(*pixels)
    classifier.save(tmp_path / "run")
    np.testing.assert_array_equal(
        pb.ImageClassifier.load(tmp_path / "run", node=classifier.node).predict_proba(pixels[0]),
        classifier.predict_proba(pixels[0]),
    )


def test_rare_classes_are_said_to_be_uneven(new: New) -> None:
    images, labels = tiny.pictures(per_class=20)
    few = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:2]])
    classifier = new(class_weight="balanced")
    history = classifier.fit(images[few], labels[few])
    assert classifier.trained_.record.data["uneven"]
    assert "val_balanced_accuracy" in history.best
    assert classifier.evaluate(images, labels)["balanced_accuracy"] > 0.9


def test_normalised_features_are_a_layer_that_every_runtime_has(node: pb.Node) -> None:
    model = append_classifier(tiny.entrance(12), 12, 3, dropout=0.2, hidden_units=0, seed=0, normalize=EPSILON)
    x = np.random.default_rng(0).normal(3, 2, (5, 12)).astype(np.float32)
    kernel, bias = model.weights.values()
    np.testing.assert_allclose(node.load_model(model).predict(x), softmax(normalized(x) @ kernel + bias), atol=1e-5)
    assert pb.verify(model, x, runtimes=["keras", "tfjs-node-layers", "tfjs-wasm", "tfjs-cpu"], node=node).passed


def test_fine_tuning_is_compared_with_a_head_that_has_not_seen_what_judges(new: New, photos: Path, tmp_path: Path) -> None:
    classifier = new()
    classifier.fit(photos)
    before = classifier.trained_.model.weights
    history = classifier.fine_tune(photos, epochs=2, unfreeze="all", learning_rate=1e-6, run_dir=tmp_path / "tuned")
    comparison = classifier.trained_.record.data["comparison"]
    assert comparison["images"] == 6
    assert comparison["low"] <= comparison["difference"] <= comparison["high"]
    # The pictures are easy: there is nothing to gain, and the head that knows all of them stays.
    assert not comparison["helped"]
    assert comparison["tried"]["epochs"] == 2
    assert all(before[name].tobytes() == value.tobytes() for name, value in classifier.trained_.model.weights.items())
    assert classifier.trained_.record.data["judged_by"] == "held-out folds"
    assert history.best_epoch is not None
    assert history.best_epoch <= len(history) - 2
    again = pb.ImageClassifier.load(tmp_path / "tuned", node=classifier.node)
    assert again.metrics_ == classifier.metrics_
    assert again.history_.best_epoch == history.best_epoch


def test_fine_tuning_that_helps_says_by_how_much(node: pb.Node) -> None:
    """The base does not see blue, in which alone the classes differ."""
    base = tiny.convolution()
    kernel = base.weights["conv/kernel"].copy()
    kernel[:, :, 2] = 0
    random = np.random.default_rng(0)
    labels = np.tile([0, 1], 40)
    images = random.integers(0, 256, (80, 20, 20, 3))
    images[..., 2] = np.where(labels[:, None, None] == 1, 220, 30)
    images = images.astype(np.uint8)
    with pb.ImageClassifier(replace(base, weights={**base.weights, "conv/kernel": kernel}), node=node, seed=0) as classifier:
        classifier.fit(images, labels)
        classifier.fine_tune(images, labels, epochs=20, unfreeze="all", learning_rate=0.03, validation_split=0.3)
        record = classifier.trained_.record
    comparison = record.data["comparison"]
    assert comparison["helped"]
    assert comparison["after"] == record.metrics["accuracy"] > comparison["before"]
    assert record.data["judged_by"] == "validation"
