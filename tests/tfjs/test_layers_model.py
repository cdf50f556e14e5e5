"""Reading and writing models."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from pybridge.errors import ModelFormatError
from pybridge.tfjs import surgery
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.weights import decode_group, parse_manifest


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_was_written_is_read_back_bit_for_bit(residual: LayersModel, tmp_path: Path) -> None:
    residual.user_metadata["labels"] = ["a", "b"]
    residual.write(tmp_path / "model")
    again = LayersModel.read(tmp_path / "model" / "model.json")
    assert again.topology == residual.topology
    assert again.user_metadata == {"labels": ["a", "b"]}
    assert list(again.weights) == list(residual.weights)
    assert all(np.array_equal(again.weights[name], value) for name, value in residual.weights.items())
    assert again.sha256() == residual.sha256()


def test_equal_models_give_equal_files(residual: LayersModel, tmp_path: Path) -> None:
    residual.write(tmp_path / "one")
    residual.write(tmp_path / "two")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_writing_over_a_model_leaves_only_the_new_one(residual: LayersModel, tmp_path: Path) -> None:
    residual.write(tmp_path / "one")
    residual.weights["out/bias"] = residual.weights["out/bias"] + 1
    residual.write(tmp_path / "one")
    residual.write(tmp_path / "two")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_weight_files_have_at_most_four_megabytes(tmp_path: Path, residual: LayersModel) -> None:
    residual.weights["out/kernel"] = np.arange(3_000_000, dtype=np.float32)
    residual.write(tmp_path)
    sizes = [file.stat().st_size for file in tmp_path.glob("*.bin")]
    assert len(sizes) == 3
    assert max(sizes) == 4 * 2**20
    assert np.array_equal(LayersModel.read(tmp_path).weights["out/kernel"], residual.weights["out/kernel"])


def test_both_copies_of_mobilenet_hold_the_same_weights(shared_data: Path) -> None:
    zoo = LayersModel.read(shared_data / "weights" / "mobilenet_v1_0.25_224")
    converted = LayersModel.read(shared_data / "weights" / "mobilenet_v1_0.25_224_one_shard" / "model.json")
    assert zoo.parameters == converted.parameters == 475_544
    common = [name for name in zoo.weights if not name.startswith("conv_preds")]
    assert len(common) == 135
    assert all(np.array_equal(zoo.weights[name], converted.weights[name]) for name in common)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_affine_quantization_is_undone_as_tensorflow_js_does(dtype: str) -> None:
    quantization = {"dtype": dtype, "scale": 0.1, "min": -1.5}
    weight = {"name": "w", "shape": [2], "dtype": "float32", "quantization": quantization}
    group = parse_manifest([{"paths": ["w.bin"], "weights": [weight]}], "test")[0]
    decoded = decode_group(group, np.array([0, 200], dtype).tobytes(), "test")["w"]
    assert decoded.dtype == np.float32
    assert decoded.tolist() == np.array([-1.5, 200 * 0.1 - 1.5]).astype(np.float32).tolist()


def test_halves_become_floats() -> None:
    weight = {"name": "w", "shape": [3], "dtype": "float32", "quantization": {"dtype": "float16"}}
    group = parse_manifest([{"paths": ["w.bin"], "weights": [weight]}], "test")[0]
    decoded = decode_group(group, np.array([1, 0.5, -2], np.float16).tobytes(), "test")["w"]
    assert (decoded.dtype, decoded.tolist()) == (np.float32, [1, 0.5, -2])


def test_text_follows_its_length() -> None:
    specs = [{"name": "s", "shape": [2], "dtype": "string"}, {"name": "b", "shape": [1], "dtype": "bool"}]
    group = parse_manifest([{"paths": ["w.bin"], "weights": specs}], "test")[0]
    decoded = decode_group(group, b"\x02\0\0\0hi\0\0\0\0\x01", "test")
    assert decoded["s"].tolist() == [b"hi", b""]
    assert decoded["b"].tolist() == [True]


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "/etc/passwd", "%2e%2e/x", "%252e%252e/x", "a\\..\\x", "C:x", "file:///x", "", "x\0", "."],
)
def test_weights_outside_the_folder_are_refused(path: str) -> None:
    weight = {"name": "w", "shape": [1], "dtype": "float32"}
    with pytest.raises(ModelFormatError, match="path"):
        parse_manifest([{"paths": [path], "weights": [weight]}], "test")


def test_a_link_out_of_the_folder_is_refused(residual: LayersModel, tmp_path: Path) -> None:
    residual.write(tmp_path / "model")
    shard = next((tmp_path / "model").glob("*.bin"))
    shard.rename(tmp_path / "elsewhere.bin")
    shard.symlink_to(tmp_path / "elsewhere.bin")
    with pytest.raises(ModelFormatError, match="link out of"):
        LayersModel.read(tmp_path / "model")


def test_a_pipe_in_place_of_weights_does_not_hang(residual: LayersModel, tmp_path: Path) -> None:
    residual.write(tmp_path)
    shard = next(tmp_path.glob("*.bin"))
    shard.unlink()
    os.mkfifo(shard)
    with pytest.raises(ModelFormatError, match="regular file"):
        LayersModel.read(tmp_path)


def test_an_enormous_shape_is_refused_before_anything_is_allocated(residual: LayersModel, tmp_path: Path) -> None:
    residual.write(tmp_path)
    document = json.loads((tmp_path / "model.json").read_text())
    document["weightsManifest"][0]["weights"][0]["shape"] = [2**30] * 8
    (tmp_path / "model.json").write_text(json.dumps(document))
    with pytest.raises(ModelFormatError, match="manifest describes"):
        LayersModel.read(tmp_path)


@pytest.mark.parametrize("change", [-4, 4])
def test_a_weight_file_of_another_size_is_refused(residual: LayersModel, tmp_path: Path, change: int) -> None:
    residual.write(tmp_path)
    shard = next(tmp_path.glob("*.bin"))
    os.truncate(shard, shard.stat().st_size + change)
    with pytest.raises(ModelFormatError, match=shard.name):
        LayersModel.read(tmp_path)


def test_a_graph_model_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"format": "graph-model", "modelTopology": {"node": []}}))
    with pytest.raises(ModelFormatError, match="graph model"):
        LayersModel.read(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "[" * 100_000, '{"modelTopology": {"class_name": "Other"}}'])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(ModelFormatError, match=r"model\.json"):
        LayersModel.read(tmp_path)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="nowhere"):
        LayersModel.read(tmp_path / "nowhere")


def mutated(value: object, chance: random.Random) -> object:
    """Change one random place of a JSON value."""
    strange = [None, -1, 0, 2**70, 1.5, "", "x/../y", [], {}, [None], True, "Functional", [[["a", 0, 0, {}]]]]
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        changed = dict(value)
        if chance.random() < 0.1:
            del changed[key]
        else:
            changed[key] = mutated(value[key], chance)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        return [*value[:place], mutated(value[place], chance), *value[place + 1 :]]
    return chance.choice(strange)


@pytest.mark.parametrize("name", ["residual", pytest.param("teachable_machine", marks=pytest.mark.slow)])
def test_damaged_files_give_a_model_or_a_clear_error(
    name: str, residual: LayersModel, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name == "residual":
        residual.write(tmp_path)
    else:
        source = request.getfixturevalue("shared_data") / "weights" / name
        for file in source.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    original = json.loads((tmp_path / "model.json").read_text())
    chance = random.Random(1)
    refused = 0
    for _ in range(400):
        (tmp_path / "model.json").write_text(json.dumps(mutated(original, chance)))
        try:
            flat = surgery.flatten(LayersModel.read(tmp_path))
            surgery.truncate(flat, surgery.feature_layer(flat)).sha256()
        except ModelFormatError as error:
            refused += 1
            assert error.hint
    assert refused > 50
