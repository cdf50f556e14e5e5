"""The epoch loop: order, best weights, early stopping, callbacks, Ctrl-C, continuing."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.errors import BridgeError, NodeCrashedError
from pybridge.graphs import TensorFlowProcess
from pybridge.rpc.runner import Runner
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.callbacks import Callback, EarlyStopping, LambdaCallback, ReduceLROnPlateau
from pybridge.training.checkpoint import read_checkpoint, write_checkpoint
from pybridge.training.engines import create_trainer
from pybridge.training.history import History
from pybridge.training.loop import FitResult, FitState, fit
from pybridge.training.options import TrainingOptions
from pybridge.training.trainer import Examples, Trainer

RANDOM = np.random.default_rng(2)
X = RANDOM.normal(size=(30, 5)).astype(np.float32)
Y = RANDOM.integers(0, 3, 30).astype(np.int32)
SETTINGS = TrainingOptions(epochs=6, batch_size=8, learning_rate=0.3, seed=1, patience=None)
KERNEL = "pybridge_probabilities/kernel"


@pytest.fixture
def runner(node: pb.Node) -> Runner:
    node.runner.start()
    return node.runner


@pytest.fixture
def data(runner: Runner) -> tuple[Examples, Examples]:
    """Twenty examples to train on, and ten to judge by."""
    parts = [(X[:20], Y[:20]), (X[20:], Y[20:])]
    training, validation = (Examples(runner.call("features.put", {"values": x}), y) for x, y in parts)
    return training, validation


@pytest.fixture(params=[pytest.param("compiled", marks=pytest.mark.slow), "layers"])
def new(request: pytest.FixtureRequest, runner: Runner, tensorflow: TensorFlowProcess) -> Callable[..., Trainer]:
    def new(optimizer: str = "adam", momentum: float = 0.0, model: LayersModel | None = None) -> Trainer:
        model = model or tiny.vector_classifier(dropout=0.3, hidden_units=6)
        settings = TrainingOptions(optimizer=optimizer, momentum=momentum, seed=4)
        return create_trainer(request.param, runner, model, settings, tensorflow=tensorflow)

    return new


class Recorder(Callback):
    """Notes what is called, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int | None]] = []

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.calls.append(("train_begin", None))

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.calls.append(("epoch_begin", epoch))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.calls.append(("epoch_end", epoch))

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.calls.append(("train_end", None))


class At(Callback):
    """Does something at the end of one epoch."""

    def __init__(self, epoch: int, action: Callable[[], Any]) -> None:
        self.epoch = epoch
        self.action = action

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch == self.epoch:
            self.action()


def test_the_trainer_ends_with_the_weights_of_the_best_epoch(new: Any, data: Any) -> None:
    trainer = new()
    weights: list[dict[str, Any]] = []
    result = fit(trainer, *data, SETTINGS, callbacks=[LambdaCallback(lambda *_: weights.append(trainer.weights()))])
    losses = result.history.history["val_loss"]
    assert result.history.best_epoch == int(np.argmin(losses)) + 1
    np.testing.assert_array_equal(trainer.weights()[KERNEL], weights[int(np.argmin(losses))][KERNEL])
    assert trainer.evaluate(data[1], batch_size=8)[0]["loss"] == min(losses)


def test_the_best_accuracy_is_the_greatest(new: Any, data: Any) -> None:
    result = fit(new(), *data, replace(SETTINGS, monitor="val_accuracy"))
    accuracies = result.history.history["val_accuracy"]
    assert result.history.best["val_accuracy"] == max(accuracies)


def test_of_equal_accuracies_the_one_with_the_lower_loss_is_best(new: Any, data: Any) -> None:
    rows = fit(new(), *data, replace(SETTINGS, monitor="val_accuracy", learning_rate=1e-4, keep_start=True)).history
    assert len(set(rows.history["val_accuracy"])) == 1
    assert rows.best_epoch == int(np.argmin(rows.history["val_loss"])) + 1


def test_without_validation_data_the_training_loss_decides(new: Any, data: Any) -> None:
    result = fit(new(), data[0], None, SETTINGS)
    assert set(result.history.history) == {"loss", "accuracy", "learning_rate"}
    assert result.history.best["loss"] == min(result.history.history["loss"])


def test_weights_that_training_only_makes_worse_are_kept_on_request(new: Any, data: Any) -> None:
    trainer = new()
    before = trainer.weights()
    result = fit(trainer, *data, replace(SETTINGS, epochs=2, learning_rate=50.0, keep_start=True))
    assert result.history.best_epoch is None
    np.testing.assert_array_equal(trainer.weights()[KERNEL], before[KERNEL])


def test_no_epochs_change_nothing(new: Any, data: Any) -> None:
    trainer = new()
    before = trainer.weights()
    assert len(fit(trainer, *data, replace(SETTINGS, epochs=0)).history) == 0
    np.testing.assert_array_equal(trainer.weights()[KERNEL], before[KERNEL])


def test_equal_seeds_give_equal_weights_and_others_do_not(new: Any, data: Any) -> None:
    def kernel(seed: int) -> bytes:
        trainer = new()
        fit(trainer, *data, replace(SETTINGS, seed=seed, epochs=2))
        return bytes(trainer.weights()[KERNEL].tobytes())

    assert kernel(1) == kernel(1) != kernel(2)


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_early_stopping_ends_where_keras_would(new: Any, data: Any, patience: int) -> None:
    """Keras stops in the epoch in which `wait >= patience`; a rate this small never improves the first loss."""
    model = tiny.vector_classifier()
    result = fit(new("sgd", model=model), *data, replace(SETTINGS, epochs=9, learning_rate=1e-30, patience=patience))
    assert len(result.history) == 1 + max(patience, 1)


def test_callbacks_are_called_in_keras_order(new: Any, data: Any) -> None:
    recorder = Recorder()
    fit(new(), *data, replace(SETTINGS, epochs=2), callbacks=[recorder])
    epochs = [("epoch_begin", 0), ("epoch_end", 0), ("epoch_begin", 1), ("epoch_end", 1)]
    assert recorder.calls == [("train_begin", None), *epochs, ("train_end", None)]


def test_a_callback_may_end_training(new: Any, data: Any) -> None:
    callback = At(1, lambda: setattr(callback.loop, "stop_training", True))
    assert len(fit(new(), *data, SETTINGS, callbacks=[callback]).history) == 2


def test_a_callback_may_change_the_learning_rate(new: Any, data: Any) -> None:
    callback = At(0, lambda: setattr(callback.loop, "learning_rate", 0.125))
    result = fit(new(), *data, replace(SETTINGS, epochs=2), callbacks=[callback])
    assert result.history.history["learning_rate"] == [0.3, 0.125]


def test_an_exception_in_a_callback_reaches_the_caller_and_the_trainer_stays_usable(new: Any, data: Any) -> None:
    def fail() -> None:
        raise ZeroDivisionError("mine")

    trainer = new()
    with pytest.raises(ZeroDivisionError, match="mine"):
        fit(trainer, *data, SETTINGS, callbacks=[At(1, fail)])
    assert len(fit(trainer, *data, replace(SETTINGS, epochs=1)).history) == 1


def test_ctrl_c_keeps_the_best_weights_so_far(new: Any, data: Any) -> None:
    trainer = new()
    result = fit(trainer, *data, SETTINGS, callbacks=[At(2, lambda: signal.raise_signal(signal.SIGINT))])
    assert result.interrupted
    assert len(result.history) == 3
    assert trainer.evaluate(data[1], batch_size=8)[0]["loss"] == min(result.history.history["val_loss"])


def test_ctrl_c_before_the_first_epochs_end_is_a_keyboard_interrupt(new: Any, data: Any) -> None:
    class Impatient(Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(new(), *data, SETTINGS, callbacks=[Impatient()])


@pytest.mark.kills_node
def test_a_crash_of_node_says_how_many_epochs_were_finished(runner: Runner, new: Any, data: Any) -> None:
    import os

    def kill() -> None:
        assert runner.pid is not None
        os.kill(runner.pid, signal.SIGKILL)

    with pytest.raises(NodeCrashedError, match="SIGKILL") as caught:
        fit(new(), *data, SETTINGS, callbacks=[At(1, kill)])
    assert "2 epochs were finished" in str(caught.value)


def test_a_metric_that_there_is_not_is_named_with_those_that_there_are(new: Any, data: Any) -> None:
    with pytest.raises(BridgeError, match="'val_loss' is not among those of this training: loss, accuracy"):
        fit(new(), data[0], None, replace(SETTINGS, monitor="val_loss"))


def test_a_reduced_rate_follows_keras(new: Any, data: Any) -> None:
    """Keras: after `patience` epochs without improvement the rate is multiplied, but not below `min_lr`."""
    model = tiny.vector_classifier()
    callback = ReduceLROnPlateau(factor=0.5, patience=2, min_lr=3e-31)
    result = fit(new("sgd", model=model), *data, replace(SETTINGS, epochs=6, learning_rate=1e-30), callbacks=[callback])
    assert result.history.history["learning_rate"] == [1e-30, 1e-30, 1e-30, 5e-31, 5e-31, 3e-31]


def test_a_callback_starts_afresh_in_its_next_training(new: Any, data: Any) -> None:
    callback = ReduceLROnPlateau(factor=0.5, patience=2)
    settings = replace(SETTINGS, epochs=3, learning_rate=1e-30)
    rates = [
        fit(new("sgd", model=tiny.vector_classifier()), *data, settings, callbacks=[callback]).history.history["learning_rate"]
        for _ in range(2)
    ]
    assert rates[0] == rates[1] == [1e-30] * 3


@pytest.mark.parametrize(("optimizer", "momentum"), [("adam", 0.0), ("rmsprop", 0.0), ("sgd", 0.9)])
def test_a_continued_training_equals_an_uninterrupted_one(
    new: Any, data: Any, tmp_path: Path, optimizer: str, momentum: float
) -> None:
    whole, part, rest = new(optimizer, momentum), new(optimizer, momentum), new(optimizer, momentum)
    settings = replace(SETTINGS, learning_rate=0.05)
    expected = fit(whole, *data, settings)
    fit(part, *data, replace(settings, epochs=3), on_epoch=lambda state: write_checkpoint(tmp_path, state))
    result = fit(rest, *data, settings, resume=read_checkpoint(tmp_path))
    assert result.history == expected.history
    for name, value in whole.weights().items():
        np.testing.assert_array_equal(rest.weights()[name], value)


@pytest.mark.parametrize("stopped_after", [1, 2, 3, 4, 5])
def test_a_continued_training_stops_and_slows_down_where_an_uninterrupted_one_does(
    new: Any, data: Any, tmp_path: Path, stopped_after: int
) -> None:
    settings = replace(SETTINGS, epochs=12, learning_rate=1e-30, patience=5)

    def run(epochs: int, resume: FitState | None = None) -> FitResult:
        callbacks = [ReduceLROnPlateau(factor=0.5, patience=2)]
        return fit(
            new("sgd", model=tiny.vector_classifier()),
            *data,
            replace(settings, epochs=epochs),
            callbacks=callbacks,
            resume=resume,
            on_epoch=lambda state: write_checkpoint(tmp_path, state),
        )

    expected = run(12)
    run(stopped_after)
    assert run(12, read_checkpoint(tmp_path)).history == expected.history


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="patience"):
        EarlyStopping(patience=-1)
    with pytest.raises(ValueError, match="factor"):
        ReduceLROnPlateau(factor=1.0)


def test_history_is_read_as_in_keras() -> None:
    history = History([{"epoch": 1, "loss": 0.7}, {"epoch": 2, "loss": 0.5}], best_epoch=2)
    assert history.history == {"loss": [0.7, 0.5]}
    assert history.epoch == [0, 1]
    assert history.best == {"epoch": 2, "loss": 0.5}
    assert "loss 0.5000" in repr(history)


def test_a_history_goes_on_with_the_epochs_of_a_later_training() -> None:
    history = History([{"epoch": 1, "loss": 0.7}], best_epoch=1)
    longer = history.extended([{"epoch": 1, "loss": 0.6}], 1)
    assert (longer.epoch, longer.best_epoch) == ([0, 1], 2)
    assert history.extended([{"epoch": 1, "loss": 0.9}], None).best_epoch == 1
    assert len(history) == 1
