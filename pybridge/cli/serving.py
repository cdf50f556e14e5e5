"""The verb that serves models over HTTP."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from pybridge.cli.common import Verbs, answer, set_up

_LIMITS = {
    "max_batch": "images in one call of the model (default 16)",
    "batch_delay": "milliseconds that a busy model collects a batch (default 5)",
    "max_queue": "images that wait; more are answered with 429 (default 512)",
    "max_body": "bytes of one request (default 33554432)",
    "max_memory": "bytes of all requests under way (default 268435456)",
    "max_images": "images in one request (default 64)",
    "max_pixels": "of one picture (default 50000000)",
    "max_connections": "open at the same time (default 1024)",
    "request_timeout": "seconds for an answer (default 30)",
    "body_timeout": "seconds to send a request (default 30)",
    "drain_timeout": "seconds for what is under way at the end (default 30)",
    "reload": "seconds between looks for new versions; 0 never looks (default 10)",
}


def add(verbs: Verbs) -> None:
    """Declares the verb of this file."""
    serving = verbs.add(
        "serve",
        _serve,
        "answer over HTTP: TensorFlow Serving's REST API, KServe's protocol v2, and plain images",
        "pybridge serve run\ncurl --data-binary @photo.jpg localhost:8501/classify\npybridge serve cats=run1 dogs=run2",
    )
    serving.add_argument("models", nargs="+", metavar="RUN", help="a run, or a deployed package; NAME=RUN for each of several")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: only this machine)")
    serving.add_argument("--port", type=int, default=8501, metavar="N", help="0 lets the system choose (default 8501)")
    serving.add_argument("--workers", type=int, default=1, metavar="N", help="processes that compute, for each model (default 1)")
    serving.add_argument(
        "--token-file", type=Path, metavar="FILE", help="the bearer token that clients must send; or set PYBRIDGE_TOKEN"
    )
    serving.add_argument("--runtime", choices=("auto", "tfjs-node", "wasm", "cpu"), help="instead of the TensorFlow of Python")
    serving.add_argument(
        "--log-level", default="info", choices=("fatal", "error", "warn", "info", "debug", "silent"), help="default info"
    )
    serving.add_argument("--images", type=Path, metavar="FOLDER", help="photos to prove parity on, where the run has no proof")
    serving.add_argument("--force", action="store_true", help="serve a run where parity failed or was not measured")
    for name, text in _LIMITS.items():
        serving.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="N", help=text)


def _serve(options: argparse.Namespace) -> int:
    set_up()
    from pybridge.deployment.server import named_models, serve

    server = serve(
        named_models(options.models),
        host=options.host,
        port=options.port,
        workers=options.workers,
        token_file=options.token_file,
        runtime=options.runtime,
        log_level=options.log_level,
        images=options.images,
        force=options.force,
        limits={name: getattr(options, name) for name in _LIMITS if getattr(options, name) is not None},
    )
    with server:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: server.signal(signal.Signals(received)))
        facts = {"url": server.url, "port": server.port, "pid": server.pid, "models": list(server.models)}
        answer(options, facts, f"Ready at {server.url} with {', '.join(server.models)}")
        return server.wait()
