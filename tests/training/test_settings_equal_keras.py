"""Settings of a training that Keras has too, against Keras's own numbers; `test_trainer` has the plain optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray

import pybridge as pb
from pybridge.graphs import TensorFlowProcess
from pybridge.training.engines import create_trainer
from pybridge.training.options import ENGINES, TrainingOptions
from pybridge.training.schedules import rate_factors
from pybridge.training.trainer import Examples

pytestmark = pytest.mark.slow

EXAMPLES, BATCH, EPOCHS, RATE = 24, 8, 2, 0.02
STEPS = EXAMPLES // BATCH
RANDOM = np.random.default_rng(11)
X = RANDOM.normal(size=(EXAMPLES, 5)).astype(np.float32)
Y = RANDOM.integers(0, 3, EXAMPLES).astype(np.int32)
MODEL = tiny.vector_classifier(hidden_units=6)


def trained_in_node(
    engine: str, node: pb.Node, tensorflow: TensorFlowProcess, settings: dict[str, Any], **options: Any
) -> dict[str, NDArray[Any]]:
    runner = node.runner
    runner.start()
    trainer = create_trainer(engine, runner, MODEL, TrainingOptions(**settings), tensorflow=tensorflow)
    examples = Examples(runner.call("features.put", {"values": X}), Y)
    options = {"rates": np.full((EPOCHS, STEPS), RATE, np.float32), "mixing": None, **options}
    for epoch in range(EPOCHS):
        order = examples.used
        rates = options["rates"][epoch]
        trainer.train_epoch(examples, order, 0 * order, batch_size=BATCH, learning_rate=rates, mixing=options["mixing"])
    return dict(trainer.weights())


def trained_by_keras(optimizer: Any, x: Any = X, y: Any = Y, smoothing: float | None = None) -> dict[str, NDArray[Any]]:
    import keras

    from pybridge.models import to_keras

    twin = to_keras(MODEL)
    sparse = smoothing is None and y.ndim == 1
    loss = "sparse_categorical_crossentropy" if sparse else keras.losses.CategoricalCrossentropy(label_smoothing=smoothing or 0.0)
    twin.compile(optimizer, loss=loss)
    targets = y if sparse or y.ndim == 2 else np.eye(3, dtype=np.float32)[y]
    twin.fit(x, targets, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    return {weight.path: weight.numpy() for weight in twin.weights}


def assert_equal(ours: dict[str, NDArray[Any]], theirs: dict[str, NDArray[Any]], tolerance: float = 2e-5) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, atol=tolerance, err_msg=name)
        assert not np.allclose(value, MODEL.weights[name], atol=1e-3), name


@pytest.fixture(params=ENGINES)
def train(request: pytest.FixtureRequest, node: pb.Node, tensorflow: TensorFlowProcess) -> Any:
    return lambda settings, **options: trained_in_node(request.param, node, tensorflow, settings, **options)


def test_adamw_decays_kernels_by_keras_default(train: Any) -> None:
    import keras

    optimizer = keras.optimizers.AdamW(RATE)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    # Keras adds epsilon to another term, which shows where a gradient is almost zero; the decay itself is up to 3e-4.
    assert_equal(train({"optimizer": "adamw"}), trained_by_keras(optimizer), tolerance=6e-5)


def test_nesterov_momentum_and_the_norm_of_all_gradients(train: Any) -> None:
    import keras

    ours = train({"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "global_clipnorm": 0.05})
    assert_equal(ours, trained_by_keras(keras.optimizers.SGD(RATE, momentum=0.9, nesterov=True, global_clipnorm=0.05)))


def test_smoothed_labels(train: Any) -> None:
    import keras

    assert_equal(
        train({"optimizer": "rmsprop", "label_smoothing": 0.2}), trained_by_keras(keras.optimizers.RMSprop(RATE), smoothing=0.2)
    )


def test_a_cosine_schedule(train: Any) -> None:
    import keras

    factors = [rate_factors("cosine", 0, epochs=EPOCHS, epoch=epoch, steps=STEPS) for epoch in range(EPOCHS)]
    ours = train({"optimizer": "sgd"}, rates=RATE * np.array(factors, np.float32))
    assert_equal(ours, trained_by_keras(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * STEPS))))


def test_mixed_examples_have_mixed_targets(train: Any) -> None:
    import keras

    shares = np.array([0.7, 0.9, 0.2], np.float32)

    def mixed(values: NDArray[Any]) -> NDArray[Any]:
        parts = np.split(values, STEPS)
        return np.concatenate(
            [share * part + (1 - share) * np.roll(part, 1, 0) for share, part in zip(shares, parts, strict=True)]
        )

    theirs = trained_by_keras(keras.optimizers.SGD(RATE), mixed(X), mixed(np.eye(3, dtype=np.float32)[Y]))
    assert_equal(train({"optimizer": "sgd", "mixup": 0.3}, mixing=shares), theirs)
