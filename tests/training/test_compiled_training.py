"""What only the compiled engine promises: Python's bits, no second tracing; and that both engines agree."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray

import pybridge as pb
from pybridge.errors import BridgeError, ModelFormatError
from pybridge.graphs import TensorFlowProcess
from pybridge.graphs.training.cache import training_program_for
from pybridge.graphs.training.reference import train_reference
from pybridge.rpc.runner import Runner
from pybridge.runtime import ensure
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.engines import create_trainer
from pybridge.training.loop import fit
from pybridge.training.options import ENGINES, TrainingOptions
from pybridge.training.preparation import recipe_of
from pybridge.training.trainer import Examples, Trainer

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(50, 5)).astype(np.float32)
Y = RANDOM.integers(0, 3, 50).astype(np.int32)


@pytest.fixture
def runner(node: pb.Node) -> Runner:
    node.runner.start()
    return node.runner


@pytest.fixture
def put(runner: Runner) -> Callable[..., Examples]:
    def put(x: NDArray[Any], y: NDArray[Any], **options: Any) -> Examples:
        return Examples(runner.call("features.put", {"values": x}), y, **options)

    return put


@pytest.fixture
def compiled(runner: Runner, tensorflow: TensorFlowProcess) -> Callable[..., Trainer]:
    def compiled(model: LayersModel, **settings: Any) -> Trainer:
        return create_trainer("compiled", runner, model, TrainingOptions(**settings), tensorflow=tensorflow)

    return compiled


def orders(epochs: int, examples: int) -> list[NDArray[np.int32]]:
    return [np.random.default_rng(epoch).permutation(examples).astype(np.int32) for epoch in range(epochs)]


def in_python(
    model: LayersModel, settings: TrainingOptions, x: Any, y: Any, batch_size: int, tensorflow: TensorFlowProcess
) -> dict[str, NDArray[Any]]:
    program = training_program_for(model, recipe_of(settings), ensure(), tensorflow)
    return train_reference(
        program, model.weights, x, y, orders(3, len(x)), batch_size=batch_size, settings=settings, tensorflow=tensorflow
    ).weights


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamw", "label_smoothing": 0.1, "global_clipnorm": 0.5},
        pytest.param({"optimizer": "sgd", "momentum": 0.9, "nesterov": True}, marks=pytest.mark.slow),
    ],
    ids=["adamw", "sgd"],
)
def test_node_ends_with_the_very_weights_that_python_ends_with(
    compiled: Any, put: Any, tensorflow: TensorFlowProcess, settings: dict[str, Any]
) -> None:
    model = tiny.vector_classifier(dropout=0.3, hidden_units=8)
    trainer = compiled(model, seed=5, **settings)
    examples = put(X, Y)
    for order in orders(3, len(X)):
        trainer.train_epoch(examples, order, 0 * order, batch_size=8, learning_rate=0.02)
    expected = in_python(model, TrainingOptions(seed=5, **settings), X, Y, 8, tensorflow)
    for name, value in trainer.weights().items():
        assert value.tobytes() == expected[name].tobytes(), name
        assert not np.array_equal(value, model.weights[name])


@pytest.mark.slow
def test_a_network_of_images_ends_with_pythons_bits_too_and_statistics_move_alike(
    compiled: Any, put: Any, pixels: Any, tensorflow: TensorFlowProcess
) -> None:
    model = tiny.convolutional_classifier()
    x, y = (pixels[0][:, :16, :16] / 255).astype(np.float32), pixels[1].astype(np.int32)
    settings = TrainingOptions(hold_batch_normalization=False)
    trainer = compiled(model, hold_batch_normalization=False)
    examples = put(x, y)
    for order in orders(3, len(x)):
        trainer.train_epoch(examples, order, 0 * order, batch_size=10, learning_rate=0.02)
    expected = in_python(model, settings, x, y, 10, tensorflow)
    assert {name: value.tobytes() for name, value in trainer.weights().items()} == {
        name: value.tobytes() for name, value in expected.items()
    }
    assert not np.array_equal(expected["norm/moving_mean"], model.weights["norm/moving_mean"])


@pytest.mark.parametrize(
    ("settings", "limits"),
    [
        ({}, {}),
        pytest.param(
            {"optimizer": "sgd", "momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "global_clipnorm": 0.3, "mixup": 0.3},
            {"schedule": "one_cycle", "mixup": 0.3},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"optimizer": "adamw", "label_smoothing": 0.1}, {"schedule": "cosine", "warmup_epochs": 0.5}, marks=pytest.mark.slow
        ),
    ],
    ids=["defaults", "sgd", "adamw"],
)
def test_both_engines_go_the_same_way(
    runner: Runner, put: Any, tensorflow: TensorFlowProcess, settings: dict[str, Any], limits: dict[str, Any]
) -> None:
    examples, validation = put(X[:40], Y[:40]), put(X[40:], Y[40:])
    rows = []
    for engine in ENGINES:
        model = tiny.vector_classifier(hidden_units=6)
        trainer = create_trainer(engine, runner, model, TrainingOptions(**settings), tensorflow=tensorflow)
        result = fit(trainer, examples, validation, TrainingOptions(epochs=4, batch_size=8, learning_rate=0.02, **limits))
        rows.append(result.history.history)
    assert rows[0].keys() == rows[1].keys() == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    for name in ("loss", "val_loss", "accuracy", "val_accuracy", "learning_rate"):
        np.testing.assert_allclose(rows[0][name], rows[1][name], rtol=1e-4, err_msg=name)
    assert rows[0]["loss"][-1] < rows[0]["loss"][0]


def test_other_weights_rates_and_seeds_need_no_second_tracing(compiled: Any, runner: Runner, put: Any) -> None:
    compiled(tiny.vector_classifier(), seed=1, learning_rate=0.5)
    ended = TensorFlowProcess(ensure().environment())
    ended.close()
    other = LayersModel(tiny.vector_classifier().topology, {k: v + 1 for k, v in tiny.vector_classifier().weights.items()})
    trainer = create_trainer("compiled", runner, other, TrainingOptions(seed=2, learning_rate=0.1), tensorflow=ended)
    assert np.isfinite(trainer.evaluate(put(X, Y), batch_size=8)[0]["loss"])


def test_a_loss_that_becomes_no_number_leaves_the_weights_of_the_step_before(compiled: Any, put: Any) -> None:
    model = tiny.vector_classifier()
    broken = X.copy()
    broken[33, 2] = np.nan
    trainer, whole = compiled(model), compiled(model)
    examples, order = put(broken, Y), np.arange(50, dtype=np.int32)
    # The second epoch runs in one call: its first steps are good.
    good = order[order != 33]
    for each in (trainer, whole):
        each.train_epoch(examples, good, 0 * good, batch_size=8, learning_rate=0.1)
    with pytest.raises(BridgeError, match=r"The loss became NaN in step 12"):
        trainer.train_epoch(examples, order, 0 * order, batch_size=8, learning_rate=0.1)
    whole.train_epoch(examples, order[:32], 0 * order[:32], batch_size=8, learning_rate=0.1)
    for name, value in whole.weights().items():
        np.testing.assert_array_equal(trainer.weights()[name], value)


def test_targets_may_be_numbers(compiled: Any, put: Any) -> None:
    targets = (X[:, :3] @ np.array([[1.0], [-2.0], [0.5]])).astype(np.float32)
    trainer, examples = compiled(tiny.regression(), loss="mean_squared_error"), put(X[:, :3].copy(), targets)
    for _ in range(60):
        logs = trainer.train_epoch(examples, examples.used, 0 * examples.used, batch_size=10, learning_rate=0.05)
    assert set(logs) == {"loss"}
    np.testing.assert_allclose(trainer.weights()["line/kernel"][:, 0], [1, -2, 0.5], atol=0.05)


def test_a_penalty_that_keras_model_lacks_is_refused_by_name(compiled: Any) -> None:
    model = tiny.vector_classifier()
    topology = copy.deepcopy(model.topology)
    for entry in topology["config"]["layers"]:
        if entry["class_name"] == "Dense":
            entry["config"]["kernel_constraint"] = {"class_name": "NoSuchNorm", "config": {}}
    with pytest.raises(ModelFormatError, match=r"pybridge_probabilities") as caught:
        compiled(LayersModel(topology, model.weights))
    assert caught.value.hint


def test_a_model_without_trainable_weights_is_refused(compiled: Any) -> None:
    model = tiny.vector_classifier()
    topology = copy.deepcopy(model.topology)
    for entry in topology["config"]["layers"]:
        entry["config"]["trainable"] = False
    with pytest.raises(ModelFormatError, match="no trainable weights"):
        compiled(LayersModel(topology, model.weights))


@pytest.mark.slow
def test_a_store_too_large_for_a_second_copy_trains_alike(compiled: Any, put: Any) -> None:
    features = np.zeros((70_000, 1000), np.float32)
    chosen = np.array([5, 69_999, 17, 40_000, 23, 60_001], np.int32)
    features[chosen] = np.random.default_rng(0).normal(size=(6, 1000))
    labels = (np.arange(70_000) % 3).astype(np.int32)
    model = tiny.vector_classifier(1000)
    results = []
    for examples in (put(features, labels, order=chosen), put(features[chosen], labels[chosen])):
        trainer = compiled(model)
        logs = trainer.train_epoch(examples, examples.used, 0 * examples.used, batch_size=4, learning_rate=0.01)
        results.append((logs, trainer.weights(), trainer.evaluate(examples, batch_size=4)[0]))
    assert results[0][0] == results[1][0]
    assert results[0][2] == results[1][2]
    for name, value in results[0][1].items():
        np.testing.assert_array_equal(results[1][1][name], value)


@pytest.mark.slow
def test_a_classifier_learns_and_fine_tunes_and_resumes_to_the_same_bytes(node: pb.Node, pixels: Any, tmp_path: Path) -> None:
    def classifier(epochs: int) -> pb.ImageClassifier:
        return pb.ImageClassifier(
            tiny.convolution(), epochs=epochs, learning_rate=0.1, patience=None, seed=0, engine="compiled", node=node
        )

    whole, broken = classifier(6), classifier(3)
    whole.fit(*pixels, run_dir=tmp_path / "whole")

    class Stop(pb.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if epoch == 3:
                raise ValueError("stopped")

    broken = classifier(6)
    with pytest.raises(ValueError, match="stopped"):
        broken.fit(*pixels, run_dir=tmp_path / "broken", callbacks=[Stop()])
    broken = classifier(6)
    broken.fit(*pixels, run_dir=tmp_path / "broken", resume=True)
    assert broken.history_.rows == whole.history_.rows
    for one, other in zip(
        sorted((tmp_path / "whole" / "model").iterdir()), sorted((tmp_path / "broken" / "model").iterdir()), strict=True
    ):
        assert one.read_bytes() == other.read_bytes()
    whole.fine_tune(*pixels, unfreeze="all", epochs=2, learning_rate=1e-3)
    assert whole.history_.rows[-1]["val_accuracy"] >= 0.9


@pytest.mark.slow
def test_a_node_trains_a_model_by_either_engine(node: pb.Node) -> None:
    losses = []
    for engine in ENGINES:
        model = node.load_model(tiny.vector_classifier())
        history = node.train(model, X, Y, epochs=3, batch_size=10, learning_rate=0.05, engine=engine)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_what_is_judged_does_not_depend_on_how_many_batches_a_call_takes(runner: Runner, tensorflow: TensorFlowProcess) -> None:
    model = tiny.vector_classifier()
    settings = TrainingOptions()
    program = training_program_for(model, recipe_of(settings), ensure(), tensorflow)
    handle = runner.call("program.load", program.to_dict())
    weights = [model.weights[name] for name in program.weights]
    rows = np.arange(50, dtype=np.int32)

    def judge(part: NDArray[np.int32]) -> list[NDArray[np.float32]]:
        inputs = [*weights, X, Y, part, part, settings.numbers, np.array(8, np.int32)]
        outputs: list[NDArray[np.float32]] = runner.call(
            "program.runAll", {"program": handle, "signature": "evaluate", "inputs": inputs}
        )
        return outputs

    whole, first, second = judge(rows), judge(rows[:16]), judge(rows[16:])
    assert [each.shape for each in whole] == [(50, 3), (7,), (7,)]
    for all_of_it, one, other in zip(whole, first, second, strict=True):
        assert all_of_it.tobytes() == np.concatenate([one, other]).tobytes()
