"""The classifier by the conventions of scikit-learn."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import cross_val_score

import pybridge as pb
from pybridge.errors import DataError

QUICK: dict[str, Any] = {"epochs": 2, "learning_rate": 0.1, "seed": 0}


def test_parameters_are_read_set_and_cloned() -> None:
    classifier = pb.ImageClassifier("mobilenet", epochs=3, class_weight={"a": 2.0})
    assert is_classifier(classifier)
    assert classifier.get_params()["epochs"] == 3
    assert classifier.set_params(dropout=0.5).dropout == 0.5
    assert clone(classifier).get_params() == classifier.get_params()
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        classifier.set_params(epoch=1)


def test_a_clone_is_not_trained_and_shares_the_node(trained: pb.ImageClassifier) -> None:
    copy = clone(trained)
    assert copy.node is trained.node
    assert not hasattr(copy, "classes_")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "evaluate", "fine_tune", "save"])
def test_an_untrained_classifier_says_so(method: str, tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match="not trained yet"):
        getattr(pb.ImageClassifier(), method)(tmp_path / "x")


def test_it_learns(trained: pb.ImageClassifier, pixels: Any) -> None:
    assert trained.score(*pixels) == 1
    assert trained.history_.history["val_loss"][-1] < trained.history_.history["val_loss"][0]


def test_probabilities_are_those_of_the_classes_in_order(trained: pb.ImageClassifier, pixels: Any) -> None:
    probabilities = trained.predict_proba(pixels[0])
    assert probabilities.shape == (24, 2)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(trained.predict(pixels[0]), trained.classes_[probabilities.argmax(axis=1)])


def test_whole_numbers_come_back_as_whole_numbers(node: pb.Node, pixels: Any) -> None:
    """Also where their order as text is another: "10" < "9"."""
    labels = np.array([9, 10])[pixels[1]]
    classifier = pb.ImageClassifier(tiny.convolution(), node=node, **QUICK)
    classifier.fit(pixels[0], labels)
    assert classifier.classes_.tolist() == [9, 10]
    assert classifier.class_names_ == ("9", "10")


@pytest.mark.slow
@pytest.mark.parametrize("names", [["zebra", "ape"], [True, False], [-5, 7]], ids=["text", "bool", "int"])
def test_labels_come_back_as_they_were_given_also_from_a_saved_run(
    node: pb.Node, pixels: Any, names: list[Any], tmp_path: Path
) -> None:
    labels = np.array(names)[pixels[1]]
    classifier = pb.ImageClassifier(tiny.convolution(), epochs=8, learning_rate=0.1, seed=0, dropout=0.0, node=node)
    classifier.fit(pixels[0], labels)
    np.testing.assert_array_equal(classifier.predict(pixels[0]), labels)
    classifier.save(tmp_path / "run")
    loaded = pb.ImageClassifier.load(tmp_path / "run", node=node)
    assert loaded.classes_.dtype.kind == labels.dtype.kind
    np.testing.assert_array_equal(loaded.predict(pixels[0]), labels)
    assert loaded.evaluate(pixels[0], labels)["accuracy"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", [list, np.array, iter])
def test_files_with_labels_train_as_their_folder_does(node: pb.Node, photos: Path, tmp_path: Path, kind: Any) -> None:
    files = sorted(photos.rglob("*.png"))
    labels = [file.parent.name for file in files]
    from_folder, from_files = (pb.ImageClassifier(tiny.convolution(), node=node, **QUICK) for _ in range(2))
    from_folder.fit(photos)

    from_files.fit(kind([str(file) for file in files]), labels, run_dir=tmp_path / "run")

    np.testing.assert_array_equal(from_files.predict_proba(photos), from_folder.predict_proba(photos))
    assert from_files.classes_.tolist() == ["dark", "grey", "light"]
    assert from_files.evaluate(kind(files), labels) == from_folder.evaluate(photos)


def test_cross_validation(node: pb.Node, pixels: Any) -> None:
    classifier = pb.ImageClassifier(tiny.convolution(), epochs=8, learning_rate=0.1, dropout=0.0, seed=0, node=node)
    assert cross_val_score(classifier, *pixels, cv=2).tolist() == [1, 1]


def test_a_trained_classifier_can_be_pickled(trained: pb.ImageClassifier, pixels: Any) -> None:
    node, trained.node = trained.node, None
    try:
        copy = pickle.loads(pickle.dumps(trained))
    finally:
        trained.node = node
    copy.node = node
    np.testing.assert_array_equal(copy.predict_proba(pixels[0]), trained.predict_proba(pixels[0]))


def test_evaluation_equals_scikit_learn(trained: pb.ImageClassifier, pixels: Any) -> None:
    labels = pixels[1].copy()
    labels[:5] = 1 - labels[:5]
    measured = trained.evaluate(pixels[0], labels)
    predicted, probabilities = trained.predict(pixels[0]), trained.predict_proba(pixels[0])
    assert measured["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert measured["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert measured["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert measured["confusion"] == confusion_matrix(labels, predicted).tolist()
    assert measured["loss"] == pytest.approx(-np.log(probabilities[np.arange(24), labels]).mean(), rel=1e-4)
    assert measured["images"] == 24
    assert measured["per_class"]["0"]["support"] == int((labels == 0).sum())


def test_the_metrics_of_a_training_are_those_of_its_best_epoch(trained: pb.ImageClassifier) -> None:
    assert trained.metrics_["accuracy"] == pytest.approx(trained.history_.best["val_accuracy"])
    assert trained.metrics_["loss"] == pytest.approx(trained.history_.best["val_loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, x, y: c.fit(x), "without labels"),
        (lambda c, x, y: c.fit(x, y[:3]), "24 images, but 3 labels"),
        (lambda c, x, y: c.fit(x, y * 0), "only one class"),
        (lambda c, x, y: c.fit(x / 255, y), "must be uint8"),
        (lambda c, x, y: c.fit("photos", y), "folder was given together with labels"),
        (lambda c, x, y: c.fit("nowhere"), "there is no folder"),
        (lambda c, x, y: c.fit(["nothing.jpg"], [0]), "there is no image file nothing.jpg"),
        (lambda c, x, y: c.fit([__file__, "."], [0, 1]), "is a folder among files with labels"),
        (lambda c, x, y: c.fit([], []), "no images in an empty list"),
        (lambda c, x, y: c.fit(x, y, validation_split=1.5), "validation share"),
        (lambda c, x, y: c.fit(x, y, validation_data=(x, y + 5)), "not among the classes"),
        (lambda c, x, y: c.set_params(class_weight={"x": 1}).fit(x, y), "'x', which is no class"),
        (lambda c, x, y: c.set_params(augment={"spin": 1}).fit(x, y), "augmentation has no spin"),
        (lambda c, x, y: c.set_params(epochs=-1).fit(x, y), "epochs must be at least 1"),
        (lambda c, x, y: c.set_params(batch_size=0).fit(x, y), "batch_size"),
        (lambda c, x, y: c.set_params(optimizer="steepest").fit(x, y), "optimizer must be one of"),
        (lambda c, x, y: c.set_params(engine="warp").fit(x, y), "engine must be one of"),
        (lambda c, x, y: c.set_params(dropout=1.5).fit(x, y), "dropout must be"),
        (lambda c, x, y: c.set_params(hidden_units=-1).fit(x, y), "hidden_units must"),
        (lambda c, x, y: c.set_params(seed=-1).fit(x, y), "seed must"),
        (lambda c, x, y: c.fit(x, y, resume=True), "resume=True needs run_dir"),
    ],
)
def test_what_cannot_be_used_is_a_clear_error(node: pb.Node, pixels: Any, call: Any, message: str) -> None:
    classifier = pb.ImageClassifier(tiny.convolution(), node=node, **QUICK)
    with pytest.raises(ValueError, match=message):
        call(classifier, *pixels)
    assert not hasattr(classifier, "classes_"), "a failed training leaves nothing half trained"


def test_images_that_cannot_be_predicted_are_a_clear_error(trained: pb.ImageClassifier, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no image file"):
        trained.predict([tmp_path / "none.jpg"])
    with pytest.raises(DataError, match="no images in"):
        trained.predict([])
    with pytest.raises(DataError, match="must be uint8"):
        trained.predict(np.zeros((2, 8, 8, 3), np.float32))
    with pytest.raises(DataError, match="must have the shape"):
        trained.predict(np.zeros((8, 8), np.uint8))


def test_a_failed_training_leaves_a_trained_classifier_as_it_was(node: pb.Node, trained: pb.ImageClassifier, pixels: Any) -> None:
    classifier = pickle.loads(pickle.dumps(trained.set_params(node=None)))
    trained.set_params(node=node)
    classifier.set_params(node=node)

    def fail(epoch: int, logs: Any) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        classifier.fit(pixels[0], np.array(["x", "y"])[pixels[1]], callbacks=[pb.callbacks.LambdaCallback(fail)])
    assert classifier.classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(classifier.predict(pixels[0]), trained.predict(pixels[0]))
