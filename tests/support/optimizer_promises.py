"""What every optimizer promises; each file of tests/optimizers fills in what is its own."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, ClassVar

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray

import pybridge as pb
from pybridge.graphs import TensorFlowProcess
from pybridge.optimizers import keras_options, training_optimizer, written_for_tfjs
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.engines import create_trainer
from pybridge.training.options import TrainingOptions
from pybridge.training.trainer import Examples, Trainer

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(12, 5)).astype(np.float32)
Y = RANDOM.integers(0, 3, 12).astype(np.int32)
KERNEL, BIAS = "pybridge_probabilities/kernel", "pybridge_probabilities/bias"


class OptimizerPromises:
    """The tests; a subclass whose name begins with ``Test`` is an optimizer, or one with other options.

    Attributes:
        options: ``optimizer``, and what else a training needs to be told.
        tfjs: What TF.js calls it, and its options there as Keras's defaults; None where TF.js lacks it.
        keras_tolerance: How far weights may be from Keras's after five steps of 0.01.
    """

    options: ClassVar[dict[str, Any]]
    tfjs: ClassVar[tuple[str, dict[str, Any]] | None] = None
    keras_tolerance: ClassVar[float] = 2e-5

    def step(self, gradient: NDArray[Any], memory: dict[str, Any], number: int) -> NDArray[Any]:
        """The step ``number`` (from 1) of a weight, for a rate of 1, by the formula of the paper.

        ``memory`` is what a weight keeps from step to step; what was not written to it yet is 0.
        """
        raise NotImplementedError

    def in_keras(self, **options: Any) -> Any:
        """The optimizer of Keras with these options (``learning_rate``, ``weight_decay``)."""
        raise NotImplementedError

    @pytest.fixture(params=[pytest.param("compiled", marks=pytest.mark.slow), "layers"])
    def new(self, request: pytest.FixtureRequest, node: pb.Node, tensorflow: TensorFlowProcess) -> Any:
        def new(model: LayersModel, **others: Any) -> Trainer:
            settings = TrainingOptions(**self.options, **others)
            return create_trainer(request.param, node.runner, model, settings, tensorflow=tensorflow)

        return new

    @pytest.fixture
    def put(self, node: pb.Node) -> Any:
        def put(x: NDArray[Any], y: NDArray[Any], **others: Any) -> Examples:
            return Examples(node.runner.call("features.put", {"values": x}), y, **others)

        return put

    def test_three_steps_follow_the_formula(self, new: Any, put: Any) -> None:
        # So little that nothing decays, also where there is a default.
        trainer = new(tiny.vector_classifier(), weight_decay=1e-9)
        train(trainer, put(X, Y), epochs=3, batch_size=12, rate=0.05)
        start = tiny.vector_classifier().weights
        weights = [start[name].astype(np.float64) for name in (KERNEL, BIAS)]
        memories: list[dict[str, Any]] = [defaultdict(float), defaultdict(float)]
        for number in (1, 2, 3):
            error = (softmax(X @ weights[0] + weights[1]) - np.eye(3)[Y]) / len(X)
            for i, gradient in enumerate((X.T @ error, error.sum(axis=0))):
                weights[i] = weights[i] - 0.05 * self.step(gradient, memories[i], number)
        for name, expected in zip((KERNEL, BIAS), weights, strict=True):
            np.testing.assert_allclose(trainer.weights()[name], expected, atol=2e-6)

    def test_a_restored_trainer_goes_on_bit_for_bit(self, new: Any, put: Any) -> None:
        examples, model = put(X, Y), tiny.vector_classifier(dropout=0.3, hidden_units=4)
        unbroken, later = (new(model, weight_decay=0.01, seed=5) for _ in range(2))
        train(unbroken, examples, epochs=11, batch_size=5)
        later.restore(unbroken.state())
        for trainer in (unbroken, later):
            train(trainer, examples, epochs=3, batch_size=5)
        for name, value in unbroken.weights().items():
            np.testing.assert_array_equal(later.weights()[name], value, err_msg=name)

    @pytest.mark.slow
    def test_five_steps_of_a_convolutional_network_equal_keras(self, new: Any, put: Any, pixels: Any) -> None:
        from pybridge.models import to_keras

        model = tiny.convolutional_classifier()
        images, labels = (pixels[0][:, :16, :16] / 127.5 - 1).astype(np.float32), pixels[1].astype(np.int32)
        shares = np.where(labels == 1, 3.0, 0.5).astype(np.float32)
        trainer = new(model, weight_decay=0.1, hold_batch_normalization=False)
        train(trainer, put(images, labels, sample_weights=shares), epochs=5, batch_size=24, rate=0.01)
        twin, chosen = to_keras(model), self.in_keras(learning_rate=0.01, weight_decay=0.1)
        chosen.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        twin.compile(chosen, loss="sparse_categorical_crossentropy")
        twin.fit(images, labels, batch_size=24, epochs=5, shuffle=False, class_weight={0: 0.5, 1: 3.0}, verbose=0)
        for weight in twin.weights:
            expected = weight.numpy()
            np.testing.assert_allclose(trainer.weights()[weight.path], expected, atol=self.keras_tolerance, err_msg=weight.path)

    def test_tfjs_reads_it_as_keras_wrote_it(self) -> None:
        optimizer = self.in_keras(learning_rate=0.25)
        class_name, config = type(optimizer).__name__, optimizer.get_config()
        if self.tfjs is None:
            with pytest.raises(ValueError, match=r"TF\.js"):
                written_for_tfjs(class_name, config)
            return
        written = written_for_tfjs(class_name, config)
        assert (written["class_name"], written["config"]) == (self.tfjs[0], {"learning_rate": 0.25, **self.tfjs[1]})
        found = keras_options(self.tfjs[0])
        assert found is not None
        assert found[0] == training_optimizer(self.options["optimizer"]).keras == class_name
        assert {config[found[1][name]] for name in self.tfjs[1] if name in found[1]} <= set(self.tfjs[1].values())


def train(trainer: Trainer, examples: Examples, *, epochs: int, batch_size: int, rate: float = 0.1) -> None:
    order = examples.used
    for _ in range(epochs):
        trainer.train_epoch(examples, order, np.zeros_like(order), batch_size=batch_size, learning_rate=rate)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
