"""Photos, bases and runs that the end-to-end tests share."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from commands import CommandLine, link_photos

from pybridge.runtime import ensure
from pybridge.storage.cache import runtime_dir


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


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="session")
def weights_site(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The published weights on a web server, and as a mirror of the place that TensorFlow.js names."""
    root = tmp_path_factory.mktemp("site")
    mirrored = root / "storage.googleapis.com" / "tfjs-models" / "tfjs"
    mirrored.mkdir(parents=True)
    (mirrored / "mobilenet_v1_0.25_224").symlink_to(shared_data / "weights" / "mobilenet_v1_0.25_224")
    (root / "weights").symlink_to(shared_data / "weights")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_QuietHandler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache_without_models(tmp_path: Path) -> Path:
    """A cache with the Node side installed, and nothing else."""
    ensure()
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "runtime").symlink_to(runtime_dir())
    return cache
