"""Fixtures of the server's tests: a run, photos that it knows, and servers that answer with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import pybridge as pb
from pybridge.deployment import DeployedPackage, Server


@pytest.fixture(scope="session")
def served_run(trained: pb.ImageClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the tiny classifier, its parity recorded."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    trained.save(folder)
    record = json.loads((folder / "run.json").read_text())
    record["data"]["parity"] = {"passed": True, "reference": "TensorFlow", "tolerance": 0.0, "images": 24, "runtimes": {}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="session")
def served_package(served_run: Path, node: pb.Node, tmp_path_factory: pytest.TempPathFactory) -> DeployedPackage:
    """The run, deployed in both forms. Tests must leave it as it is."""
    return pb.deploy(served_run, tmp_path_factory.mktemp("packages") / "tiny", saved_model=True, node=node)


@pytest.fixture(scope="session")
def picture_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three photos of different sizes and formats."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    files = [folder / name for name in ("a.png", "b.jpg", "c.jpg")]
    for file, (height, width) in zip(files, ((20, 20), (33, 47), (150, 90)), strict=True):
        Image.fromarray(random.integers(0, 256, (height, width, 3)).astype(np.uint8)).save(file)
    return files


@pytest.fixture(scope="session")
def expected(trained: pb.ImageClassifier, picture_files: list[Path]) -> NDArray[np.float32]:
    """What Python says of the photos."""
    return np.asarray(trained.predict_proba(picture_files), np.float32)


@pytest.fixture(scope="module")
def server(served_package: DeployedPackage) -> Iterator[Server]:
    """A server with the tiny model, called ``tiny``."""
    with pb.serve({"tiny": served_package.path}, limits={"reload": 0}) as running:
        yield running
