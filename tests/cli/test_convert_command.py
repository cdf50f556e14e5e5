"""`pybridge convert`: any source in, four formats out, and what the user's mistakes are answered with."""

from __future__ import annotations

import json
from pathlib import Path

import graph_files
import pytest
import tiny

from pybridge import cli
from pybridge.tfjs.layers_model import LayersModel


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    tiny.convolutional_classifier().write(tmp_path / "layers")
    return tmp_path / "layers"


def test_a_converted_model_is_written_and_reported(layers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["convert", str(layers), str(tmp_path / "half"), "--precision", "float16", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (code, report["format"], report["precision"]) == (0, "tfjs_layers", "float16")
    assert 0 < report["max_abs_diff"] < 1e-2
    assert LayersModel.read(tmp_path / "half").parameters == tiny.convolutional_classifier().parameters


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["nothing", "out"], "neither a model of the zoo nor a path that exists"),
        (["keras:Nothing", "out"], "keras.applications has no model 'Nothing'"),
    ],
)
def test_a_source_that_is_none_is_the_users_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], answer: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["convert", *arguments]) == 2
    assert answer in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_graph_that_cannot_become_layers_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    operations = [graph_files.operation("y", "Atan", "x")]
    graph_files.write_graph_model(tmp_path / "graph", operations, {}, {"x": [-1, 2]}, ["y"])
    assert cli.main(["convert", str(tmp_path / "graph"), str(tmp_path / "out")]) == 2
    assert "Atan 'y'" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]
