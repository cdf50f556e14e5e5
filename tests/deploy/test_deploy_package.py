"""What `deploy` writes, and what it refuses to write."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from service_project import Project, classify, probabilities

import pybridge as pb
from pybridge.deployment import DeployedPackage
from pybridge.deployment.measuring import drift
from pybridge.errors import BridgeError, DataError, ParityError
from pybridge.runtime import Runtime

Pixels = tuple[NDArray[np.uint8], NDArray[np.int64]]


def altered(run: Path, copy: Path, **data: Any) -> Path:
    shutil.copytree(run, copy)
    record = json.loads((copy / "run.json").read_text())
    record["data"] |= data
    (copy / "run.json").write_text(json.dumps(record))
    return copy


def test_the_manifest_names_every_file_with_its_hash(package: DeployedPackage) -> None:
    found = {file.relative_to(package.path).as_posix(): file for file in package.path.rglob("*") if file.is_file()}
    listed = json.loads((package.path / "manifest.json").read_text())["files"]
    assert set(found) == {*listed, "manifest.json", "package.json"}
    for name, expected in listed.items():
        content = found[name].read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (expected["sha256"], expected["bytes"])


def test_nothing_of_the_machine_is_in_the_package(package: DeployedPackage, tiny_run: Path) -> None:
    for file in package.path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"secret.jpg" not in content
            assert str(tiny_run.parent).encode() not in content


def test_equal_runs_give_equal_packages(package: DeployedPackage, tiny_run: Path, node: pb.Node, tmp_path: Path) -> None:
    again = pb.deploy(tiny_run, tmp_path / "classifier", node=node)
    assert again.manifest == package.manifest
    assert again.bytes == package.bytes


def test_an_earlier_package_is_replaced_and_nothing_is_left_over(
    package: DeployedPackage, tiny_run: Path, node: pb.Node, tmp_path: Path
) -> None:
    dest = tmp_path / "model"
    shutil.copytree(package.path, dest)
    (dest / "model" / "stale.bin").write_bytes(b"old")
    pb.deploy(tiny_run, dest, version="1.2.3", node=node)
    assert not (dest / "model" / "stale.bin").exists()
    assert json.loads((dest / "package.json").read_text())["version"] == "1.2.3"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_with_other_files_is_left_alone(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "index.js").write_text("mine")
    with pytest.raises(BridgeError, match="no package of pybridge"):
        pb.deploy(tiny_run, tmp_path, force=True)
    assert (tmp_path / "index.js").read_text() == "mine"


@pytest.mark.parametrize(
    "parity", [None, {"passed": False, "reference": "Python", "runtimes": {}}], ids=["not measured", "failed"]
)
def test_without_parity_there_is_no_package(tiny_run: Path, tmp_path: Path, parity: Any) -> None:
    run = altered(tiny_run, tmp_path / "run", parity=parity)
    with pytest.raises(ParityError):
        pb.deploy(run, tmp_path / "package")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_force_deploys_without_parity(tiny_run: Path, node: pb.Node, tmp_path: Path) -> None:
    run = altered(tiny_run, tmp_path / "run", parity=None)
    assert pb.deploy(run, tmp_path / "package", force=True, node=node).manifest["parity"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"precision": "int4"},
        {"precision": "uint8"},
        {"precision": "float16", "saved_model": True, "force": True},
        {"name": "Not A Name"},
        {"name": "../up"},
        {"version": "one"},
    ],
)
def test_arguments_that_cannot_be_used(tiny_run: Path, tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        pb.deploy(tiny_run, tmp_path / "package", **arguments)
    assert not (tmp_path / "package").exists()


@pytest.mark.slow
def test_lower_precision_is_smaller_and_its_drift_is_measured(
    package: DeployedPackage, tiny_run: Path, pixels: Pixels, node: pb.Node, tmp_path: Path
) -> None:
    images, _ = pixels
    lower = pb.deploy(tiny_run, tmp_path / "classifier", precision="float16", images=images, node=node)
    measured = lower.manifest["precision_drift"]
    assert measured["images"] == len(images)
    assert 0 < measured["max_probability_drift"] < 0.01
    assert lower.manifest["parity"]["passed"]
    full, half = (sum(file.stat().st_size for file in each.path.glob("model/*.bin")) for each in (package, lower))
    assert half == full / 2


def test_drift_says_how_many_labels_change() -> None:
    exact = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], np.float32)
    stored = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], np.float32)
    measured = drift(exact, stored, np.array([0, 0, 1], np.int32))
    assert measured["label_agreement"] == pytest.approx(2 / 3)
    assert measured["accuracy"] == pytest.approx(2 / 3)
    assert measured["accuracy_float32"] == 1
    assert measured["max_probability_drift"] == pytest.approx(0.2)


def test_the_package_runs_on_pythons_tensorflow_with_the_same_bits(
    tiny_run: Path, trained: pb.ImageClassifier, pixels: Pixels, runtime: Runtime, node: pb.Node, tmp_path: Path
) -> None:
    from PIL import Image

    images, _ = pixels
    files = [tmp_path / f"{number}.png" for number in range(len(images))]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image).save(file)
    pb.deploy(tiny_run, tmp_path / "classifier", saved_model=True, node=node)
    project = Project(tmp_path / "service", runtime)
    (project.folder / "node_modules").mkdir()
    (project.folder / "node_modules" / "classifier").symlink_to(tmp_path / "classifier")
    runner = Path(__file__).parents[2] / "node_runner" / "tensorflow.js"
    answers = classify(project, files, native=str(runner))
    assert (answers["runtime"], answers["form"]) == ("tfjs-node", "saved_model")
    assert np.array_equal(probabilities(answers, trained.class_names_), trained.predict_proba(files))
