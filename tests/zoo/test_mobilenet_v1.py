"""MobileNet v1 as TensorFlow.js publishes it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pybridge as pb
from pybridge import zoo
from pybridge.storage.hashes import sha256_of
from pybridge.tfjs.layers_model import LayersModel


@pytest.fixture
def published(shared_data: Path) -> Path:
    """The files of the smallest one, as they are on the web."""
    return shared_data / "weights" / "mobilenet_v1_0.25_224"


def test_the_entry_pins_the_published_files(published: Path) -> None:
    entry = zoo.get("mobilenet_v1_0.25_224")
    manifest = json.loads((published / "model.json").read_text())["weightsManifest"]
    weights = [published / path for group in manifest for path in group["paths"]]
    assert entry.model_sha256 == sha256_of(published / "model.json")
    assert entry.weights_sha256 == sha256_of(*weights)
    assert entry.parameters == LayersModel.read(published).parameters


def test_the_width_may_be_written_in_several_ways() -> None:
    assert zoo.get("mobilenet_v1_0.5_224").name == "mobilenet_v1_0.50_224"
    assert zoo.get("mobilenet_v1_1.00_224").name == "mobilenet_v1_1.0_224"


def test_it_gives_probabilities_for_the_classes_of_imagenet(published: Path, node: pb.Node) -> None:
    probabilities = node.load_model(published).predict(np.zeros((1, 224, 224, 3)))
    assert probabilities.shape == (1, 1000)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
