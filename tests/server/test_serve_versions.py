"""Versions of a served package that are not to be served: the last good one answers, and the state says why."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from numpy.typing import NDArray

import pybridge as pb
from pybridge.deployment import DeployedPackage

pytestmark = pytest.mark.slow


@pytest.fixture
def versions(served_package: DeployedPackage, tmp_path: Path) -> Path:
    """A folder with the version 1, and 2 that is the same."""
    for version in ("1", "2"):
        shutil.copytree(served_package.path, tmp_path / "model" / version)
    return tmp_path / "model"


def states(url: str) -> dict[str, Any]:
    (model,) = requests.get(f"{url}/models", timeout=30).json()["models"]
    return {each["version"]: each for each in model["versions"]}


def repacked(folder: Path, name: str, content: bytes) -> None:
    """Puts a file into a package as its author would, with the right hash."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_graph_that_writes_files_is_refused_by_name(
    versions: Path, tmp_path: Path, picture_files: list[Path], expected: NDArray[np.float32]
) -> None:
    import tensorflow as tf

    target = tmp_path / "target.txt"
    loaded = json.loads((versions / "2" / "manifest.json").read_text())["saved_model"]["stages"][0]["folder"]
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])  # type: ignore[untyped-decorator]
    def writes(x: Any) -> Any:
        with tf.control_dependencies([tf.io.write_file(str(target), "x")]):
            return tf.identity(x)

    tf.saved_model.save(module, str(tmp_path / "hostile"), signatures=writes)
    repacked(versions / "2", f"{loaded}/saved_model.pb", (tmp_path / "hostile" / "saved_model.pb").read_bytes())
    with pb.serve({"pets": versions}, log_level="silent") as server:
        found = requests.post(f"{server.url}/classify", data=picture_files[0].read_bytes(), timeout=60).json()
        assert found["version"] == "1"
        assert np.float32(found["results"][0]["probability"]) == expected[0].max()
        failed = states(server.url)["2"]
        assert failed["state"] == "FAILED"
        assert f"{loaded}/saved_model.pb is refused" in failed["error"]
        assert "WriteFile (takes the name of a file)" in failed["error"]
        status = requests.get(f"{server.url}/v1/models/pets/versions/2", timeout=30).json()["model_version_status"][0]
        assert "WriteFile" in status["status"]["error_message"]
    assert not target.exists()


def test_a_newest_version_that_is_garbage_does_not_stop_the_start(versions: Path, picture_files: list[Path]) -> None:
    (versions / "2" / "manifest.json").write_text("garbage")
    with pb.serve({"pets": versions}, log_level="silent") as server:
        assert requests.post(f"{server.url}/classify", data=picture_files[0].read_bytes(), timeout=60).json()["version"] == "1"
        failed = states(server.url)["2"]
    assert failed == {"version": "2", "state": "FAILED", "error": "manifest.json is not JSON"}
