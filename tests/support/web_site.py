"""A real web server on loopback that serves files with ETag and Range, and answers otherwise where a test asks for it."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

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


@contextlib.contextmanager
def serve_files(root: Path) -> Iterator[Site]:
    state = Site(root)
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
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
