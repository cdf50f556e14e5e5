"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny
from commands import CommandLine, link_photos
from layered_models import residual_model
from numpy.typing import NDArray
from web_site import Site, serve_files

import pybridge as pb
from pybridge.data import ImageSet, write_folder
from pybridge.graphs import TensorFlowProcess, shared_tensorflow
from pybridge.rpc.runner import Runner
from pybridge.runtime import ensure
from pybridge.tfjs.layers_model import LayersModel

# As in pybridge's own processes: TensorFlow without oneDNN, which some processors have off by default, refuses some convolutions.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def pytest_configure() -> None:
    """Lets Ctrl-C reach the tests that need it, also where the suite runs in the background of a shell, which ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with photos and published models; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PYBRIDGE_TEST_DATA", default))
    if not (folder / "trashnet").is_dir():
        pytest.skip(f"the test data are not at {folder}; PYBRIDGE_TEST_DATA names another place")
    return folder


@pytest.fixture(scope="session")
def node(tensorflow: TensorFlowProcess) -> Iterator[pb.Node]:
    """One Node.js process for all tests that leave it alive."""
    with pb.Node() as shared:
        yield shared


@pytest.fixture(autouse=True)
def _process_to_kill(request: pytest.FixtureRequest) -> Iterator[None]:
    """Gives a test that is marked `kills_node` a process of its own behind the fixture `node`."""
    if request.node.get_closest_marker("kills_node") is None:
        yield
        return
    node = request.getfixturevalue("node")
    shared = node.runner
    with Runner() as node.runner:
        yield
    node.runner = shared


@pytest.fixture(scope="session")
def tensorflow() -> Iterator[TensorFlowProcess]:
    """One Python process with TensorFlow for all tests that trace or need the reference; it starts with its first job."""
    with shared_tensorflow(ensure().environment()) as shared:
        yield shared


@pytest.fixture(scope="session")
def pixels() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """24 pictures of 20 x 20 pixels in two classes that are easy to tell apart."""
    return tiny.pictures()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the classes ``dark``, ``grey`` and ``light``, eight PNG files in each."""
    images, labels = tiny.pictures(classes=3, per_class=8)
    image_set = ImageSet(images, labels.astype(np.int32), ("dark", "grey", "light"))
    return write_folder(image_set, tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def trained(node: pb.Node, pixels: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> pb.ImageClassifier:
    """A classifier of `pixels` on the tiny base. Tests must leave it as it is."""
    classifier = pb.ImageClassifier(tiny.convolution(), epochs=8, learning_rate=0.1, dropout=0.0, seed=0, node=node)
    classifier.fit(*pixels)
    return classifier


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Files served on loopback, with ETag and Range; ``answers`` replaces the answer for a path."""
    with serve_files(tmp_path / "site") as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for one test, and no mirror."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PYBRIDGE_CACHE", str(folder))
    monkeypatch.delenv("PYBRIDGE_MIRROR", raising=False)
    return folder


@pytest.fixture
def residual() -> LayersModel:
    """Image (8, 8, 3) -> conv a -> [conv b + identity] -> relu -> pool -> Dense(2)."""
    return residual_model()


@pytest.fixture
def pybridge(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture(scope="session")
def waste(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of waste: six classes, 20 of each."""
    return link_photos(shared_data / "trashnet", tmp_path_factory.mktemp("photos") / "waste", 0, 20)


@pytest.fixture(scope="session")
def other_waste(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Further photos of waste: six classes, 5 of each."""
    return link_photos(shared_data / "trashnet", tmp_path_factory.mktemp("photos") / "other", 20, 25)


@pytest.fixture(scope="session")
def small_base(shared_data: Path) -> Path:
    """The smallest real base model: MobileNet v1 0.25, as TF.js publishes it."""
    return shared_data / "weights" / "mobilenet_v1_0.25_224" / "model.json"


@pytest.fixture(scope="session")
def waste_run(waste: Path, small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on `waste`. Tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("runs")
    CommandLine(folder)("train", waste, "--out", "run", "--base", small_base, "--seed", 0, "--epochs", 3)
    return folder / "run"
