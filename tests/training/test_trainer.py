"""The trainers of both engines against the formulas that they should follow."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray

import pybridge as pb
from pybridge.errors import BridgeError, NodeCrashedError
from pybridge.graphs import TensorFlowProcess
from pybridge.rpc.runner import Runner
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.engines import create_trainer
from pybridge.training.options import TrainingOptions
from pybridge.training.trainer import Examples, Trainer

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(12, 5)).astype(np.float32)
Y = RANDOM.integers(0, 3, 12).astype(np.int32)
KERNEL, BIAS = "pybridge_probabilities/kernel", "pybridge_probabilities/bias"


@pytest.fixture
def runner(node: pb.Node) -> Runner:
    node.runner.start()
    return node.runner


@pytest.fixture
def put(runner: Runner) -> Callable[..., Examples]:
    def put(x: NDArray[Any], y: NDArray[Any], **options: Any) -> Examples:
        return Examples(runner.call("features.put", {"values": x}), y, **options)

    return put


@pytest.fixture(params=[pytest.param("compiled", marks=pytest.mark.slow), "layers"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def trainer_of(engine: str, runner: Runner, tensorflow: TensorFlowProcess) -> Callable[..., Trainer]:
    def trainer_of(model: LayersModel | None = None, **settings: Any) -> Trainer:
        chosen = TrainingOptions(**settings)
        return create_trainer(engine, runner, model or tiny.vector_classifier(), chosen, tensorflow=tensorflow)

    return trainer_of


def train(trainer: Trainer, examples: Examples, *, epochs: int = 1, batch_size: int = 12, rate: float = 0.1) -> dict[str, float]:
    order = examples.used
    logs: dict[str, float] = {}
    for _ in range(epochs):
        logs = trainer.train_epoch(examples, order, np.zeros_like(order), batch_size=batch_size, learning_rate=rate)
    return logs


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_logs_are_the_mean_cross_entropy_and_the_share_of_hits_before_each_step(trainer_of: Any, put: Any) -> None:
    logs = train(trainer_of(optimizer="sgd"), put(X, Y))
    model = tiny.vector_classifier()
    probabilities = softmax(X @ model.weights[KERNEL] + model.weights[BIAS])
    assert logs["loss"] == pytest.approx(-np.log(probabilities[np.arange(12), Y]).mean(), rel=1e-5)
    assert logs["accuracy"] == (probabilities.argmax(axis=1) == Y).mean()


def test_accuracy_is_an_exact_share_whatever_the_batch_size(trainer_of: Any, put: Any) -> None:
    """Thirds, summed as floats, would not add up to 1."""
    model = tiny.vector_classifier()
    labels = (X @ model.weights[KERNEL] + model.weights[BIAS]).argmax(axis=1).astype(np.int32)
    trainer = trainer_of(model)
    assert all(trainer.evaluate(put(X, labels), batch_size=size)[0]["accuracy"] == 1 for size in (1, 5, 7, 12))


def test_evaluation_gives_every_output_in_order(trainer_of: Any, put: Any) -> None:
    order = np.array([3, 1, 11, 0, 7], np.int32)
    _, outputs = trainer_of().evaluate(put(X, Y, order=order), batch_size=2)
    model = tiny.vector_classifier()
    expected = softmax(X[order] @ model.weights[KERNEL] + model.weights[BIAS])
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_weight_decay_is_decoupled_and_spares_biases(trainer_of: Any, put: Any) -> None:
    """w <- w (1 - rate decay) - rate gradient (Loshchilov and Hutter 2019), the gradient taken before the decay."""
    plain, decayed = trainer_of(optimizer="sgd"), trainer_of(optimizer="sgd", weight_decay=0.5)
    examples = put(X, Y)
    train(plain, examples)
    train(decayed, examples)
    start = tiny.vector_classifier().weights
    np.testing.assert_allclose(decayed.weights()[KERNEL], plain.weights()[KERNEL] - 0.1 * 0.5 * start[KERNEL], atol=1e-6)
    np.testing.assert_array_equal(decayed.weights()[BIAS], plain.weights()[BIAS])


def test_label_smoothing_spreads_its_share_over_all_classes(trainer_of: Any, put: Any) -> None:
    logs = train(trainer_of(label_smoothing=0.3), put(X, Y))
    model = tiny.vector_classifier()
    probabilities = softmax(X @ model.weights[KERNEL] + model.weights[BIAS])
    targets = np.eye(3)[Y] * 0.7 + 0.1
    assert logs["loss"] == pytest.approx(-(targets * np.log(probabilities)).sum(axis=1).mean(), rel=1e-5)


def test_sample_weights_scale_each_examples_loss_and_the_batch_counts_examples(trainer_of: Any, put: Any) -> None:
    """As Keras does with class_weight: the weighted losses are summed and divided by the number of examples."""
    weights = np.array([0.5, 2.0, 3.0], np.float32)[Y]
    logs = train(trainer_of(), put(X, Y, sample_weights=weights))
    model = tiny.vector_classifier()
    probabilities = softmax(X @ model.weights[KERNEL] + model.weights[BIAS])
    assert logs["loss"] == pytest.approx((-np.log(probabilities[np.arange(12), Y]) * weights).mean(), rel=1e-5)


def test_views_choose_their_rows(trainer_of: Any, put: Any) -> None:
    """Row i * views + v is view v of example i."""
    store = np.zeros((24, 5), np.float32)
    store[1::2] = X
    order = np.arange(12, dtype=np.int32)
    with_views, plain = trainer_of(optimizer="sgd"), trainer_of(optimizer="sgd")
    with_views.train_epoch(put(store, Y, views=2), order, np.ones_like(order), batch_size=5, learning_rate=0.1)
    train(plain, put(X, Y), batch_size=5)
    np.testing.assert_array_equal(with_views.weights()[KERNEL], plain.weights()[KERNEL])


def test_dropout_differs_from_step_to_step_but_not_between_equal_seeds(trainer_of: Any, put: Any) -> None:
    examples = put(X, Y)

    def losses(seed: int) -> list[float]:
        trainer = trainer_of(tiny.vector_classifier(dropout=0.5), seed=seed)
        return [train(trainer, examples, rate=1e-30)["loss"] for _ in range(4)]

    first = losses(3)
    assert len(set(first)) == 4
    assert losses(3) == first
    assert losses(4) != first


@pytest.mark.parametrize(
    ("trainable", "hold", "moves"), [(True, False, True), (False, False, False), (True, True, False), (False, True, False)]
)
def test_statistics_of_batch_normalization_move_only_where_its_layer_trains_and_is_not_held(
    trainer_of: Any, put: Any, pixels: Any, trainable: bool, hold: bool, moves: bool
) -> None:
    model = tiny.convolutional_classifier(trainable_norm=trainable)
    trainer = trainer_of(model, hold_batch_normalization=hold)
    images = (pixels[0][:, :16, :16] / 255).astype(np.float32)
    train(trainer, put(images, pixels[1].astype(np.int32)), epochs=2)
    after = trainer.weights()
    for name in ("norm/moving_mean", "norm/moving_variance"):
        assert (not np.array_equal(after[name], model.weights[name])) == moves
    assert (not np.array_equal(after["norm/gamma"], model.weights["norm/gamma"])) == trainable
    assert not np.array_equal(after["conv/kernel"], model.weights["conv/kernel"])


def test_a_loss_that_is_no_number_ends_training_with_advice(trainer_of: Any, put: Any) -> None:
    broken = X.copy()
    broken[5, 2] = np.nan
    trainer = trainer_of()
    before = trainer.weights()
    with pytest.raises(BridgeError, match=r"diverged: The loss became NaN in step 1") as caught:
        train(trainer, put(broken, Y))
    assert "learning rate" in str(caught.value)
    np.testing.assert_array_equal(trainer.weights()[KERNEL], before[KERNEL])


def test_a_cancelled_epoch_leaves_the_trainer_usable(trainer_of: Any, put: Any) -> None:
    trainer, examples = trainer_of(), put(X, Y)

    class EnoughError(Exception):
        pass

    def stop(progress: dict[str, Any]) -> None:
        raise EnoughError

    with pytest.raises(EnoughError):
        trainer.train_epoch(examples, examples.used, 0 * examples.used, batch_size=1, learning_rate=0.1, on_progress=stop)
    assert np.isfinite(train(trainer, examples)["loss"])


def test_progress_counts_examples(trainer_of: Any, put: Any) -> None:
    seen: list[int] = []
    examples = put(X, Y)
    trainer_of().train_epoch(
        examples,
        examples.used,
        0 * examples.used,
        batch_size=5,
        learning_rate=0.1,
        on_progress=lambda value: seen.append(value["examples"]),
    )
    assert seen[0] == 5
    assert seen[-1] == 12
    assert seen == sorted(seen)


def test_a_disposed_trainer_is_gone(trainer_of: Any) -> None:
    trainer = trainer_of()
    trainer.dispose()
    with pytest.raises(BridgeError, match="no trainer"):
        trainer.weights()


@pytest.mark.kills_node
def test_a_trainer_that_died_with_its_process_says_so(runner: Runner, trainer_of: Any, put: Any) -> None:
    trainer, examples = trainer_of(), put(X, Y)
    process = runner.start()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(NodeCrashedError):
        process.connection.call("echo", {"value": 1})
    runner.start()
    with pytest.raises(NodeCrashedError, match="SIGKILL"):
        train(trainer, examples)
    trainer.dispose()


def test_an_unknown_engine_is_refused(runner: Runner) -> None:
    with pytest.raises(ValueError, match="engine must be one of auto, compiled, layers"):
        create_trainer("warp", runner, tiny.vector_classifier(), TrainingOptions())


def test_frozen_weights_stay(trainer_of: Any, put: Any) -> None:
    model = tiny.vector_classifier(hidden_units=4)
    for entry in model.topology["config"]["layers"]:
        if entry["config"]["name"] == "pybridge_hidden":
            entry["config"]["trainable"] = False
    trainer = trainer_of(replace(model), weight_decay=0.1)
    train(trainer, put(X, Y))
    np.testing.assert_array_equal(trainer.weights()["pybridge_hidden/kernel"], model.weights["pybridge_hidden/kernel"])


def test_a_sequential_model_trains_as_a_functional_one_does(trainer_of: Any, put: Any) -> None:
    functional = tiny.vector_classifier()
    layers = [{key: each[key] for key in ("class_name", "config")} for each in functional.topology["config"]["layers"]]
    sequential = replace(functional, topology={"class_name": "Sequential", "config": {"name": "stack", "layers": layers}})
    logs = [train(trainer_of(model), put(X, Y), epochs=3) for model in (sequential, functional)]
    assert logs[0] == logs[1]
