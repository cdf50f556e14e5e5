"""A converted model trains on in stock TF.js with its own optimizer, is saved there, and comes back to Keras."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras_models
import numpy as np
import pytest

import pybridge as pb
from pybridge.converters.keras.record import OWN_MODULES
from pybridge.converters.to_keras.recovery import recover
from pybridge.models import from_keras
from pybridge.tfjs.layers_model import LayersModel

SCRIPT = Path(__file__).parents[1] / "support" / "saved_by_tfjs.js"


@dataclass
class Crossing:
    """A Keras model, what TF.js saved after training it, and what it said meanwhile."""

    original: Any
    steps_in_keras: list[float]
    said: dict[str, Any]
    saved: LayersModel
    inputs: Any


@pytest.fixture(scope="module")
def crossing(node: pb.Node, tmp_path_factory: pytest.TempPathFactory) -> Crossing:
    import keras

    keras.utils.set_random_seed(0)
    k = keras.layers
    block = keras.Sequential([k.Input((6, 6, 4)), k.SeparableConv2D(4, 3, padding="same"), k.ReLU()], name="block")
    image = k.Input((6, 6, 3))
    x = block(block(k.Conv2D(4, 3, padding="same", activation="silu")(image)))
    x = k.Reshape((-1, 4))(x)
    x = k.GlobalAveragePooling1D()(x)
    model = keras.Model(image, k.Dense(3, activation="softmax")(x))
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True), "categorical_crossentropy", metrics=["accuracy"])
    folder = tmp_path_factory.mktemp("crossing")
    from_keras(model).write(folder / "written")
    inputs = keras_models.noise(4, 6, 6, 3)
    targets = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    said = node.call(SCRIPT, "trainAndSave", str(folder / "written"), inputs, targets, str(folder / "saved"))
    steps = [float(model.train_on_batch(inputs, targets)[0]) for _ in range(3)]
    return Crossing(model, steps, said, LayersModel.read(folder / "saved"), inputs)


def architecture(model: Any) -> Any:
    """The config of a model without what says how the models in it were compiled or built."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cleaned(item) for key, item in value.items() if key not in ("compile_config", "build_config")}
        return [cleaned(item) for item in value] if isinstance(value, (list, tuple)) else value

    return cleaned(model.get_config())


def test_stock_tfjs_trains_with_the_optimizer_loss_and_metrics_of_keras(crossing: Crossing) -> None:
    np.testing.assert_allclose(crossing.said["losses"], crossing.steps_in_keras, rtol=1e-4)
    assert crossing.said["metrics"] == ["loss", "acc"]


def test_what_tfjs_trained_and_saved_comes_back_as_the_same_keras_model(crossing: Crossing) -> None:
    back = recover(crossing.saved)
    assert back is not None
    assert architecture(back) == architecture(crossing.original)
    np.testing.assert_allclose(np.asarray(back(crossing.inputs)), crossing.said["outputs"], rtol=1e-5, atol=1e-6)
    for trained_in_keras, trained_in_tfjs in zip(crossing.original.weights, back.weights, strict=True):
        np.testing.assert_allclose(np.asarray(trained_in_tfjs), np.asarray(trained_in_keras), rtol=1e-3, atol=1e-5)


def test_the_model_that_comes_back_is_compiled_as_it_was(crossing: Crossing) -> None:
    back = recover(crossing.saved)
    assert back is not None
    assert back.optimizer.get_config() == crossing.original.optimizer.get_config()
    assert back.loss == "categorical_crossentropy"


def edited(model: LayersModel) -> LayersModel:
    return LayersModel(
        copy.deepcopy(model.topology), dict(model.weights), copy.deepcopy(model.user_metadata), model.training_config
    )


@pytest.fixture
def converted() -> LayersModel:
    return from_keras(keras_models.CASES["convolutions_with_statistics"]()[0])


def layer_of(model: LayersModel, class_name: str) -> dict[str, Any]:
    config = next(entry["config"] for entry in model.topology["config"]["layers"] if entry["class_name"] == class_name)
    assert isinstance(config, dict)
    return config


def test_a_record_of_another_architecture_is_not_followed(converted: LayersModel) -> None:
    other_option, other_size, other_layer = edited(converted), edited(converted), edited(converted)
    layer_of(other_option, "DepthwiseConv2D")["padding"] = "valid"
    name = next(name for name in other_size.weights if name.endswith("depthwise_kernel"))
    other_size.weights[name] = other_size.weights[name][:2]
    other_layer.topology["config"]["layers"].pop(2)
    assert recover(converted) is not None
    for changed in (other_option, other_size, other_layer):
        assert recover(changed) is None


def test_freezing_and_key_order_and_number_formats_do_not_make_it_another_model(converted: LayersModel) -> None:
    same = edited(converted)
    config = layer_of(same, "Conv2D")
    config["trainable"] = False
    config["kernel_size"] = [3.0, 3.0]
    config["dataFormat"] = config.pop("data_format", "channelsLast").replace("_l", "L")
    assert recover(same) is not None


@pytest.mark.parametrize(
    "layer",
    [
        {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}},
        {"module": "os", "class_name": "system", "config": {"command": "true"}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp"}},
        {"module": "kerasevil", "class_name": "Dense", "config": {}},
        {"class_name": "__lambda__", "config": {"value": "x"}},
    ],
    ids=lambda layer: layer["class_name"],
)
def test_a_record_that_names_code_is_not_followed(converted: LayersModel, layer: dict[str, Any]) -> None:
    evil = edited(converted)
    record = evil.user_metadata["pybridge"]["keras"]
    model = json.loads(record["model"])
    model["config"]["layers"].append(layer)
    record["model"] = json.dumps(model)
    assert recover(evil) is None


@pytest.mark.parametrize("module", OWN_MODULES)
def test_a_record_of_our_own_classes_is_followed_under_every_name_that_their_module_had(module: str) -> None:
    import keras

    from pybridge.converters.to_keras.custom_objects import Parameter

    x = keras.Input((4, 3))
    converted = from_keras(keras.Model(x, Parameter("add", (1, 4, 3), name="positions")(x)))
    record = converted.user_metadata["pybridge"]["keras"]
    assert Parameter.__module__ in record["model"]
    record["model"] = record["model"].replace(Parameter.__module__, module)
    assert recover(converted) is not None


@pytest.mark.parametrize(
    ("key", "value"), [("inbound_nodes", [[3]]), ("inbound_nodes", [[True]]), ("inbound_nodes", 5), ("config", [])], ids=str
)
def test_a_topology_that_was_damaged_since_is_another_model(converted: LayersModel, key: str, value: Any) -> None:
    damaged = edited(converted)
    damaged.topology["config"]["layers"][1][key] = value
    assert recover(damaged) is None


@pytest.mark.parametrize(
    "record", [None, 3, {}, {"keras": 1}, {"keras": {"version": 1, "model": '{"class_name": "Sequential"}'}}]
)
def test_a_damaged_record_is_as_none(converted: LayersModel, record: Any) -> None:
    converted.user_metadata["pybridge"] = record
    assert recover(converted) is None


def test_a_loss_that_tfjs_lacks_leaves_the_model_uncompiled_there_but_not_in_keras() -> None:
    import keras

    model, _ = keras_models.a_sequential_model()
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    converted = from_keras(model)
    assert converted.training_config is None
    back = recover(converted)
    assert back is not None
    assert back.loss.get_config() == model.loss.get_config()


def test_a_part_of_a_model_does_not_remember_the_whole(converted: LayersModel) -> None:
    from pybridge.tfjs.surgery import feature_layer, truncate

    part = truncate(converted, feature_layer(converted))
    assert "pybridge" not in part.user_metadata
