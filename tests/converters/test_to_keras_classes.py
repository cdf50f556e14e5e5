"""Every layer class of TensorFlow.js: written by TF.js, rebuilt in Keras, written again, run by TF.js."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pybridge as pb
from pybridge.converters.to_keras.layer_options import BROKEN
from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "support" / "tfjs_models.js"
# What from_keras refuses for reasons of its own, or writes as another layer.
ONE_WAY = {"constraints", "flatten_first", "noise", "thresholded"}
UNREGISTERED = {"ConvRNN2D", "RNNCell", "SeparableConv"}


@dataclass
class Crossing:
    """A model of TF.js, its Keras twin, and what both gave for the same inputs."""

    folder: Path
    model: LayersModel
    inputs: list[NDArray[Any]]
    outputs: list[NDArray[Any]]
    keras_model: Any

    def keras_outputs(self, model: Any = None) -> list[NDArray[Any]]:
        given = self.inputs if len(self.inputs) > 1 else self.inputs[0]
        result = (model or self.keras_model)(given, training=False)
        return [np.asarray(one) for one in (result if isinstance(result, (list, tuple)) else [result])]


def differs(found: list[NDArray[Any]], wanted: list[NDArray[Any]]) -> str:
    """What is wrong with outputs, or nothing; equal is 1e-5 of the largest output."""
    if [one.shape for one in found] != [one.shape for one in wanted]:
        return f"shapes {[one.shape for one in found]}, not {[one.shape for one in wanted]}"
    errors = [np.abs(a - b).max(initial=0) / max(1, np.abs(b).max(initial=0)) for a, b in zip(found, wanted, strict=True)]
    return f"differs by {max(errors)}" if max(errors) > 1e-5 else ""


@pytest.fixture(scope="module")
def crossings(node: pb.Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Crossing]]:
    from pybridge.models import to_keras

    folder = tmp_path_factory.mktemp("tfjs")
    found = {}
    for name, result in node.call(SCRIPT, "writeAll", str(folder)).items():
        assert "error" not in result, (name, result)
        model = LayersModel.read(folder / name)
        found[name] = Crossing(folder / name, model, result["inputs"], result["outputs"], to_keras(model))
    yield found


@pytest.fixture(scope="module")
def returned(crossings: dict[str, Crossing]) -> dict[str, LayersModel]:
    """The models after the way to Keras and back."""
    from pybridge.models import from_keras

    return {name: from_keras(crossing.keras_model) for name, crossing in crossings.items() if name not in ONE_WAY}


def classes_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "config" in value and isinstance(value.get("class_name"), str):
            yield value["class_name"]
        for item in value.values():
            yield from classes_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from classes_in(item)


def architecture(topology: dict[str, Any]) -> Any:
    """Classes, names and connections, however they are written.

    Inputs count by their place; ours for options of a class of TF.js counts as that class.
    """
    config = topology["config"]
    entries = config["layers"] if isinstance(config, dict) else config
    sources: dict[str, Any] = {}
    layers = {}
    before: list[Any] = ["input 0"]
    given = config.get("input_layers", []) if isinstance(config, dict) else []
    for name in [one[0] for one in given] or [one["config"]["name"] for one in entries if one["class_name"] == "InputLayer"]:
        sources[name] = f"input {len(sources)}"
    for entry in entries:
        name = entry["config"].get("name", entry.get("name"))
        nodes = [[sources.get(one[0], one[:3]) for one in node] for node in entry.get("inbound_nodes", [])]
        if entry["class_name"] == "InputLayer":
            continue
        is_model = entry["class_name"] in ("Functional", "Model", "Sequential")
        if topology["class_name"] == "Sequential":
            nodes, before = [before], [[name, int(is_model), 0]]
        layers[name] = (architecture(entry) if is_model else entry["class_name"].removeprefix("Pybridge"), nodes)
    return layers


def test_all_layer_classes_of_tensorflow_js_are_here(node: pb.Node, crossings: dict[str, Crossing]) -> None:
    covered = {name for crossing in crossings.values() for name in classes_in(crossing.model.topology)}
    missing = set(node.call(SCRIPT, "layerClasses")) - covered - set(BROKEN) - UNREGISTERED
    assert not missing


def test_keras_gives_the_same_outputs(crossings: dict[str, Crossing]) -> None:
    failures = {name: differs(crossing.keras_outputs(), crossing.outputs) for name, crossing in crossings.items()}
    assert {name: failure for name, failure in failures.items() if failure} == {}


def test_weights_come_back_bit_for_bit(crossings: dict[str, Crossing], returned: dict[str, LayersModel]) -> None:
    for name, model in returned.items():
        before = crossings[name].model.weights
        assert {key: value.tobytes() for key, value in model.weights.items()} == {k: v.tobytes() for k, v in before.items()}, name


def test_the_architecture_comes_back(crossings: dict[str, Crossing], returned: dict[str, LayersModel]) -> None:
    for name, model in returned.items():
        assert architecture(model.topology) == architecture(crossings[name].model.topology), name


def test_what_came_back_runs_in_tensorflow_js(
    node: pb.Node, crossings: dict[str, Crossing], returned: dict[str, LayersModel], tmp_path: Path
) -> None:
    for name, model in returned.items():
        model.write(tmp_path / name)
    cases = {name: {"folder": str(tmp_path / name), "inputs": crossings[name].inputs} for name in returned}
    failures = {}
    for name, result in node.call(SCRIPT, "runAll", cases).items():
        failures[name] = result.get("error") or differs(result["outputs"], crossings[name].outputs)
    assert {name: failure for name, failure in failures.items() if failure} == {}


def test_the_keras_model_is_saved_and_loaded_by_keras(crossings: dict[str, Crossing], tmp_path: Path) -> None:
    import keras

    for name in ("lstm_hardSigmoid", "nested", "shared", "rnn_stacked", "options"):
        crossings[name].keras_model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert not differs(crossings[name].keras_outputs(again), crossings[name].outputs), name


def test_options_for_training_come_along(crossings: dict[str, Crossing]) -> None:
    first, orthogonal, *_ = crossings["options"].keras_model.layers[1:]
    scaling = {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal", "seed": 3}
    assert first.kernel_initializer.get_config().items() >= scaling.items()
    assert first.bias_initializer.get_config() == {"value": 0.5}
    assert (float(first.kernel_regularizer.l1), float(first.kernel_regularizer.l2)) == pytest.approx((0.1, 0.2))
    assert float(orthogonal.kernel_regularizer.l1) == 0
    assert type(orthogonal.kernel_initializer).__name__ == "Orthogonal"


def test_constraints_come_along(crossings: dict[str, Crossing]) -> None:
    first, positive, unit = crossings["constraints"].keras_model.layers[1:]
    assert (first.kernel_constraint.max_value, first.kernel_constraint.axis) == (20, 1)
    assert first.bias_constraint.min_value == 0
    assert type(positive.kernel_constraint).__name__ == "NonNeg"
    assert type(unit.kernel_constraint).__name__ == "UnitNorm"


def test_a_weight_that_tensorflow_js_would_change_is_refused(crossings: dict[str, Crossing]) -> None:
    from dataclasses import replace

    from pybridge.models import to_keras

    model = crossings["constraints"].model
    with pytest.raises(ModelFormatError, match="constraint"):
        to_keras(replace(model, weights={name: value - 1 for name, value in model.weights.items()}))


def test_frozen_layers_stay_frozen(crossings: dict[str, Crossing]) -> None:
    assert crossings["frozen"].keras_model.trainable_weights == []
    assert len(crossings["residual"].keras_model.trainable_weights) == 2


def test_a_stateful_layer_goes_on_where_it_stopped(crossings: dict[str, Crossing]) -> None:
    stateful = crossings["stateful"]
    stateful.keras_model.layers[1].reset_states()
    first, second = stateful.keras_outputs(), stateful.keras_outputs()
    assert not differs(first, stateful.outputs)
    assert differs(second, first)


def test_a_compiled_model_trains_on(crossings: dict[str, Crossing]) -> None:
    from dataclasses import replace

    from pybridge.models import to_keras

    compiled = {"class_name": "Adam", "config": {"learningRate": 0.01, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-7}}
    config = {"loss": "mean_squared_error", "metrics": ["mse"], "optimizer_config": compiled}
    crossing = crossings["sequential"]
    model = to_keras(replace(crossing.model, training_config=config))
    assert (float(model.optimizer.learning_rate), model.optimizer.beta_1) == (pytest.approx(0.01), 0.8)
    history = model.fit(crossing.inputs[0], crossing.outputs[0], epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_masks_that_tensorflow_js_mixes_up_are_refused(crossings: dict[str, Crossing]) -> None:
    from pybridge.models import to_keras

    model = crossings["masking"].model
    topology = json.loads(json.dumps(model.topology))
    masking, gru, rnn = topology["config"]["layers"][1:]
    # The second recurrent layer takes its input from before the mask: TF.js gives it the mask all the same.
    rnn["inbound_nodes"] = masking["inbound_nodes"]
    gru["inbound_nodes"] = [[[masking["name"], 0, 0, {}]]]
    merged = {
        "class_name": "Concatenate",
        "name": "join",
        "config": {"name": "join", "axis": -1},
        "inbound_nodes": [[[rnn["name"], 0, 0, {}], ["flat", 0, 0, {}]]],
    }
    flat = {"class_name": "Flatten", "name": "flat", "config": {"name": "flat"}, "inbound_nodes": [[[gru["name"], 0, 0, {}]]]}
    topology["config"]["layers"] += [flat, merged]
    topology["config"]["output_layers"] = [["join", 0, 0]]
    weights = {name: value for name, value in model.weights.items() if "rnn" not in name}
    shapes = {"kernel": (3, 3), "recurrent_kernel": (3, 3), "bias": (3,)}
    weights |= {f"{rnn['name']}/{name}": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    with pytest.raises(ModelFormatError, match="mask of another layer"):
        to_keras(LayersModel(topology, weights))
