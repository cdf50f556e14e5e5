"""node.train: models of one's own, trained in Node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.errors import BridgeError, DataError, ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import append_head

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(60, 3)).astype(np.float32)
LINE = X @ np.array([1.0, -2.0, 0.5], np.float32) + 3


def with_output(units: int, activation: str) -> LayersModel:
    weights = {"out/kernel": np.zeros((3, units), np.float32), "out/bias": np.zeros(units, np.float32)}
    output = tiny.layer("Dense", "out", units=units, activation=activation, use_bias=True)
    return append_head(tiny.entrance(3), [output], weights)


@pytest.mark.parametrize("targets", [LINE, LINE[:, None], LINE.astype(np.float64)], ids=["(N,)", "(N, 1)", "float64"])
def test_a_line_is_found(node: pb.Node, targets: Any) -> None:
    """Targets of shape (N,) stand for (N, 1); broadcast to (N, N) they would pull everything to their mean."""
    model = node.load_model(tiny.regression())
    history = node.train(model, X, targets, epochs=60, learning_rate=0.1, batch_size=20)
    assert set(history.history) == {"loss", "learning_rate"}
    np.testing.assert_allclose(model.layers_model().weights["line/kernel"][:, 0], [1, -2, 0.5], atol=0.02)
    np.testing.assert_allclose(model.predict(X)[:, 0], LINE, atol=0.1)


def test_classes_are_learned(node: pb.Node) -> None:
    classes = np.digitize(X[:, 0], [-0.5, 0.5])
    model = node.load_model(with_output(3, "softmax"))
    history = node.train(model, X, classes, epochs=40, learning_rate=0.3, validation_data=(X[:20], classes[:20]))
    assert history.best["val_accuracy"] > 0.9
    assert (model.predict(X).argmax(axis=1) == classes).mean() > 0.9


def test_one_hot_rows_train_like_classes(node: pb.Node) -> None:
    classes = np.digitize(X[:, 0], [-0.5, 0.5])
    models = [node.load_model(with_output(3, "softmax")) for _ in range(2)]
    node.train(models[0], X, classes, epochs=2)
    node.train(models[1], X, np.eye(3)[classes], epochs=2)
    np.testing.assert_array_equal(models[0].predict(X), models[1].predict(X))


@pytest.mark.parametrize("dtype", [int, float, bool])
def test_yes_and_no_are_learned_by_a_sigmoid(node: pb.Node, dtype: type) -> None:
    """Whole numbers too: a single unit has no classes to count."""
    model = node.load_model(with_output(1, "sigmoid"))
    history = node.train(model, X, (X[:, 1] > 0).astype(dtype), epochs=30, learning_rate=0.3)
    assert history.best["accuracy"] > 0.9


def test_whole_numbers_are_values_to_a_linear_unit(node: pb.Node) -> None:
    model = node.load_model(tiny.regression())
    node.train(model, X, np.full(60, 4), epochs=60, learning_rate=0.2)
    np.testing.assert_allclose(model.predict(X), 4, atol=0.2)


@pytest.mark.parametrize(
    ("output", "targets", "options", "message"),
    [
        ((3, "softmax"), np.arange(60) % 4, {}, "Classes must be 0 to 2, but are 0 to 3"),
        ((3, "softmax"), np.arange(60) % 3 - 1, {}, "Classes must be 0 to 2, but are -1"),
        ((3, "softmax"), np.zeros((60, 2)), {}, r"do not fit the model's output \(None, 3\)"),
        ((3, "softmax"), np.zeros(60), {}, "do not fit the model's output"),
        ((3, "linear"), np.zeros((60, 1)), {}, "do not fit the model's output"),
        ((3, "softmax"), np.eye(3)[np.zeros(60, int)], {"loss": "sparse_categorical_crossentropy"}, "needs int classes"),
        ((3, "softmax"), np.zeros(59, int), {}, "60 inputs were given, but 59 targets"),
        ((3, "softmax"), np.array(["a"] * 60), {}, "Targets must be int classes"),
        ((3, "softmax"), np.zeros(60, int), {"validation_data": (X[:5], np.full(5, 9))}, "Classes must be 0 to 2"),
        ((3, "softmax"), np.zeros(60, int), {"loss": "hinge"}, "loss must be one of"),
        ((3, "softmax"), np.zeros(60, int), {"optimizer": "steepest"}, "optimizer must be one of"),
        ((3, "softmax"), np.zeros(60, int), {"batch_size": 0}, "batch_size"),
        ((3, "softmax"), np.zeros(60, int), {"epochs": -1}, "epochs"),
    ],
)
def test_targets_and_options_that_do_not_fit_are_refused(
    node: pb.Node, output: Any, targets: Any, options: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        node.train(node.load_model(with_output(*output)), X, targets, **options)


def test_nothing_cannot_be_trained_on(node: pb.Node) -> None:
    with pytest.raises(DataError, match="nothing to train on"):
        node.train(node.load_model(tiny.regression()), X[:0], LINE[:0])


def test_only_models_with_one_input_and_one_output_train(node: pb.Node) -> None:
    model = with_output(2, "linear")
    config = {**model.topology["config"], "output_layers": [["out", 0, 0], ["entrance", 0, 0]]}
    loaded = node.load_model(replace(model, topology={**model.topology, "config": config}))
    with pytest.raises(ModelFormatError, match="1 inputs and 2 outputs"):
        node.train(loaded, X, X[:, :2])


def test_a_diverging_training_leaves_the_model_as_it_was(node: pb.Node) -> None:
    model = node.load_model(tiny.regression())
    with pytest.raises(BridgeError, match="Training diverged"):
        node.train(model, X, LINE * np.float32(1e30), epochs=3)
    np.testing.assert_array_equal(model.predict(X), 0)


def test_batch_normalization_that_trains_moves_its_statistics_and_frozen_ones_stay(node: pb.Node, pixels: Any) -> None:
    images = pixels[0][:, :16, :16] / 255
    for trainable in (True, False):
        source = tiny.convolutional_classifier(trainable_norm=trainable)
        model = node.load_model(source)
        node.train(model, images, pixels[1], epochs=1)
        moved = not np.array_equal(model.layers_model().weights["norm/moving_mean"], source.weights["norm/moving_mean"])
        assert moved == trainable


def test_equal_seeds_give_equal_weights(node: pb.Node) -> None:
    def train(seed: int) -> Any:
        model = node.load_model(tiny.vector_classifier(3, 3, dropout=0.4))
        node.train(model, X, np.arange(60) % 3, epochs=2, seed=seed)
        return model.predict(X)

    np.testing.assert_array_equal(train(1), train(1))
    assert not np.array_equal(train(1), train(2))


def test_patience_stops_training_and_callbacks_are_called(node: pb.Node) -> None:
    epochs: list[int] = []
    history = node.train(
        node.load_model(tiny.regression()),
        X,
        LINE,
        epochs=9,
        learning_rate=1e-30,
        optimizer="sgd",
        patience=2,
        callbacks=[pb.callbacks.LambdaCallback(lambda epoch, logs: epochs.append(epoch))],
    )
    assert epochs == history.epoch
    assert len(epochs) < 9


def test_classes_are_classes_to_a_softmax_whose_output_is_reshaped(node: pb.Node) -> None:
    """MobileNet v1 of the TF.js zoo ends so."""
    reshaped = append_head(with_output(3, "softmax"), [tiny.layer("Reshape", "flat", target_shape=[3])], {})
    model = node.load_model(reshaped)
    x = np.random.default_rng(0).normal(size=(6, model.inputs[0].shape[1])).astype(np.float32)
    history = node.train(model, x, np.array([0, 1, 2, 0, 1, 2]))
    assert set(history.history) >= {"loss", "accuracy"}


@pytest.mark.parametrize("engine", ["compiled", "layers"])
def test_a_callback_may_change_the_rate_and_end_training(node: pb.Node, engine: str) -> None:
    class Slow(pb.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.loop.learning_rate = 0.0625
            self.loop.stop_training = epoch == 1

    history = node.train(
        node.load_model(tiny.regression()), X, LINE, epochs=9, learning_rate=0.5, callbacks=[Slow()], engine=engine
    )
    assert history.history["learning_rate"] == [0.5, 0.0625]
    assert history.engine == engine


@pytest.mark.parametrize("engine", ["compiled", "layers"])
def test_a_class_that_weighs_nothing_is_not_learned(node: pb.Node, engine: str) -> None:
    classes = (np.arange(60) % 3 > 0).astype(int)
    for weights in ({"class_weight": {1: 0.0}}, {"sample_weight": 1 - classes}):
        model = node.load_model(with_output(2, "softmax"))
        node.train(model, 0 * X, classes, epochs=5, learning_rate=0.3, engine=engine, **weights)
        assert (model.predict(0 * X).argmax(axis=1) == 0).all()


def test_all_options_of_training_act_alike_in_both_engines(node: pb.Node) -> None:
    classes = np.digitize(X[:, 0], [-0.5, 0.5])
    options = [
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "schedule": "cosine", "weight_decay": 0.1},
        {"label_smoothing": 0.2, "mixup": 0.3, "class_weight": "balanced", "global_clipnorm": 0.1, "warmup_epochs": 1},
    ]
    for chosen in options:
        losses = []
        for engine in ("compiled", "layers"):
            model = node.load_model(with_output(3, "softmax"))
            history = node.train(model, X, classes, epochs=3, learning_rate=0.05, seed=2, engine=engine, **chosen)
            losses.append([*history.history["loss"], *history.history["learning_rate"]])
        plain = node.train(node.load_model(with_output(3, "softmax")), X, classes, epochs=3, learning_rate=0.05, seed=2)
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
        assert losses[0][:3] != plain.history["loss"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 0.1}, "need targets that are classes"),
        ({"class_weight": "balanced"}, "need targets that are classes"),
        ({"sample_weight": np.ones(59)}, "sample_weight must be 60 numbers"),
        ({"sample_weight": np.full(60, np.nan)}, "sample_weight must be finite"),
        ({"nesterov": True}, "nesterov needs"),
        ({"schedule": "warp"}, "schedule must be one of"),
        ({"engine": "warp"}, "engine must be one of"),
    ],
)
def test_options_that_do_not_fit_are_refused(node: pb.Node, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        node.train(node.load_model(tiny.regression()), X, LINE, **options)
