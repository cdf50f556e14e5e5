"""The JavaScript file beside a model that makes our layer classes known to any TensorFlow.js."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybridge.errors import ModelFormatError, SetupError
from pybridge.runtime import ensure
from pybridge.runtime.bundle import find_bundle
from pybridge.tfjs.custom_layers import FILE_NAME, Manifest, custom_classes, javascript_for, own_classes, own_operations

BARE = """
const fs = require('fs');
const tf = require('@tensorflow/tfjs');
%s
(async () => {
  await tf.setBackend('cpu');
  const gru = { name: 'gru', units: 2, reset_after: true, batch_input_shape: [null, 3, 2] };
  const layer = { class_name: 'PybridgeGRU', config: gru };
  const expand = { op: 'expand_dims', arguments: { x: { tensor: 0 }, axis: 1 } };
  const op = { class_name: 'PybridgeOp', config: { name: 'op', ...expand, output_shape: [null, 1, 2], output_dtype: 'float32' } };
  const topology = { class_name: 'Sequential', config: { name: 's', layers: [layer, op] } };
  const weights = [['gru/kernel', [2, 6]], ['gru/recurrent_kernel', [2, 6]], ['gru/bias', [2, 6]]];
  const count = weights.reduce((n, [, shape]) => n + shape[0] * shape[1], 0);
  const data = Float32Array.from({ length: count }, (_, i) => ((i * 7) %% 11) / 11 - 0.4);
  const specs = weights.map(([name, shape]) => ({ name, shape, dtype: 'float32' }));
  const source = { modelTopology: topology, weightSpecs: specs, weightData: data.buffer };
  const model = await tf.loadLayersModel(tf.io.fromMemory(source));
  const y = model.predict(tf.ones([1, 3, 2]));
  process.stdout.write(JSON.stringify({ shape: y.shape, values: Array.from(y.dataSync()), backend: tf.getBackend() }));
})();
"""


def run_bare(folder: Path, loading: str) -> dict[str, object]:
    """Run plain Node.js with plain TensorFlow.js: no addon, no runner."""
    runtime = ensure()
    (folder / FILE_NAME).write_text(javascript_for({"PybridgeGRU", "PybridgeOp"}), encoding="utf-8")
    (folder / "bare.js").write_text(BARE % loading, encoding="utf-8")
    environment = {**os.environ, "NODE_PATH": runtime.environment()["NODE_PATH"]}
    command = [str(runtime.node), "bare.js"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout[done.stdout.index('{"shape"') :])
    return answer


def test_plain_tensorflow_js_runs_our_classes_after_requiring_the_file(tmp_path: Path) -> None:
    answer = run_bare(tmp_path, "require('./pybridge-layers.js')(tf);")
    assert (answer["shape"], answer["backend"]) == ([1, 1, 2], "cpu")


@pytest.mark.slow
def test_the_file_registers_itself_where_tf_is_global(tmp_path: Path) -> None:
    by_itself = run_bare(tmp_path, "globalThis.tf = tf; require('./pybridge-layers.js');")
    assert by_itself == run_bare(tmp_path, "require('./pybridge-layers.js')(tf);")


def test_classes_are_found_in_nested_models_and_wrappers() -> None:
    inner = {"class_name": "PybridgeGRU", "config": {"name": "g"}}
    wrapped = {"class_name": "Bidirectional", "config": {"layer": inner}}
    nested = {"class_name": "Functional", "config": {"layers": [wrapped, {"class_name": "PybridgeOp", "config": {}}]}}
    assert custom_classes({"class_name": "Sequential", "config": {"layers": [nested]}}) == {"PybridgeGRU", "PybridgeOp"}


def test_a_model_of_plain_layers_needs_no_classes() -> None:
    assert custom_classes({"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {}}]}}) == set()


def test_only_the_files_that_the_classes_need_are_joined() -> None:
    assert "'./attention'" not in javascript_for({"PybridgeGRU"})
    assert "PybridgeMultiHeadAttention" not in javascript_for({"PybridgeGRU"})


def test_an_unknown_class_is_refused_by_name() -> None:
    with pytest.raises(ModelFormatError, match="PybridgeNothing"):
        javascript_for({"PybridgeNothing"})


LAYERS = find_bundle().node_runner / "layers"


def test_the_manifest_says_what_each_file_requires_and_in_which_order() -> None:
    manifest = Manifest.read(LAYERS)
    for name, listed in manifest.requires.items():
        written = re.findall(r"require\('\./(\w+)'\)", (LAYERS / f"{name}.js").read_text(encoding="utf-8"))
        assert list(listed) == written, name


def test_python_and_javascript_know_the_same_classes(tmp_path: Path) -> None:
    assert register(LAYERS, tmp_path).stdout.split() == sorted(own_classes())


def register(layers: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let plain Node.js register the classes of a folder; it prints their names in order."""
    runtime = ensure()
    (folder / "register.js").write_text(
        f"const {{ registerLayers }} = require({json.dumps(str(layers))});\n"
        "console.log(registerLayers(require('@tensorflow/tfjs')).sort().join(' '));\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "NODE_PATH": runtime.environment()["NODE_PATH"]}
    command = [str(runtime.node), str(folder / "register.js")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """A copy of the folder of classes, with another manifest."""

    def change(edit: Callable[[dict[str, Any]], None]) -> Path:
        folder = tmp_path / "layers"
        shutil.copytree(LAYERS, folder)
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        edit(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return folder

    return change


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda manifest: manifest["files"]["pooling"]["classes"].pop(0), "lacks PybridgeAdaptiveAveragePooling1D"),
        (lambda manifest: manifest["files"]["pooling"]["classes"].append("PybridgeNothing"), "names PybridgeNothing in vain"),
        (lambda manifest: manifest["operations"].remove("matmul"), "lacks matmul"),
    ],
)
def test_javascript_refuses_a_manifest_that_does_not_fit_its_classes(
    changed: Any, tmp_path: Path, edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    done = register(changed(edit), tmp_path)
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda manifest: manifest["files"].pop("pooling"), "disagree about pooling"),
        (lambda manifest: manifest["files"].update(nothing={"requires": []}), "disagree about nothing"),
        (lambda manifest: manifest["files"]["pooling"]["requires"].append("nothing"), "disagree about nothing"),
        (lambda manifest: manifest["files"]["pooling"]["classes"].append("PybridgeGRU"), "names a class twice"),
        (lambda manifest: manifest["operations"].clear(), "none at all"),
        (lambda manifest: manifest["files"]["pooling"].pop("requires"), "KeyError"),
        (lambda manifest: manifest.update(files=[]), "cannot be read"),
    ],
)
def test_python_refuses_a_manifest_that_does_not_fit_the_files(
    changed: Any, edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(SetupError, match=message):
        Manifest.read(changed(edit))


def test_a_missing_manifest_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        Manifest.read(tmp_path)


def test_operations_have_the_names_of_keras() -> None:
    assert {"matmul", "get_item", "softmax", "greater", "mean"} <= own_operations()
    assert all(re.fullmatch(r"[a-z_0-9]+", name) for name in own_operations())
