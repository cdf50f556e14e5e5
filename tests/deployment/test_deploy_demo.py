"""The demo page in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from service_project import HERE, Project, classify, probabilities

import pybridge as pb
from pybridge.deployment import DeployedPackage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shown_by(service: Project, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, list[Path]], Any]:
    """What the demo of a package shows for pictures, in a browser."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    service.npm("install", "--ignore-scripts", "playwright-core@1.65.1")
    bad = tmp_path_factory.mktemp("bad") / "bad.jpg"
    bad.write_bytes(b"no picture")

    def show(package: Path, files: list[Path]) -> Any:
        command = [str(service.runtime.node), str(package / "demo.js")]
        with subprocess.Popen(command, cwd=service.folder, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                url = server.stdout.readline().strip()
                given = {"url": url, "browser": browser, "files": [str(file) for file in files], "bad": str(bad)}
                return json.loads(service.node(HERE / "open_demo.js", given))
            finally:
                server.terminate()

    return show


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("shown")
    files = [folder / "a.jpg", folder / "b.png"]
    for file in files:
        Image.fromarray(random.integers(0, 256, (50, 70, 3)).astype(np.uint8)).save(file)
    return files


def test_a_picture_clicked_or_dropped_gets_pythons_answer(
    service: Project, shown_by: Callable[[Path, list[Path]], Any], trained: pb.ImageClassifier, files: list[Path]
) -> None:
    shown = shown_by(service.folder / "node_modules" / "classifier", files)
    assert shown["errors"] == []
    assert shown["status"] == "Ready: 2 labels."
    assert_as_python(shown, trained, files)
    assert as_dict(shown["dropped"]) == pytest.approx(as_dict(shown["clicked"][0]), abs=1e-6)
    assert "not an image" in shown["complaint"]
    assert len(shown["seen"]) == 2


def test_layers_that_tensorflow_js_lacks_run_in_every_form(
    own_layers: tuple[pb.ImageClassifier, DeployedPackage],
    service: Project,
    shown_by: Callable[[Path, list[Path]], Any],
    files: list[Path],
) -> None:
    classifier, package = own_layers
    assert package.manifest["model"]["layers"] == "model/pybridge-layers.js"
    expected = classifier.predict_proba(files)
    runner = str(HERE.parents[1] / "node_runner" / "tensorflow")
    assert package.manifest["graph"] is None, "it has what TensorFlow.js cannot compute in a graph"
    for native, form, tolerance in ((None, "layers", 1e-5), (runner, "layers", 1e-5), (runner, "saved_model", 0.0)):
        runtime = {} if native else {"runtime": "wasm"}
        answers = classify(service, files, native, package=str(package.path), form=form, **runtime)
        assert (answers["runtime"], answers["form"]) == ("tfjs-node" if native else "wasm", form)
        assert np.abs(probabilities(answers, classifier.class_names_) - expected).max() <= tolerance
    shown = shown_by(package.path, files)
    assert shown["errors"] == []
    assert_as_python(shown, classifier, files)


@pytest.fixture(scope="module")
def own_layers(
    pixels: Any, node: pb.Node, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pb.ImageClassifier, DeployedPackage]:
    """A classifier on a base with a block as in ConvNeXt, but for a normalization that TensorFlow.js lacks, and its package."""
    import keras

    image = keras.Input((16, 16, 3))
    features = keras.layers.Conv2D(6, 4, strides=4)(image)
    inner = keras.layers.DepthwiseConv2D(3, padding="same")(features)
    inner = keras.layers.GroupNormalization(2)(inner)
    inner = keras.layers.Activation("gelu")(keras.layers.Dense(12)(inner))
    features = keras.layers.Add()([features, keras.layers.Dense(6)(inner)])
    base = keras.Model(image, keras.layers.GlobalAveragePooling2D()(features))
    classifier = pb.ImageClassifier(base, epochs=2, seed=0, node=node)
    classifier.fit(*pixels)
    folder = tmp_path_factory.mktemp("own")
    classifier.save(folder / "run")
    return classifier, pb.deploy(folder / "run", folder / "classifier", saved_model=True, images=pixels[0], node=node)


def assert_as_python(shown: Any, classifier: pb.ImageClassifier, files: list[Path]) -> None:
    for rows, row in zip(shown["clicked"], classifier.predict_proba(files), strict=True):
        assert as_dict(rows) == pytest.approx(dict(zip(classifier.class_names_, row.tolist(), strict=True)), abs=1e-5)


def as_dict(rows: Any) -> dict[str, float]:
    return {row["label"]: row["probability"] for row in rows}
