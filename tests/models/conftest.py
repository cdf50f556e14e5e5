"""Small models and a real web server for the tests of this room."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pybridge.tfjs.layers_model import LayersModel

Answer = Callable[[BaseHTTPRequestHandler, bytes], bool]


@dataclass
class Site:
    """Files served on loopback, with ETag and Range; ``answers`` replaces the answer for a path."""

    root: Path
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    address: str = ""

    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    state = Site(tmp_path / "site")
    state.root.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append((self.path, self.headers.get("Range")))
            file = state.root / self.path.lstrip("/").split("?")[0]
            data = file.read_bytes() if file.is_file() else None
            answer = state.answers.get(self.path)
            if answer is not None and answer(self, data or b""):
                return
            if data is None:
                self.send_error(404)
                return
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(wanted[1]) if wanted and self.headers.get("If-Range") == '"1"' else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            self.send_header("ETag", '"1"')
            self.end_headers()
            self.wfile.write(data[start:])

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PYBRIDGE_CACHE", str(folder))
    monkeypatch.delenv("PYBRIDGE_MIRROR", raising=False)
    return folder


def layer(name: str, class_name: str, inputs: tuple[str, ...] = (), **config: Any) -> dict[str, Any]:
    """Describe a layer in the style of Keras 2."""
    nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


@pytest.fixture
def residual() -> LayersModel:
    """Image (8, 8, 3) -> conv a -> [conv b + identity] -> relu -> pool -> Dense(2)."""
    generator = np.random.default_rng(0)

    def conv(name: str, source: str) -> dict[str, Any]:
        return layer(name, "Conv2D", (source,), filters=3, kernel_size=[3, 3], padding="same", use_bias=False)

    layers = [
        layer("image", "InputLayer", batch_input_shape=[None, 8, 8, 3], dtype="float32"),
        conv("a", "image"),
        conv("b", "a"),
        layer("add", "Add", ("a", "b")),
        layer("relu", "ReLU", ("add",), max_value=6),
        layer("pool", "GlobalAveragePooling2D", ("relu",)),
        layer("out", "Dense", ("pool",), units=2, activation="softmax"),
    ]
    config = {"name": "small", "layers": layers, "input_layers": [["image", 0, 0]], "output_layers": [["out", 0, 0]]}
    shapes = {"a/kernel": (3, 3, 3, 3), "b/kernel": (3, 3, 3, 3), "out/kernel": (3, 2), "out/bias": (2,)}
    weights = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return LayersModel({"class_name": "Functional", "config": config}, weights)
