"""Runs a model in a real browser without a window, through a page that a server in this process serves to it alone.

No driver is needed: the page fetches the model and the inputs, and posts the outputs back.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import BridgeError, CallTimeoutError
from pybridge.runtime.commands import ending_with_python

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
_SECONDS = 180.0
_MOST_BYTES = 2**30

_FLAGS = (
    "--headless=new",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--mute-audio",
    # WebGL on machines without a graphics processor.
    "--ignore-gpu-blocklist",
    "--enable-unsafe-swiftshader",
)
_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>pybridge</title>
<script src="tfjs/dist/tf.min.js"></script>
<script src="wasm/dist/tf-backend-wasm.min.js"></script>
<script src="browser.js"></script>
"""
_TYPES = {".html": "text/html", ".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm"}


def find_browser() -> str | None:
    """The browser that ``PYBRIDGE_BROWSER`` names, else a Chromium or Chrome on PATH; None where there is none."""
    chosen = os.environ.get("PYBRIDGE_BROWSER")
    if chosen:
        return shutil.which(chosen)
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return found or (_MAC if os.access(_MAC, os.X_OK) else None)


@dataclass
class BrowserOutputs:
    """What the page posted.

    Attributes:
        batches: For each batch one array for each output.
        seconds: For the computation.
        bits: Of the floating-point numbers that it computed with.
        note: Which graphics processor, or how many threads.
    """

    batches: list[list[NDArray[Any]]] = field(default_factory=list)
    seconds: float = 0.0
    bits: int = 32
    note: str | None = None


class Browser:
    """A browser that is started for one model and ended after it.

    Args:
        packages: The ``node_modules`` with TensorFlow.js.
        model: The folder of a ``model.json``.
        profile: An empty folder for the browser's own files.
        seconds: After so long the browser is ended.
    """

    def __init__(self, packages: Path, model: Path, profile: Path, seconds: float = _SECONDS) -> None:
        self._packages = packages
        self._model = model
        self._profile = profile
        self._seconds = seconds

    def run(self, backend: str, kind: str, batches: Sequence[Sequence[NDArray[Any]]]) -> BrowserOutputs:
        """Computes the model's outputs for some batches.

        Args:
            backend: ``webgl`` or ``wasm``.
            kind: ``layers`` or ``graph``.
            batches: The model's inputs, batch by batch.

        Raises:
            BridgeError: There is no browser, it does not start, or the page failed; with what it said.
            CallTimeoutError: It took too long.
        """
        program = find_browser()
        if program is None:
            raise BridgeError("No Chromium or Chrome was found", hint="Install one, or name it in PYBRIDGE_BROWSER.")
        state = _Exchange(self._files(), self._model, backend, kind, batches)
        with contextlib.ExitStack() as stack:
            server = _Server(("127.0.0.1", 0), _handler(state))
            stack.callback(server.server_close)
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(server.shutdown)
            log = stack.enter_context((self._profile / "browser.log").open("w+b"))
            address = f"http://127.0.0.1:{server.server_address[1]}/{state.secret}/page.html"
            guard = stack.enter_context(ending_with_python())
            child = self._start(program, address, log)
            stack.callback(_end, child)
            guard(child)
            # Ends the wait when the browser dies before it answers.
            threading.Thread(target=_notice_end, args=(child, state.finished), daemon=True).start()
            if not state.finished.wait(self._seconds):
                raise CallTimeoutError(f"{Path(program).name} did not answer within {self._seconds:g} seconds")
            if state.error is not None:
                raise BridgeError(f"in {Path(program).name}: {state.error}")
            if not state.complete:
                log.seek(0)
                tail = log.read()[-1500:].decode("utf-8", "replace").strip()
                raise BridgeError(f"{Path(program).name} ended with code {child.returncode} before it answered:\n{tail}")
        return state.outputs

    def _files(self) -> dict[str, Path]:
        return {"tfjs": self._packages / "@tensorflow" / "tfjs", "wasm": self._packages / "@tensorflow" / "tfjs-backend-wasm"}

    def _start(self, program: str, address: str, log: Any) -> subprocess.Popen[bytes]:
        # Chromium's sandbox does not work for root, as in containers.
        root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [program, *_FLAGS, *root, f"--user-data-dir={self._profile}", address]
        try:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        except OSError as error:
            raise BridgeError(f"{program} does not start: {error.strerror or error}") from error


class _Exchange:
    """What the page asks for and answers; shared with the server's threads."""

    def __init__(
        self, files: dict[str, Path], model: Path, backend: str, kind: str, batches: Sequence[Sequence[NDArray[Any]]]
    ) -> None:
        # Other users of the machine reach the port, but do not know the path.
        self.secret = secrets.token_urlsafe(16)
        self.finished = threading.Event()
        self.complete = False
        self.error: str | None = None
        self.outputs = BrowserOutputs()
        self.places = {**files, "model": model}
        self.batches = batches
        self.description = {
            "backend": backend,
            "kind": kind,
            "layerClasses": (model / "pybridge-layers.js").is_file(),
            "batches": [
                [{"shape": list(value.shape), "dtype": "int32" if value.dtype.kind in "iub" else "float32"} for value in batch]
                for batch in batches
            ],
        }

    def content(self, path: str) -> tuple[bytes, str] | None:
        """A file for the page and its type; None where there is none."""
        first, _, rest = path.partition("/")
        if path == "task.json":
            return json.dumps(self.description).encode(), "application/json"
        if path == "page.html":
            return _PAGE.encode(), "text/html"
        if path == "browser.js":
            return resources.files("pybridge.parity").joinpath(path).read_bytes(), _TYPES[".js"]
        if first == "inputs":
            number, position = (int(part) for part in rest.split("/"))
            value = self.batches[number][position]
            return value.astype(np.int32 if value.dtype.kind in "iub" else np.float32).tobytes(), "application/octet-stream"
        if first in self.places:
            folder = self.places[first].resolve()
            file = (folder / rest).resolve()
            if file.is_relative_to(folder) and file.is_file():
                return file.read_bytes(), _TYPES.get(file.suffix, "application/octet-stream")
        return None

    def take(self, path: str, body: bytes) -> None:
        """What the page posted."""
        if path == "error":
            self.error = body.decode("utf-8", "replace")[:2000]
            self.finished.set()
        elif path == "done":
            facts = json.loads(body)
            self.outputs.seconds, self.outputs.bits, self.outputs.note = facts["seconds"], facts["bits"], facts["note"]
            self.complete = True
            self.finished.set()
        else:
            _, number, _position, dtype, shape = path.split("/")
            sizes = [int(size) for size in shape.split("x") if size]
            while len(self.outputs.batches) <= int(number):
                self.outputs.batches.append([])
            array = np.frombuffer(body, np.int32 if dtype == "int32" else np.float32).reshape(sizes)
            self.outputs.batches[int(number)].append(array)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A browser that is ended resets its connections, which is no news to anybody."""


def _handler(exchange: _Exchange) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                found = exchange.content(self._path().partition("?")[0])
            except (ValueError, IndexError, OSError):
                found = None
            if found is None:
                self._answer(404, b"", "text/plain")
            else:
                self._answer(200, *found)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            path = self._path()
            if not path or length > _MOST_BYTES:
                return self._answer(404, b"", "text/plain")
            body = self.rfile.read(length)
            self._answer(200, b"", "text/plain")
            try:
                exchange.take(path, body)
            except (ValueError, KeyError, TypeError) as error:
                exchange.error = f"the page posted what cannot be read: {error}"
                exchange.finished.set()

        def log_message(self, *_: Any) -> None:
            return None

        def _path(self) -> str:
            start = f"/{exchange.secret}/"
            return self.path[len(start) :] if self.path.startswith(start) else ""

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            # Both are what lets a page use threads in WebAssembly.
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)

    return Handler


def _notice_end(child: subprocess.Popen[bytes], finished: threading.Event) -> None:
    child.wait()
    finished.set()


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
