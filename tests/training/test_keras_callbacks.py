"""Keras's own callbacks in the epoch loop: those that make sense work as in Keras, the others are refused before training."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.errors import BridgeError
from pybridge.training.callbacks import Callback, Loop
from pybridge.training.history import History
from pybridge.training.keras_callbacks import as_callbacks

keras = pytest.importorskip("keras")
RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(40, 3)).astype(np.float32)
Y = X @ np.array([1.0, -2.0, 0.5], np.float32) + 3


def run(callback: Any, losses: list[float], name: str = "loss") -> Loop:
    """An epoch loop whose metric is given; it ends where the callback says so."""
    adapted: Callback = as_callbacks([callback], monitor="loss")[0]
    loop = adapted.loop = Loop(len(losses), 1.0, History())
    adapted.on_train_begin({})
    for epoch, loss in enumerate(losses):
        adapted.on_epoch_begin(epoch, {})
        loop.history.rows.append({"epoch": epoch + 1, name: loss})
        adapted.on_epoch_end(epoch, {name: loss})
        if loop.stop_training:
            break
    adapted.on_train_end({})
    return loop


def test_early_stopping_stops() -> None:
    loop = run(keras.callbacks.EarlyStopping(monitor="loss", patience=2, restore_best_weights=True), [3, 2, 2, 2, 2, 2])
    assert len(loop.history.rows) == 4


def test_more_accuracy_is_better() -> None:
    loop = run(keras.callbacks.EarlyStopping(monitor="accuracy", patience=2), [0.1, 0.2, 0.3, 0.2, 0.2, 0.9], "accuracy")
    assert len(loop.history.rows) == 5


def test_a_plateau_lowers_the_rate() -> None:
    loop = run(keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1), [2, 2, 2])
    assert loop.learning_rate == pytest.approx(0.25)


def test_a_schedule_sets_the_rate() -> None:
    loop = run(keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.1 / (epoch + 1)), [2, 2])
    assert loop.learning_rate == pytest.approx(0.05)


def test_not_a_number_ends_training() -> None:
    assert len(run(keras.callbacks.TerminateOnNaN(), [2, float("nan"), 2]).history.rows) == 2


def test_a_log_has_a_line_for_each_epoch(tmp_path: Path) -> None:
    run(keras.callbacks.CSVLogger(tmp_path / "log.csv"), [2, 1.5])
    with (tmp_path / "log.csv").open() as lines:
        assert [row["loss"] for row in csv.DictReader(lines)] == ["2", "1.5"]


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="the package tensorboard is not installed")
def test_tensorboard_gets_the_metrics(tmp_path: Path) -> None:
    run(keras.callbacks.TensorBoard(str(tmp_path)), [2, 1.5])
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("events.*"))
    assert b"epoch_loss" in written


def test_a_metric_that_is_not_measured_is_named() -> None:
    with pytest.raises(BridgeError, match="'val_loss' is not among"):
        run(keras.callbacks.EarlyStopping(), [1.0])


class Own(keras.callbacks.Callback):  # type: ignore[misc]
    """A user's own."""


@pytest.mark.parametrize(
    ("callback", "says"),
    [
        (Own(), "Own cannot work here"),
        (keras.callbacks.RemoteMonitor(), "RemoteMonitor cannot work here"),
        (keras.callbacks.ModelCheckpoint("a.keras"), "ModelCheckpoint cannot work here as it is: the whole model"),
        (keras.callbacks.TensorBoard(histogram_freq=1), "histogram_freq look into|pip install tensorboard"),
        (keras.callbacks.EarlyStopping("accuracy", restore_best_weights=True), "judged by loss, not by accuracy"),
        (print, "is no callback"),
    ],
)
def test_others_are_refused_by_name(callback: Any, says: str) -> None:
    with pytest.raises(BridgeError, match=says):
        as_callbacks([callback], monitor="loss")


@pytest.mark.slow
def test_a_checkpoint_is_a_keras_model_with_the_weights_of_its_epoch(node: pb.Node, tmp_path: Path) -> None:
    model = node.load_model(tiny.regression())
    last = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.keras"))
    weights = keras.callbacks.ModelCheckpoint(
        str(tmp_path / "best.weights.h5"), "loss", save_best_only=True, save_weights_only=True
    )
    node.train(model, X, Y, epochs=3, learning_rate=0.1, engine="layers", callbacks=[last, weights])
    assert {path.name for path in tmp_path.iterdir()} == {"1.keras", "2.keras", "3.keras", "best.weights.h5"}
    saved = keras.models.load_model(tmp_path / "3.keras")
    np.testing.assert_allclose(saved(X).numpy(), model.predict(X), atol=1e-5)
