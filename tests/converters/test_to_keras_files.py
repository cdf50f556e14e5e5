"""Files of other writers, layers of our own, and what is refused, on the way to Keras."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def to_keras() -> Any:
    from pybridge.models import to_keras

    return to_keras


def sequence_model(**weights: NDArray[np.float32]) -> LayersModel:
    """Series -> GRU -> Dense, as the converter of Keras 2 writes it."""
    gru = {"name": "gru", "units": 2, "reset_after": False, "recurrent_activation": "sigmoid", "batch_input_shape": [None, 4, 3]}
    dense = {"name": "dense", "units": 2, "activation": "softmax"}
    layers = [{"class_name": "GRU", "config": gru}, {"class_name": "Dense", "config": dense}]
    return LayersModel({"class_name": "Sequential", "config": {"name": "series", "layers": layers}}, weights)


def arrays(names: dict[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in names.items()}


PLAIN = {"gru/kernel": (3, 6), "gru/recurrent_kernel": (2, 6), "gru/bias": (6,), "dense/kernel": (2, 2), "dense/bias": (2,)}


@pytest.mark.parametrize(
    "renamed",
    [
        lambda name: name.replace("gru/", "gru/gru_cell/"),
        lambda name: f"series/{name}",
        lambda name: f"model_1/series_2/{name.replace('gru/', 'gru/while/gru_cell_7/')}",
        lambda name: f"{name}_1",
    ],
    ids=["cell", "model", "scopes", "counted"],
)
def test_weights_are_found_under_the_names_of_all_writers(to_keras: Any, renamed: Any) -> None:
    values = arrays(PLAIN)
    built = to_keras(sequence_model(**{renamed(name): value for name, value in values.items()}))
    for variable, value in zip(built.weights, values.values(), strict=True):
        assert np.array_equal(variable, value)


def test_a_weight_too_many_or_too_few_is_refused_by_name(to_keras: Any) -> None:
    values = arrays(PLAIN)
    with pytest.raises(ModelFormatError, match="gru/bias"):
        to_keras(sequence_model(**{name: value for name, value in values.items() if name != "gru/bias"}))
    with pytest.raises(ModelFormatError, match="dense"):
        to_keras(sequence_model(**values, **arrays({"dense/gamma": (2,)})))


def test_layers_of_one_name_in_two_models_get_their_own_weights(to_keras: Any) -> None:
    def inner(name: str) -> dict[str, Any]:
        dense = {"class_name": "Dense", "config": {"name": "d", "units": 2, "use_bias": False, "batch_input_shape": [None, 2]}}
        return {"class_name": "Sequential", "config": {"name": name, "layers": [dense]}}

    values = arrays({"one/d/kernel": (2, 2), "two/d/kernel": (2, 2)})
    built = to_keras(LayersModel({"class_name": "Sequential", "config": {"layers": [inner("one"), inner("two")]}}, values))
    assert [np.asarray(variable).tolist() for variable in built.weights] == [value.tolist() for value in values.values()]


def test_names_that_keras_refuses_are_changed(to_keras: Any) -> None:
    model = sequence_model(**{name.replace("dense", "a/b c"): value for name, value in arrays(PLAIN).items()})
    model.topology["config"]["layers"][1]["config"]["name"] = "a/b c"
    assert to_keras(model).layers[-1].name == "a_b_c"


def test_sizes_that_the_weights_do_not_have_are_never_allocated(to_keras: Any) -> None:
    model = sequence_model(**arrays(PLAIN))
    model.topology["config"]["layers"][1]["config"]["units"] = 2**40
    with pytest.raises(ModelFormatError, match="dense"):
        to_keras(model)


@pytest.mark.parametrize(
    ("class_name", "config", "reason"),
    [
        ("Conv2DTranspose", {"filters": 1, "kernel_size": 2, "output_padding": [1, 1]}, "output_padding"),
        ("DepthwiseConv2D", {"kernel_size": 2, "dilation_rate": [2, 2]}, "dilation_rate"),
        ("Resizing", {"height": 2, "width": 2}, "shape"),
        ("RandomWidth", {"factor": 0.1}, "chance"),
        ("TimeDistributed", {"layer": {"class_name": "Lambda", "config": {}}}, "Lambda"),
        ("RNN", {"cell": {"class_name": "Dense", "config": {"units": 2}}}, "cell"),
        ("Dense", {"units": 2, "kernel_initializer": "magic"}, "magic"),
        ("PybridgeLambda", {"function": "x"}, "PybridgeLambda"),
        ("PybridgeDense", {"units": 2, "activation": {"module": "os", "class_name": "system", "config": "true"}}, "code"),
        ("PybridgeTextVectorization", {"vocabulary": "/etc/hostname"}, "PybridgeTextVectorization"),
        ("PybridgeIntegerLookup", {"vocabulary": "/etc/hostname"}, "files"),
        ("PybridgeOp", {"op": "__import__", "arguments": {"x": {"tensor": 0}}}, "operation"),
    ],
)
def test_what_has_no_safe_counterpart_is_refused(
    to_keras: Any, residual: LayersModel, class_name: str, config: dict[str, Any], reason: str
) -> None:
    layers = residual.topology["config"]["layers"][:1]
    nodes = [[["image", 0, 0, {}]]]
    layers.append({"class_name": class_name, "name": "new", "config": {"name": "new", **config}, "inbound_nodes": nodes})
    ends = {"input_layers": [["image", 0, 0]], "output_layers": [["new", 0, 0]]}
    topology = {"class_name": "Functional", "config": {"name": "m", "layers": layers, **ends}}
    with pytest.raises(ModelFormatError, match=reason):
        to_keras(LayersModel(topology, {}))


def own_models() -> dict[str, Any]:
    import keras
    from keras import layers, ops

    from pybridge.converters.to_keras.custom_objects import Parameter

    def chain(shape: tuple[int, ...], function: Any) -> Any:
        x = keras.Input(shape)
        return keras.Model(x, function(x))

    return {
        "gru": chain((4, 3), layers.GRU(3)),
        "bidirectional": chain((4, 3), layers.Bidirectional(layers.GRU(3))),
        "attention": chain((4, 8), lambda x: layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)),
        "groups": chain((4, 6), layers.GroupNormalization(2)),
        "time": chain((4, 5, 3), layers.TimeDistributed(layers.GRU(3))),
        "arithmetic": chain((4,), lambda x: ops.exp(x) * 2 + np.arange(4, dtype=np.float32)),
        "matmul": chain((4,), lambda x: ops.matmul(x, ops.transpose(x))),
        "slices": chain((4, 6), lambda x: x[:, 1:3, ::2]),
        "split": chain((4,), lambda x: ops.split(x, 2, axis=1)),
        "parameter": chain((4, 3), Parameter("add", (1, 4, 3))),
        "activation": chain((4,), layers.Dense(3, activation="exponential")),
    }


def test_layers_of_our_own_become_those_of_keras_without_the_record(to_keras: Any) -> None:
    import keras

    from pybridge.models import from_keras

    random = np.random.default_rng(0)
    for name, model in own_models().items():
        for weight in model.weights:
            weight.assign(random.normal(size=weight.shape))
        again = to_keras(replace(from_keras(model), user_metadata={}))
        x = random.normal(size=(2, *model.inputs[0].shape[1:])).astype(np.float32)
        for one, other in zip(keras.tree.flatten(model(x)), keras.tree.flatten(again(x)), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5, err_msg=name)
        assert [np.asarray(w).tobytes() for w in again.weights] == [np.asarray(w).tobytes() for w in model.weights], name


def test_a_record_of_another_size_allocates_nothing(to_keras: Any) -> None:
    import keras

    from pybridge.models import from_keras

    x = keras.Input((4,))
    model = from_keras(keras.Model(x, keras.layers.Dense(2, name="d")(x)))
    record = model.user_metadata["pybridge"]["keras"]
    config = json.loads(record["model"])
    entry = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense")
    entry["config"]["units"] = 2**40
    entry["build_config"] = {"input_shape": [None, 2**20]}
    record["model"] = json.dumps(config)
    assert to_keras(model).output_shape == (None, 2)


def test_shards_and_groups_are_read_as_one(to_keras: Any, tmp_path: Path) -> None:
    model = sequence_model(**arrays(PLAIN))
    model.write(tmp_path)
    assert np.array_equal(to_keras(LayersModel.read(tmp_path)).weights[0], model.weights["gru/kernel"])
