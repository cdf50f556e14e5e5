"""Published weights on a web server, and a cache without models, for the end-to-end tests."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pybridge.runtime import ensure
from pybridge.storage.cache import runtime_dir


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
