"""What the graph of a model must be like before anything is built from it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.topology import check_topology, parse_topology


def entry(name: str, class_name: str, *uses: list[Any], **config: Any) -> dict[str, Any]:
    nodes = [[[*source, {}] for source in use] for use in uses]
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def model(*layers: dict[str, Any], outputs: list[Any] | None = None, name: str = "model") -> dict[str, Any]:
    inputs = [[layer["name"], 0, 0] for layer in layers if layer["class_name"] == "InputLayer"]
    ends = outputs or [[layers[-1]["name"], 0, 0]]
    config = {"name": name, "layers": list(layers), "input_layers": inputs, "output_layers": ends}
    return {"class_name": "Functional", "config": config}


def entrance(name: str = "x") -> dict[str, Any]:
    return entry(name, "InputLayer", batch_input_shape=[None, 4], dtype="float32")


def dense(name: str, *uses: list[Any]) -> dict[str, Any]:
    return entry(name, "Dense", *uses, units=4)


def test_uses_of_a_shared_layer_are_numbered_as_tensorflow_js_numbers_them() -> None:
    # TF.js makes whichever use of `a` is ready first its node 0: the one that takes `b`, listed second.
    shared = dense("a", [["late", 0, 0]], [["b", 0, 0]])
    parsed = parse_topology(model(entrance(), dense("b", [["x", 0, 0]]), shared, dense("late", [["b", 0, 0]])))
    assert [use.inputs[0].layer for use in parsed.layers["a"].uses] == ["b", "late"]


def test_the_first_use_of_a_model_inside_is_its_node_1() -> None:
    inner = {
        **model(entrance("i"), dense("d", [["i", 0, 0]]), name="inner"),
        "name": "inner",
        "inbound_nodes": [[["x", 0, 0, {}]]],
    }
    parsed = parse_topology(model(entrance(), inner, dense("out", [["inner", 1, 0]])))
    assert parsed.layers["out"].uses[0].inputs[0].use == 0
    assert [path for path, _ in parsed.walk()] == [("x",), ("inner",), ("inner", "i"), ("inner", "d"), ("out",)]


def test_a_chain_may_leave_out_its_input() -> None:
    layers = [{"class_name": "Dense", "config": {"name": "d", "units": 2, "batch_input_shape": [None, 3]}}]
    parsed = parse_topology({"class_name": "Sequential", "config": layers})
    assert parsed.sequential
    assert parsed.layers["d_input"].config["batch_input_shape"] == [None, 3]


@pytest.mark.parametrize(
    "layers",
    [
        [dense("a", [["b", 0, 0]]), dense("b", [["a", 0, 0]])],
        [dense("a", [["a", 0, 0]])],
        [dense("a", [["nowhere", 0, 0]])],
        [dense("a", [["x", 1, 0]])],
        [dense("a", [["x", 0, 0]]), dense("b", [["a", 1, 0]])],
        [dense("a", [["x", 0, 1]])],
        [dense("a", [["x", -1, 0]])],
        [dense("a", [["x", 0.5, 0]])],
        [dense("a")],
        [dense("x", [["x", 0, 0]])],
        [entry("a", "Dense", [["x", 0, 0]], units=float("nan"))],
        [entry("a", "Dot", [["x", 0, 0], ["x", 0, 0]], axes=-1e300)],
        [entry("a", "Dot", [["x", 0, 0], ["x", 0, 0]], axes="-1")],
        [entry("a", "PReLU", [["x", 0, 0]], shared_axes=[10**9])],
        [entry("a", "Dense", [["x", 0, 0]], kernel_initializer={"class_name": "TruncatedNormal", "config": {"stddev": -1}})],
        [entry("a", "Dense", [["x", 0, 0]], kernel_initializer={"class_name": "VarianceScaling", "config": {"scale": "NaN"}})],
        [entry("a", "Dense", [["x", 0, 0]], activation="\ud800")],
        [dense("__proto__", [["x", 0, 0]])],
        [{**dense("a", [["x", 0, 0]]), "name": "b"}],
        [{key: value for key, value in dense("a", [["x", 0, 0]]).items() if key != "name"}],
        [entrance("y"), dense("a", [["y", 0, 0]])],
    ],
    ids=str,
)
def test_what_tensorflow_js_would_stumble_over_is_refused(layers: list[dict[str, Any]]) -> None:
    topology = model(entrance(), *layers, outputs=[[layers[-1]["config"]["name"], 0, 0]])
    if len(layers) == 2 and layers[0]["class_name"] == "InputLayer":
        topology["config"]["input_layers"].pop()
    with pytest.raises(ModelFormatError):
        check_topology(topology)


@pytest.mark.parametrize(
    "shape", [None, [None, -1], [None, 0], [None, 2**31], [None, "4"], [10**6, 4], [None] + [2**20] * 3, [None] * 9]
)
def test_impossible_inputs_are_refused(shape: Any) -> None:
    bad = {**entrance(), "config": {"name": "x", "batch_input_shape": shape}}
    with pytest.raises(ModelFormatError):
        check_topology(model(bad))


def test_models_inside_models_end_somewhere() -> None:
    topology: dict[str, Any] = {"class_name": "Sequential", "config": {"layers": []}}
    for _ in range(100):
        topology = {"class_name": "Sequential", "config": {"layers": [topology]}}
    with pytest.raises(ModelFormatError, match="nested"):
        check_topology(topology)


def test_models_inside_wrappers_are_checked_too() -> None:
    inner = model(entrance("i"), dense("d", [["d", 0, 0]]), name="inner")
    wrapper = entry("t", "TimeDistributed", [["x", 0, 0]], layer=inner)
    with pytest.raises(ModelFormatError, match="cycle"):
        check_topology(model(entrance(), wrapper))


def test_a_parsed_topology_is_not_changed() -> None:
    topology = model(entrance(), dense("a", [["x", 0, 0]]))
    before = copy.deepcopy(topology)
    check_topology(topology)
    assert topology == before


def written(folder: Path, weights: list[dict[str, Any]], data: bytes, **document: Any) -> Path:
    manifest = [{"paths": ["./weights.bin"], "weights": weights}]
    whole = {"modelTopology": model(entrance(), dense("a", [["x", 0, 0]])), "weightsManifest": manifest, **document}
    (folder / "weights.bin").write_bytes(data)
    (folder / "model.json").write_text(json.dumps(whole))
    return folder


def test_weights_of_the_optimizer_are_not_weights_of_the_model(tmp_path: Path) -> None:
    kernel = {"name": "a/kernel", "shape": [4, 4], "dtype": "float32"}
    slots = [{"name": "a/kernel/m", "shape": [4, 4], "dtype": "float32", "group": "optimizer"}]
    model_ = LayersModel.read(written(tmp_path, [kernel, *slots], np.arange(32, dtype=np.float32).tobytes()))
    assert list(model_.weights) == ["a/kernel"]
    assert model_.weights["a/kernel"][3, 3] == 15


def test_numbers_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    written(tmp_path, [], b"", extra=1)
    text = (tmp_path / "model.json").read_text().replace('"extra": 1', '"extra": NaN')
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ModelFormatError, match="JSON"):
        LayersModel.read(tmp_path)


def test_a_cycle_is_refused_when_a_model_is_read(tmp_path: Path) -> None:
    written(tmp_path, [], b"", modelTopology=model(entrance(), dense("a", [["a", 0, 0]])))
    with pytest.raises(ModelFormatError, match="cycle"):
        LayersModel.read(tmp_path)
