"""What is written is what the parser reads."""

from __future__ import annotations

import json

from pybridge.tfjs.topology import Reference, Use, check_topology, parse_topology
from pybridge.tfjs.topology.write import functional, layer_entry, sequential

INPUT = {"name": "x", "batch_input_shape": [None, 4], "dtype": "float32"}


def test_a_written_model_is_read_back() -> None:
    entries = [
        layer_entry("x", "InputLayer", INPUT, []),
        layer_entry("a", "Dense", {"name": "a", "units": 4}, [[("x", 0, 0)], [("a", 0, 0)]]),
        layer_entry("sum", "Add", {"name": "sum"}, [[("a", 0, 0), ("a", 1, 0)]]),
    ]
    written = functional("twice", entries, [("x", 0, 0)], [("sum", 0, 0), ("a", 1, 0)])
    check_topology(written)
    parsed = parse_topology(json.loads(json.dumps(written)))
    assert (parsed.name, parsed.sequential, parsed.trainable) == ("twice", False, True)
    assert parsed.layers["a"].uses == [Use((Reference("x"),), {}), Use((Reference("a"),), {})]
    assert parsed.layers["sum"].uses == [Use((Reference("a"), Reference("a", 1)), {})]
    assert (parsed.inputs, parsed.outputs) == ([Reference("x")], [Reference("sum"), Reference("a", 1)])


def test_a_model_is_frozen_as_a_whole_only_where_that_is_said() -> None:
    entries = [layer_entry("x", "InputLayer", INPUT, [])]
    ends = [("x", 0, 0)]
    assert "trainable" not in functional("m", entries, ends, ends)["config"]
    assert parse_topology(functional("m", entries, ends, ends, trainable=False)).trainable is False


def test_a_written_chain_is_read_back() -> None:
    written = sequential("chain", [("InputLayer", INPUT), ("Dense", {"name": "a", "units": 2})])
    parsed = parse_topology(written)
    assert (parsed.name, parsed.sequential, list(parsed.layers)) == ("chain", True, ["x", "a"])
