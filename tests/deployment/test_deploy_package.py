"""What `deploy` writes, and what it refuses to write."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from service_project import Project, classify, probabilities

import pybridge as pb
from pybridge.deployment import DeployedPackage
from pybridge.deployment.drift import check_drift, drift
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


def test_its_readme_says_how_good_it_is_and_how_sure_that_is(package: DeployedPackage, trained: pb.ImageClassifier) -> None:
    text = (package.path / "README.md").read_text("utf-8")
    found = re.search(
        r"Accuracy (\S+) \(95 % interval (\S+) to (\S+)\) on .*?(\d+) images.*; balanced over the classes (\S+)", text
    )
    assert found is not None
    accuracy, low, high, _, balanced = (float(each) for each in found.groups())
    assert (accuracy, balanced) == pytest.approx((trained.metrics_["accuracy"], trained.metrics_["balanced_accuracy"]), abs=1e-4)
    assert low <= accuracy <= high


def test_equal_runs_give_equal_packages(package: DeployedPackage, tiny_run: Path, node: pb.Node, tmp_path: Path) -> None:
    again = pb.deploy(tiny_run, tmp_path / "classifier", node=node)
    assert again.manifest == package.manifest
    assert again.bytes == package.bytes


def test_a_package_has_the_permissions_that_the_umask_leaves(tiny_run: Path, node: pb.Node, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        package = pb.deploy(tiny_run, tmp_path / "classifier", node=node)
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (package.path, *package.path.rglob("*"))}
    assert modes == {path: 0o700 if path.is_dir() else 0o600 for path in modes}


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
        {"max_drift": 1.5},
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
    assert lower.manifest["graph"] is None, "folding would round weights that were rounded already"


def test_a_package_has_the_fused_graph_of_its_model(package: DeployedPackage) -> None:
    assert package.manifest["graph"] == {"file": "graph/model.json"}
    operations = {node["op"] for node in json.loads((package.path / "graph" / "model.json").read_text())["modelTopology"]["node"]}
    assert "_FusedConv2D" in operations
    assert "BiasAdd" not in operations


def test_drift_says_how_many_labels_change() -> None:
    exact = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], np.float32)
    stored = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], np.float32)
    measured = drift(exact, stored, np.array([0, 0, 1], np.int32))
    assert measured["label_agreement"] == pytest.approx(2 / 3)
    assert measured["accuracy"] == pytest.approx(2 / 3)
    assert measured["accuracy_float32"] == 1
    assert measured["max_probability_drift"] == pytest.approx(0.2)


def measured(agreement: float, accuracy: float | None, limit: float) -> dict[str, float | int]:
    known = {} if accuracy is None else {"accuracy": accuracy, "accuracy_float32": 0.9}
    return {"images": 200, "max_probability_drift": 0.2, "label_agreement": agreement, "limit": limit, **known}


@pytest.mark.parametrize(
    ("agreement", "accuracy", "limit"), [(1.0, None, 0.0), (0.99, 0.89, 0.01), (0.995, 0.95, 0.01), (0.8, 0.7, 1.0)]
)
def test_little_drift_is_accepted(agreement: float, accuracy: float | None, limit: float) -> None:
    check_drift(measured(agreement, accuracy, limit), "uint8")


@pytest.mark.parametrize(("agreement", "accuracy", "limit"), [(0.985, None, 0.01), (1.0, 0.885, 0.01), (0.995, 0.9, 0.0)])
def test_more_drift_is_refused_with_the_figures(agreement: float, accuracy: float | None, limit: float) -> None:
    with pytest.raises(ParityError) as refused:
        check_drift(measured(agreement, accuracy, limit), "uint8")
    assert f"on 200 images {1 - agreement:.2%} of the labels change" in refused.value.message
    assert f"at most {limit:.2%} are allowed" in refused.value.message
    assert (accuracy is None) or f"accuracy is {accuracy:.4f} instead of 0.9000" in refused.value.message
    assert "--max-drift" in str(refused.value.hint)


@pytest.mark.slow
def test_a_precision_that_changes_labels_is_refused_unless_forced(
    tiny_run: Path, trained: pb.ImageClassifier, node: pb.Node, tmp_path: Path
) -> None:
    shades = np.full((161, 20, 20, 3), 40) + np.arange(161)[:, None, None, None] * [1, 0.5, 0]
    labels = trained.predict(shades.astype(np.uint8))
    border = int(np.flatnonzero(labels != labels[0])[0])
    # Pixel by pixel from the last shade of one class to the first of the other: the least change of the model turns some label.
    turned = np.random.default_rng(0).permutation(400).reshape(20, 20, 1) < np.arange(401)[:, None, None, None]
    images = np.where(turned, shades[border], shades[border - 1]).astype(np.uint8)
    given: dict[str, Any] = {"precision": "uint8", "images": images, "max_drift": 0.0, "node": node}
    with pytest.raises(ParityError, match=r"uint8 weights are too far from the trained ones: on 401 images .* labels change"):
        pb.deploy(tiny_run, tmp_path / "package", **given)
    assert not any(tmp_path.iterdir())
    forced = pb.deploy(tiny_run, tmp_path / "package", force=True, **given).manifest["precision_drift"]
    assert forced["limit"] == 0 < 1 - forced["label_agreement"]


def test_the_package_runs_on_pythons_tensorflow_with_the_same_bits(
    both_forms: DeployedPackage, trained: pb.ImageClassifier, pixels: Pixels, runtime: Runtime, tmp_path: Path
) -> None:
    from PIL import Image

    images, _ = pixels
    files = [tmp_path / f"{number}.png" for number in range(len(images))]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image).save(file)
    project = Project(tmp_path / "service", runtime)
    (project.folder / "node_modules").mkdir()
    (project.folder / "node_modules" / "classifier").symlink_to(both_forms.path)
    runner = Path(__file__).parents[2] / "node_runner" / "tensorflow"
    answers = classify(project, files, native=str(runner))
    assert (answers["runtime"], answers["form"]) == ("tfjs-node", "saved_model")
    assert np.array_equal(probabilities(answers, trained.class_names_), trained.predict_proba(files))
