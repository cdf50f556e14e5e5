"""Batch normalization that is held goes into the convolution before it: the same training, without its operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.graphs import TensorFlowProcess
from pybridge.graphs.training.cache import training_program_for
from pybridge.graphs.training.reference import train_reference
from pybridge.runtime import ensure
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import append_head
from pybridge.training.engines import create_trainer
from pybridge.training.head import append_classifier
from pybridge.training.options import ENGINES, TrainingOptions
from pybridge.training.preparation import recipe_of
from pybridge.training.trainer import Examples

pytestmark = pytest.mark.slow

RATE, BATCH, EPOCHS = 0.01, 8, 3
SETTINGS = TrainingOptions(optimizer="sgd", momentum=0.9, learning_rate=RATE)
RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(20, 8, 8, 3)).astype(np.float32)
Y = RANDOM.integers(0, 3, 20).astype(np.int32)
ORDER = np.arange(20, dtype=np.int32)


def normalization(name: str, channels: int, axis: int, **config: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    settings = {**tiny.NORMALIZATION, "axis": axis, **config}
    weights = {
        f"{name}/gamma": RANDOM.uniform(0.5, 1.5, channels),
        f"{name}/beta": RANDOM.normal(size=channels),
        f"{name}/moving_mean": RANDOM.normal(size=channels),
        f"{name}/moving_variance": RANDOM.uniform(0.5, 2, channels),
    }
    if not settings["scale"]:
        del weights[f"{name}/gamma"]
    return tiny.layer("BatchNormalization", name, **settings), {k: v.astype(np.float32) for k, v in weights.items()}


@pytest.fixture(scope="module")
def model() -> LayersModel:
    """Every layer that takes up a normalization: convolution, depthwise, dense; and a normalization behind a normalization."""
    first, second, third, last = (
        normalization("norm_1", 4, 3),
        normalization("norm_2", 8, 3, scale=False),
        normalization("norm_3", 8, 3),
        normalization("norm_4", 5, 1),
    )
    layers = [
        tiny.layer("Conv2D", "conv", filters=4, kernel_size=[3, 3], strides=[2, 2], padding="same", use_bias=True),
        first[0],
        tiny.layer("ReLU", "relu", max_value=6),
        tiny.layer("DepthwiseConv2D", "depthwise", kernel_size=[3, 3], depth_multiplier=2, padding="valid", use_bias=False),
        second[0],
        third[0],
        tiny.layer("GlobalAveragePooling2D", "pool", data_format="channels_last"),
        tiny.layer("Dense", "dense", units=5, activation="linear", use_bias=True),
        last[0],
    ]
    kernels = {
        "conv/kernel": RANDOM.normal(size=(3, 3, 3, 4)) * 0.3,
        "conv/bias": RANDOM.normal(size=4),
        "depthwise/depthwise_kernel": RANDOM.normal(size=(3, 3, 4, 2)) * 0.3,
        "dense/kernel": RANDOM.normal(size=(8, 5)) * 0.3,
        "dense/bias": RANDOM.normal(size=5),
    }
    weights = {name: value.astype(np.float32) for name, value in kernels.items()}
    for _, values in (first, second, third, last):
        weights |= values
    base = append_head(tiny.entrance(8, 8, 3), layers, weights)
    return append_classifier(base, 5, 3, dropout=0, hidden_units=0, seed=0)


@pytest.fixture(scope="module")
def trained(model: LayersModel, node: pb.Node, tensorflow: TensorFlowProcess) -> dict[str, Any]:
    """For each engine the logs of the epochs, the evaluation at the end, and the weights."""
    runner = node.runner
    runner.start()
    examples = Examples(runner.call("features.put", {"values": X}), Y)
    results = {}
    for engine in ENGINES:
        trainer = create_trainer(engine, runner, model, SETTINGS, tensorflow=tensorflow)
        logs = [
            trainer.train_epoch(examples, ORDER, 0 * ORDER, batch_size=BATCH, learning_rate=RATE)["loss"] for _ in range(EPOCHS)
        ]
        results[engine] = (logs, trainer.evaluate(examples, batch_size=BATCH), dict(trainer.weights()))
    return results


def test_both_engines_train_every_weight_alike(trained: dict[str, Any], model: LayersModel) -> None:
    (logs, (metrics, outputs), weights), (other_logs, (other_metrics, other_outputs), other_weights) = trained.values()
    np.testing.assert_allclose(logs, other_logs, rtol=1e-4)
    np.testing.assert_allclose(metrics["loss"], other_metrics["loss"], rtol=1e-4)
    np.testing.assert_allclose(outputs, other_outputs, atol=1e-5)
    for name, value in other_weights.items():
        np.testing.assert_allclose(weights[name], value, atol=2e-5, err_msg=name)
        held = "moving" in name
        assert np.array_equal(value, model.weights[name]) == held, name


def test_node_ends_with_pythons_bits(trained: dict[str, Any], model: LayersModel, tensorflow: TensorFlowProcess) -> None:
    program = training_program_for(model, recipe_of(SETTINGS), ensure(), tensorflow)
    expected = train_reference(
        program,
        model.weights,
        X,
        Y,
        [ORDER] * EPOCHS,
        batch_size=BATCH,
        settings=SETTINGS,
        tensorflow=tensorflow,
        learning_rate=RATE,
    ).weights
    weights = trained["compiled"][2]
    assert {name: weights[name].tobytes() for name in expected} == {name: value.tobytes() for name, value in expected.items()}


def test_activations_follow_the_convolution_directly(model: LayersModel, tensorflow: TensorFlowProcess) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    program = training_program_for(model, recipe_of(SETTINGS), ensure(), tensorflow)
    saved = SavedModel()
    saved.ParseFromString((program.folder / "saved_model.pb").read_bytes())
    before = set()
    for function in saved.meta_graphs[0].graph_def.library.function:
        nodes = {node.name: node for node in function.node_def}
        before |= {nodes[node.input[0].split(":")[0]].op for node in nodes.values() if node.op == "Relu6"}
    assert before == {"BiasAdd"}
