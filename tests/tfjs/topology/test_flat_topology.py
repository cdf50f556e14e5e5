"""Models with their layers lifted to the top."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layered_models import layer

import pybridge as pb
from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import flatten
from pybridge.tfjs.topology import parse_flat, parse_nested
from pybridge.tfjs.topology.write import functional, layer_entry, sequential

ENTRANCE = layer("x", "InputLayer", batch_input_shape=[8, 4], dtype="float32")


def model(*layers: dict[str, Any], output: tuple[str, int, int] | None = None) -> dict[str, Any]:
    return functional("m", [ENTRANCE, *layers], [("x", 0, 0)], [output or (layers[-1]["name"], 0, 0)])


def dense(name: str, *uses: tuple[str, int, int]) -> dict[str, Any]:
    return layer_entry(name, "Dense", {"name": name, "units": 4, "use_bias": False}, [[use] for use in uses])


def test_layers_come_in_the_order_in_which_data_flow_the_nearest_to_the_input_first() -> None:
    deep = [dense("a1", ("x", 0, 0)), dense("a2", ("a1", 0, 0))]
    flat = parse_flat(model(*deep, dense("b1", ("x", 0, 0)), layer("sum", "Add", ("a2", "b1"))))
    assert flat.names == ["x", "a1", "b1", "a2", "sum"]


def test_a_model_of_fixed_batch_takes_any_number_of_examples() -> None:
    flat = parse_flat(model(dense("a", ("x", 0, 0))))
    assert flat.layers[0].config == {"name": "x", "batch_input_shape": [None, 4], "dtype": "float32", "sparse": False}


def test_layers_that_the_output_does_not_need_are_left_out() -> None:
    assert parse_flat(model(dense("aside", ("x", 0, 0)), dense("a", ("x", 0, 0)))).names == ["x", "a"]


def test_the_shape_that_a_chain_gives_its_first_layer_becomes_that_of_its_input() -> None:
    first = {"name": "d", "units": 2, "batch_input_shape": [None, 3]}
    flat = parse_flat(sequential("s", [("Dense", first)]))
    assert [(one.name, one.config.get("batch_input_shape")) for one in flat.layers] == [("d_input", [None, 3]), ("d", None)]


def test_a_chain_within_a_model_takes_what_flows_in() -> None:
    first = {"name": "d", "units": 4, "batch_input_shape": [None, 4]}
    inner = {**sequential("inner", [("Dense", first)]), "name": "inner", "inbound_nodes": [[["x", 0, 0, {}]]]}
    flat, renamed = parse_nested(model(inner, dense("out", ("inner", 1, 0))))
    assert [(one.name, one.inputs) for one in flat.layers] == [("x", ()), ("d", ("x",)), ("out", ("d",))]
    assert renamed == {("x",): "x", ("inner", "d"): "d", ("out",): "out"}


def test_uses_are_those_of_tensorflow_js_whatever_order_the_file_has(node: pb.Node) -> None:
    # TF.js makes the use of `twice` that is ready first its node 0: the one that takes `b`, which is listed second.
    topology = model(
        dense("b", ("x", 0, 0)),
        dense("twice", ("late", 0, 0), ("b", 0, 0)),
        dense("late", ("b", 0, 0)),
        output=("twice", 1, 0),
    )
    random = np.random.default_rng(0)
    weights = {f"{name}/kernel": random.normal(size=(4, 4)).astype(np.float32) for name in ("b", "twice", "late")}
    whole = LayersModel(topology, weights)
    rows = random.normal(size=(8, 4)).astype(np.float32)
    np.testing.assert_array_equal(node.load_model(flatten(whole)).predict(rows), node.load_model(whole).predict(rows))


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        (model(layer("r", "LSTM", ("x",), units=2, return_state=True), output=("r", 0, 1)), "one more of it"),
        (functional("m", [layer("x", "InputLayer", batch_input_shape=[None])], [("x", 0, 0)], [("x", 0, 0)]), "single numbers"),
        (model(layer("y", "InputLayer", batch_input_shape=[None, 4]), dense("a", ("x", 0, 0))), "2 layers without input"),
    ],
)
def test_what_has_no_one_way_through_is_refused(topology: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        parse_nested(topology)
