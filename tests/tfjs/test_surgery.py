"""Taking models apart and putting them together."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import pybridge as pb
from pybridge.errors import ModelFormatError
from pybridge.tfjs import surgery
from pybridge.tfjs.cuts import choose_cut, cut_points
from pybridge.tfjs.layers_model import LayersModel


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenet_v1_0.25_224", "conv_pw_13_relu"),
        ("mobilenet_v1_0.25_224_one_shard", "conv_pw_13_relu"),
        ("teachable_machine", "out_relu"),
    ],
)
def test_the_last_feature_map_is_found(shared_data: Path, name: str, expected: str) -> None:
    flat = surgery.flatten(LayersModel.read(shared_data / "weights" / name))
    assert surgery.feature_layer(flat) == expected


def test_nested_models_become_one(shared_data: Path) -> None:
    nested = LayersModel.read(shared_data / "weights" / "teachable_machine")
    flat = surgery.flatten(nested)
    assert flat.topology["class_name"] == "Functional"
    assert {layer["class_name"] for layer in flat.topology["config"]["layers"]}.isdisjoint({"Model", "Sequential"})
    assert surgery.layer_names(flat)[-3:] == [
        "global_average_pooling2d_GlobalAveragePooling2D1",
        "dense_Dense1",
        "dense_Dense2",
    ]
    assert flat.weights.keys() == nested.weights.keys()
    assert surgery.input_shape(flat) == (224, 224, 3)


def test_flattening_a_flat_model_changes_nothing_but_form(residual: LayersModel) -> None:
    once = surgery.flatten(residual)
    assert surgery.flatten(once).sha256() == once.sha256()
    assert surgery.layer_names(once) == ["image", "a", "b", "add", "relu", "pool", "out"]


def test_layers_of_the_same_name_in_two_nested_models_stay_apart() -> None:
    def inner(name: str) -> dict[str, Any]:
        dense = {"class_name": "Dense", "config": {"name": "dense", "units": 3, "batch_input_shape": [None, 3]}}
        return {"class_name": "Sequential", "config": {"name": name, "layers": [dense]}}

    model = LayersModel(
        {"class_name": "Sequential", "config": {"name": "both", "layers": [inner("one"), inner("two")]}},
        {"one/dense/kernel": np.zeros((3, 3), np.float32), "two/dense/kernel": np.ones((3, 3), np.float32)},
    )
    flat = surgery.flatten(model)
    assert surgery.layer_names(flat) == ["dense_input", "dense", "two_dense"]
    assert flat.weights["dense/kernel"].sum() == 0
    assert flat.weights["two_dense/kernel"].sum() == 9


def test_a_truncated_model_keeps_only_the_weights_it_needs(residual: LayersModel) -> None:
    front = surgery.truncate(residual, "relu")
    assert surgery.layer_names(front) == ["image", "a", "b", "add", "relu"]
    assert set(front.weights) == {"a/kernel", "b/kernel"}


def test_split_and_join_give_the_same_model(residual: LayersModel) -> None:
    whole = surgery.flatten(residual)
    for point in cut_points(residual)[:-1]:
        front, tail = surgery.split(whole, point.layer, (8, 8, 3))
        assert front.weights.keys().isdisjoint(tail.weights)
        assert surgery.input_shape(tail) == (8, 8, 3)
        assert surgery.join(front, tail).sha256() == whole.sha256()


def test_a_model_cannot_be_cut_inside_a_residual_block(residual: LayersModel) -> None:
    with pytest.raises(ModelFormatError, match="flow around"):
        surgery.split(residual, "b", (8, 8, 3))


def test_cut_points_count_what_lies_on_each_side(residual: LayersModel) -> None:
    points = {point.layer: point for point in cut_points(residual)}
    assert list(points) == ["a", "add", "relu", "pool", "out"]
    assert (points["relu"].layers_before, points["relu"].layers_after) == (2, 1)
    assert (points["relu"].parameters_before, points["relu"].parameters_after) == (162, 8)


@pytest.mark.parametrize(
    ("unfreeze", "expected"),
    [
        (0, "out"),
        (1, "pool"),
        (2, "a"),
        (3, None),
        (99, None),
        (0.5, "a"),
        (1 / 3, "pool"),
        (1.0, None),
        ("all", None),
        ("relu", "relu"),
        ("b", "a"),
    ],
)
def test_how_much_trains_can_be_said_in_several_ways(
    residual: LayersModel, unfreeze: int | float | str, expected: str | None
) -> None:
    assert choose_cut(residual, unfreeze) == expected


@pytest.mark.parametrize("unfreeze", [-1, 1.5, float("nan"), "rellu", True])
def test_nonsense_is_not_unfrozen(residual: LayersModel, unfreeze: Any) -> None:
    with pytest.raises(ModelFormatError):
        choose_cut(residual, unfreeze)


def test_a_head_is_appended_in_order(residual: LayersModel) -> None:
    base = surgery.truncate(residual, "relu")
    pool = {"class_name": "GlobalMaxPooling2D", "config": {"name": "new_pool"}}
    dense = {"class_name": "Dense", "config": {"name": "new_out", "units": 5}}
    whole = surgery.append_head(base, [pool, dense], {"new_out/kernel": np.zeros((3, 5), np.float32)})
    assert surgery.layer_names(whole)[-3:] == ["relu", "new_pool", "new_out"]
    assert surgery.weight_names_of(whole, "new_out") == ["new_out/kernel"]
    assert surgery.layer_names(base)[-1] == "relu"


def change_layer(model: LayersModel, name: str, **changes: Any) -> None:
    next(layer for layer in model.topology["config"]["layers"] if layer["name"] == name).update(changes)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([[["a", 0, 0, {}]], [["b", 1, 0, {}]]], "cycle"),
        ([[["b", 0, 0, {}]]], "cycle"),
        ([[["nobody", 0, 0, {}]]], "there is no layer 'nobody'"),
        ([[["a", 0, 1, {}]]], "takes output"),
        ([[["a", 0, 0, {"factor": 2}]]], "extra arguments"),
        ([{"args": [], "kwargs": {}}], "Keras 3"),
    ],
)
def test_graphs_that_cannot_be_a_base_are_refused(residual: LayersModel, nodes: Any, message: str) -> None:
    change_layer(residual, "b", inbound_nodes=nodes)
    with pytest.raises(ModelFormatError, match=message):
        surgery.flatten(residual)


def test_a_layer_that_is_used_twice_becomes_two_of_the_same_weights(node: pb.Node) -> None:
    twice = tiny.convolution_used_twice()
    flat = surgery.flatten(twice)
    assert surgery.layer_names(flat) == ["image", "conv", "conv_", "pool"]
    np.testing.assert_array_equal(flat.weights["conv_/kernel"], twice.weights["conv/kernel"])
    pixels = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(node.load_model(flat).predict(pixels), node.load_model(twice).predict(pixels))


def test_an_inner_model_that_is_used_twice_is_refused_as_a_base() -> None:
    twice = tiny.convolution_used_twice()
    layers = twice.topology["config"]["layers"]
    layers[1]["config"]["batch_input_shape"] = [None, 8, 8, 3]
    layers[1] = {**layers[1], "class_name": "Sequential", "config": {"name": "conv", "layers": [layers[1]]}}
    with pytest.raises(ModelFormatError, match="the inner model 'conv' is used 2 times"):
        surgery.flatten(twice)


def test_several_outputs_are_refused(residual: LayersModel) -> None:
    residual.topology["config"]["output_layers"].append(["relu", 0, 0])
    with pytest.raises(ModelFormatError, match="2 outputs"):
        surgery.flatten(residual)


def test_options_of_a_class_change_in_nested_models_too(residual: LayersModel) -> None:
    nested = LayersModel({"class_name": "Sequential", "config": {"name": "s", "layers": [residual.topology]}}, residual.weights)
    before = copy.deepcopy(nested.topology)
    changed = surgery.with_options(nested, "ReLU", max_value=3)
    [inner] = changed.topology["config"]["layers"]
    values = {layer["name"]: layer["config"].get("max_value") for layer in inner["config"]["layers"]}
    assert (values["relu"], values["a"]) == (3, None)
    assert nested.topology == before
