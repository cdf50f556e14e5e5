"""What is known of a TF.js graph model before it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import graph_files
import numpy as np
import pytest

import pybridge as pb
from pybridge.errors import ModelFormatError
from pybridge.loading import find_model, lift
from pybridge.tfjs.graph_model import GraphModel
from pybridge.tfjs.port import Port


@pytest.fixture
def doubling(tmp_path: Path) -> Path:
    """``y = x + x`` for rows of two numbers."""
    operations = [graph_files.operation("y", "AddV2", "x", "x")]
    return graph_files.write_graph_model(tmp_path / "doubling", operations, {}, {"x": [-1, 2]}, ["y"])


def change(file: Path, **parts: Any) -> None:
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, **parts}))


def test_inputs_and_outputs_are_those_of_the_signature(doubling: Path) -> None:
    model = GraphModel.read(doubling)
    assert model.inputs == (Port("x", (None, 2), "float32", "x:0"),)
    assert model.outputs == (Port("y", (None,), "float32", "y:0"),)


def test_a_signature_may_stand_in_the_metadata(doubling: Path) -> None:
    signature = json.loads(doubling.read_text())["signature"]
    change(doubling, signature=None, userDefinedMetadata={"signature": signature})
    assert [port.tensor for port in GraphModel.read(doubling).inputs] == ["x:0"]


@pytest.mark.parametrize(
    "parts",
    [
        {"signature": None},
        {"signature": 3, "userDefinedMetadata": ["not", "a", "dict"]},
        {"signature": {"inputs": [], "outputs": {"y": None}}},
    ],
)
def test_a_graph_without_a_usable_signature_is_lifted_by_its_placeholders(doubling: Path, parts: dict[str, Any]) -> None:
    change(doubling, **parts)
    model = GraphModel.read(doubling)
    assert model.inputs == model.outputs == ()
    assert lift(model).topology["config"]["input_layers"] == [["x", 0, 0]]


@pytest.mark.parametrize("shape", [None, 3, {"unknownRank": True}, {"dim": 3}, {"dim": [{"size": "9" * 5000}]}, {"dim": [None]}])
def test_a_damaged_shape_is_an_unknown_one(doubling: Path, shape: Any) -> None:
    change(doubling, signature={"inputs": {"x": {"name": "x:0", "dtype": "DT_INT32", "tensorShape": shape}}})
    assert GraphModel.read(doubling).inputs == (Port("x", (None,), "int32", "x:0"),)


def test_a_graph_model_is_found_as_one(doubling: Path) -> None:
    assert find_model(doubling.parent).model == GraphModel.read(doubling)


def test_a_graph_model_stays_loadable_when_the_working_directory_changes(
    node: pb.Node, doubling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(doubling.parent)
    model = node.load_model("model.json")
    model.dispose()
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(model.predict(np.ones((1, 2), np.float32)), [[2, 2]])


def test_a_copy_holds_the_model_and_nothing_else(doubling: Path, tmp_path: Path) -> None:
    (doubling.parent / "notes.txt").write_text("mine")
    GraphModel.read(doubling).copy_to(tmp_path / "copy")
    assert sorted(file.name for file in (tmp_path / "copy").iterdir()) == ["model.json", "w.bin"]


def test_a_weight_file_that_leads_elsewhere_is_not_copied(doubling: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    (doubling.parent / "w.bin").unlink()
    (doubling.parent / "w.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelFormatError, match="link out"):
        GraphModel.read(doubling).copy_to(tmp_path / "copy")
