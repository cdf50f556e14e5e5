"""Fixtures of the tests of deployed packages."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from service_project import HERE, Prepare, Project, install

import pybridge as pb
from pybridge.data import ImageSet, Preprocessing
from pybridge.deployment import DeployedPackage
from pybridge.features import image_batches
from pybridge.graphs import TensorFlowProcess, programs_for, run_reference
from pybridge.runtime import Runtime, ensure


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    return ensure()


@pytest.fixture(scope="session")
def prepare(runtime: Runtime) -> Prepare:
    """Decodes and prepares files with the package's JavaScript: hashes of the model's inputs, or the error's code, by file."""

    def run(files: Sequence[Path], preprocessings: Sequence[Preprocessing]) -> dict[str, Any]:
        given = {"files": [str(file) for file in files], "preprocessings": [each.to_dict() for each in preprocessings]}
        command = [str(runtime.node), str(HERE / "prepare_files.js")]
        # The decoders of other formats are among the packages of the runner.
        environment = {**os.environ, **runtime.environment()}
        done = subprocess.run(
            command, input=json.dumps(given), env=environment, capture_output=True, text=True, timeout=280, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


@pytest.fixture(scope="session")
def prepare_in_python(runtime: Runtime, tensorflow: TensorFlowProcess) -> Prepare:
    """The same with the program that training runs, in Python's TensorFlow; ``"refused"`` for an error."""

    def hashes(files: list[Path], preprocessing: Preprocessing) -> dict[str, str]:
        stages = programs_for([preprocessing], runtime, tensorflow)
        images = ImageSet(files, np.zeros(len(files), np.int32), ("any",))
        # A file whose header is damaged is in none of the batches.
        batches = [batch for batch in image_batches(images) if len(batch.images)]
        if not batches:
            return {}
        (values,) = run_reference(stages, "files", (batch.inputs for batch in batches), tensorflow, keep=[0])
        positions = np.concatenate([batch.images for batch in batches])
        return {str(files[at]): hashlib.sha256(value.tobytes()).hexdigest() for at, value in zip(positions, values, strict=True)}

    def run(files: Sequence[Path], preprocessings: Sequence[Preprocessing]) -> dict[str, Any]:
        try:
            found = [hashes(list(files), each) for each in preprocessings]
        except pb.BridgeError:
            if len(files) == 1:
                return {str(files[0]): "refused"}
            middle = len(files) // 2
            return {**run(files[:middle], preprocessings), **run(files[middle:], preprocessings)}
        return {str(file): [each[str(file)] for each in found] if str(file) in found[0] else "refused" for file in files}

    return run


@pytest.fixture(scope="session")
def tiny_run(trained: pb.ImageClassifier, pixels: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the tiny classifier, its parity recorded."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    trained.save(folder)
    record = json.loads((folder / "run.json").read_text())
    record["data"]["parity"] = {
        "passed": True,
        "reference": "TensorFlow in Python",
        "tolerance": 0.0,
        "images": 24,
        "runtimes": {"node": {"name": "node", "max_abs_diff": 0.0, "label_agreement": 1.0, "worst_image": "/home/me/secret.jpg"}},
    }
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="session")
def package(tiny_run: Path, node: pb.Node, tmp_path_factory: pytest.TempPathFactory) -> DeployedPackage:
    """The tiny classifier, deployed. Tests must leave it as it is."""
    return pb.deploy(tiny_run, tmp_path_factory.mktemp("packages") / "classifier", node=node)


@pytest.fixture(scope="session")
def both_forms(tiny_run: Path, node: pb.Node, tmp_path_factory: pytest.TempPathFactory) -> DeployedPackage:
    """The tiny classifier with its SavedModel form. Tests must leave it as it is."""
    return pb.deploy(tiny_run, tmp_path_factory.mktemp("packages") / "classifier", saved_model=True, node=node)


@pytest.fixture(scope="session")
def service(
    package: DeployedPackage,
    runtime: Runtime,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """A service with the tiny package installed from its tarball, and TensorFlow.js without native code."""
    return install(package.path, runtime, tmp_path_factory.mktemp("services") / "service")
