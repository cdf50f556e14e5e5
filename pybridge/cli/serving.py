"""The verb that serves models over HTTP."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from pybridge.cli.common import Verbs, answer, set_up
from pybridge.deployment.server_options import server_options


def add(verbs: Verbs) -> None:
    """Declares the verb of this file."""
    known = server_options()
    serving = verbs.add(
        "serve",
        _serve,
        "answer over HTTP: TensorFlow Serving's REST API, KServe's protocol v2, and plain images",
        "pybridge serve run\ncurl --data-binary @photo.jpg localhost:8501/classify\npybridge serve cats=run1 dogs=run2",
    )
    serving.add_argument(
        "models", nargs="+", metavar="RUN", help="a run, a deployed package, or a model; NAME=RUN for each of several"
    )
    serving.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: only this machine)")
    for name in ("port", "workers"):
        option = known.numbers[name]
        help_text = f"{option.help} (default {option.default})"
        serving.add_argument(option.flag, type=int, default=option.default, metavar="N", help=help_text)
    serving.add_argument(
        "--token-file", type=Path, metavar="FILE", help="the bearer token that clients must send; or set PYBRIDGE_TOKEN"
    )
    serving.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that clients may call it by, where it listens on this machine only; several times for several",
    )
    serving.add_argument(
        "--cors",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="an origin whose web pages may use it, such as https://shop.example; * for any; several times for several",
    )
    serving.add_argument(
        "--canary",
        action="append",
        default=[],
        metavar="NAME@VERSION=PERCENT",
        help="a version that answers so many of a hundred requests beside the newest other one, such as pets@3=10",
    )
    serving.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="NAME@LABEL=VERSION",
        help="a name for a version, which is loaded too: /v1/models/NAME/labels/LABEL; several times for several",
    )
    serving.add_argument("--runtime", choices=known.runtimes, help="instead of the TensorFlow of Python")
    serving.add_argument("--log-level", default="info", choices=known.log_levels, help="default info")
    serving.add_argument("--images", type=Path, metavar="FOLDER", help="photos to prove parity on, where the run has no proof")
    serving.add_argument("--force", action="store_true", help="serve a run where parity failed or was not measured")
    for option in known.limits.values():
        serving.add_argument(option.flag, type=float, metavar="N", help=f"{option.help} (default {option.default})")


def _serve(options: argparse.Namespace) -> int:
    set_up()
    from pybridge.deployment.server import named_models, serve

    server = serve(
        named_models(options.models),
        host=options.host,
        port=options.port,
        workers=options.workers,
        token_file=options.token_file,
        allow_hosts=options.allow_host,
        cors=options.cors,
        canary=options.canary,
        labels=options.label,
        runtime=options.runtime,
        log_level=options.log_level,
        images=options.images,
        force=options.force,
        limits={name: getattr(options, name) for name in server_options().limits if getattr(options, name) is not None},
    )
    with server:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: server.signal(signal.Signals(received)))
        facts = {"url": server.url, "port": server.port, "pid": server.pid, "models": list(server.models)}
        answer(options, facts, f"Ready at {server.url} with {', '.join(server.models)}")
        return server.wait()
