"""When two topologies describe the same layers."""

from __future__ import annotations

from typing import Any

import pytest

from pybridge.tfjs.topology import parse_topology
from pybridge.tfjs.topology.compare import same_layers
from pybridge.tfjs.topology.write import functional, layer_entry, sequential

INPUT = {"name": "x", "batch_input_shape": [None, 6, 6, 3], "dtype": "float32"}
CONV: dict[str, Any] = {"name": "conv", "filters": 2, "kernel_size": [3, 3], "data_format": "channels_last", "use_bias": True}


def chain(**changes: Any) -> dict[str, Any]:
    entries = [
        layer_entry("x", "InputLayer", INPUT, []),
        layer_entry("conv", "Conv2D", {**CONV, **changes}, [[("x", 0, 0)]]),
        layer_entry("flat", "Reshape", {"name": "flat", "target_shape": [-1]}, [[("conv", 0, 0)]]),
    ]
    return functional("m", entries, [("x", 0, 0)], [("flat", 0, 0)])


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return same_layers(parse_topology(one), parse_topology(other))


@pytest.mark.parametrize(
    "changes",
    [
        {"kernel_size": 3},
        {"kernel_size": [3.0000000001, 3]},
        {"data_format": "channelsLast"},
        {"trainable": False},
        {"kernel_initializer": {"class_name": "Zeros", "config": {}}},
        {"use_bias": None},
        {"an_option_of_one_side": 5},
    ],
    ids=str,
)
def test_what_saving_and_training_change_does_not_count(changes: dict[str, Any]) -> None:
    assert same(chain(), chain(**changes))


@pytest.mark.parametrize(
    "changes", [{"filters": 3}, {"kernel_size": [3, 5]}, {"kernel_size": [3]}, {"data_format": "channels_first"}], ids=str
)
def test_other_options_are_other_layers(changes: dict[str, Any]) -> None:
    assert not same(chain(), chain(**changes))


def test_keys_may_be_in_camel_case() -> None:
    other = chain()
    config = other["config"]["layers"][1]["config"]
    config["kernelSize"] = config.pop("kernel_size")
    assert same(chain(), other)
    config["kernelSize"] = [5, 5]
    assert not same(chain(), other)


def test_a_size_that_is_left_open_may_be_null() -> None:
    other = chain()
    other["config"]["layers"][2]["config"]["target_shape"] = [None]
    assert same(chain(), other)
    other["config"]["layers"][2]["config"]["target_shape"] = [{"damaged": True}]
    assert not same(chain(), other)


def test_a_sequential_model_is_the_chain_that_it_is() -> None:
    layers = [("InputLayer", INPUT), ("Conv2D", CONV), ("Reshape", {"name": "flat", "target_shape": [-1]})]
    assert same(chain(), sequential("m", layers))
    assert not same(chain(), sequential("m", layers[:2]))


def test_layers_that_take_from_others_are_not_the_same() -> None:
    one, other = chain(), chain()
    for topology, source in ((one, "conv"), (other, "x")):
        entries = topology["config"]["layers"]
        entries.append(layer_entry("sum", "Add", {"name": "sum"}, [[("conv", 0, 0), (source, 0, 0)]]))
        topology["config"]["output_layers"] = [["sum", 0, 0]]
    assert same(one, one)
    assert not same(one, other)
