"""Serves runs and packages over HTTP: a Node.js process that lives as long as this one wants."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from pybridge.deployment.documents import package_name
from pybridge.deployment.manifest import is_own
from pybridge.deployment.model_package import is_model, newest_saved_model
from pybridge.deployment.package import deploy
from pybridge.deployment.server_options import server_options
from pybridge.errors import BridgeError, DataError, SetupError
from pybridge.runtime import Runtime, ensure
from pybridge.runtime.bundle import find_bundle
from pybridge.training.run_directory import RUN_FILE

_MISUSED = 2
_TAIL_LINES = 40
_CHUNK_BYTES = 64 * 1024

Models = str | Path | Mapping[str, str | Path]
"""A run or a package, or several by name."""


class Server:
    """A running server; made by `serve`. As a context manager it is closed in the end.

    Attributes:
        url: Where it listens, such as ``http://127.0.0.1:8501``.
        port: Its port.
        pid: The process id of Node.js.
        models: The names of its models.
    """

    def __init__(
        self, child: subprocess.Popen[bytes], cleanup: contextlib.ExitStack, output: _Output, facts: Mapping[str, Any]
    ) -> None:
        self._child = child
        self._output = output
        self._finalizer = weakref.finalize(self, _end, child, cleanup)
        self.url = str(facts["url"])
        self.port = int(facts["port"])
        self.pid = child.pid
        self.models = tuple(str(name) for name in facts["models"])

    def close(self, timeout: float = 60.0) -> int:
        """Answers what was accepted, then ends the server; after ``timeout`` seconds by force.

        Returns:
            Its exit code: 0 where everything was answered.
        """
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout)
        self._finalizer()
        self._output.join()
        return self._child.returncode

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal: SIGTERM ends it, SIGHUP lets it look for new versions."""
        if self._child.poll() is None:
            self._child.send_signal(number)

    def wait(self, timeout: float | None = None) -> int:
        """Waits until the server ends by itself, and gives its exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs after ``timeout`` seconds.
        """
        return self._child.wait(timeout)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def serve(
    models: Models,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    workers: int = 1,
    token: str | None = None,
    token_file: str | Path | None = None,
    allow_hosts: Sequence[str] = (),
    cors: Sequence[str] = (),
    canary: Sequence[str] = (),
    labels: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
    runtime: str | None = None,
    log_level: str = "warn",
    images: Any = None,
    force: bool = False,
    startup_timeout: float = 300.0,
) -> Server:
    """Starts a server for image classifiers and other models, and returns once it answers.

    It speaks TensorFlow Serving's REST API, KServe's protocol v2, and takes images at ``/classify``; ``/openapi.json`` has all.
    Runs are deployed into a temporary folder first, with the SavedModel form, so that they answer with the bits of training.

    Args:
        models: A run directory, a deployed package, a folder with packages or SavedModels named ``1``, ``2``, ..., or any model
            that `Node.load_model` opens; or several by name.
        host: The address to listen on; only this machine reaches the default.
        port: 0 lets the system choose.
        workers: Processes that compute, for each model.
        token: What clients must send as bearer token; anybody is answered without.
        token_file: A file with the token instead.
        allow_hosts: Names that clients may call the server by, in the header ``Host``. On a loopback address only those of this
            machine are answered else, so that no web page can lead a name of its own there; on others any name, unless some
            are given.
        cors: Origins whose web pages may use it, such as ``https://shop.example``; ``*`` for any.
        canary: ``NAME@VERSION=PERCENT``: a version of a model that answers so many of a hundred requests, such as ``pets@3=10``,
            beside the newest other one.
        labels: ``NAME@LABEL=VERSION``: names of versions, which are then loaded beside the newest.
        limits: Any of those that ``pybridge serve --help`` lists, such as ``{"max_body": 1_000_000, "request_timeout": 5}``.
        runtime: ``auto``, ``tfjs-node``, ``wasm`` or ``cpu``; by default the TensorFlow that Python imports.
        log_level: Of the JSON lines on stderr: ``info`` has one for each request.
        images: Of a run whose parity was never measured: see `deploy`.
        force: Serve a run where parity failed or was not measured.
        startup_timeout: Seconds until it must answer.

    Raises:
        DataError: A model, an address or a limit cannot be used.
        ParityError: Node and Python disagree about a run, or nobody has compared them.
        SetupError: The server does not start.

    Example:
        >>> with pb.serve("run/") as server:
        ...     requests.post(f"{server.url}/classify", data=Path("photo.jpg").read_bytes()).json()
    """
    options = server_options()
    arguments = ["--host", host, "--log-level", log_level, "--json"]
    arguments += [*options.numbers["port"].arguments(port), *options.numbers["workers"].arguments(workers)]
    for name, value in (limits or {}).items():
        if name not in options.limits:
            raise DataError(f"There is no limit {name!r}", hint=f"There are {', '.join(options.limits)}.")
        arguments += options.limits[name].arguments(value)
    if token_file is not None:
        arguments += ["--token-file", str(token_file)]
    for flag, given in (("--allow-host", allow_hosts), ("--cors", cors), ("--canary", canary), ("--label", labels)):
        if isinstance(given, str):
            raise DataError(f"{flag} takes several: give a list, such as [{given!r}]")
        arguments += [part for each in given for part in (flag, each)]
    found = ensure()
    main_js = find_bundle().node_runner / "server" / "main.js"
    if runtime is None:
        arguments += ["--tensorflow", str(find_bundle().node_runner / "tensorflow")]
    else:
        arguments += ["--runtime", runtime]
    with contextlib.ExitStack() as stack:
        arguments += _prepare(models, stack, images, force)
        environment = {**os.environ, **found.environment(), **({"PYBRIDGE_TOKEN": token} if token is not None else {})}
        child, output = _start(found, [str(main_js), *arguments], environment, stack)
        facts = _wait_until_ready(child, output, startup_timeout)
        return Server(child, stack.pop_all(), output, facts)


def named_models(texts: Sequence[str]) -> Models:
    """Reads models as they are named on a command line: ``FOLDER``, or ``NAME=FOLDER`` for each of several.

    Example:
        >>> named_models(["cats=runs/1", "dogs=runs/2"])
        {'cats': 'runs/1', 'dogs': 'runs/2'}
    """
    if len(texts) == 1 and (Path(texts[0]).exists() or "=" not in texts[0]):
        return texts[0]
    models: dict[str, str | Path] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals:
            name, folder = _name_of(text), text
        if name in models:
            raise DataError(f"Two models are called {name}", hint="Name them, such as: cats=RUN1 dogs=RUN2")
        models[name] = folder
    return models


def _prepare(models: Models, stack: contextlib.ExitStack, images: Any, force: bool) -> list[str]:
    """Makes packages of runs; gives the server's arguments."""
    if isinstance(models, str | Path):
        models = {_name_of(models): models}
    if not models:
        raise DataError("There is no model to serve")
    arguments = []
    place: Path | None = None
    for name, folder in models.items():
        if not server_options().model_name.fullmatch(name):
            raise DataError(f"{name!r} is not a name for a model", hint="Use letters, digits, hyphens and dots.")
        source = Path(folder).expanduser().absolute()
        newest = newest_saved_model(source)
        if newest is not None or is_model(folder):
            place = place or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pybridge-serve-")))
            dest = place / name if newest is None else place / name / str(int(newest.name))
            deploy(folder if newest is None else newest, dest, name=package_name(name))
            source = place / name
        elif (source / RUN_FILE).is_file():
            place = place or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pybridge-serve-")))
            source = deploy(source, place / name, saved_model=True, name=package_name(name), images=images, force=force).path
        elif not _holds_packages(source):
            raise DataError(
                f"{folder} is neither a run nor a deployed package, nor a model",
                hint="Make one with: pybridge train, pybridge deploy",
            )
        arguments.append(f"{name}={source}")
    return arguments


def _name_of(folder: str | Path) -> str:
    """What a model is called that was given no name: as its folder, where a model may be called so."""
    name = Path(folder).expanduser().absolute().name
    return name if server_options().model_name.fullmatch(name) else package_name(name)


def _holds_packages(folder: Path) -> bool:
    if is_own(folder):
        return True
    return folder.is_dir() and any(each.name.isdigit() and is_own(each) for each in folder.iterdir())


class _Output:
    """What the server writes: its logs go to this process's stderr, other words are kept for an error."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._stream = stream
        self._thread = threading.Thread(target=self._forward, name="pybridge-server-log", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits until all is written; a grandchild may hold the stream open."""
        self._thread.join(1)

    def _forward(self) -> None:
        with self._stream:
            for line in self._stream:
                if not line.startswith(b"{"):
                    self.tail.append(line.decode("utf-8", "replace").rstrip())
                    continue
                with contextlib.suppress(OSError):
                    os.write(2, line)


def _start(
    runtime: Runtime, arguments: Sequence[str], environment: Mapping[str, str], stack: contextlib.ExitStack
) -> tuple[subprocess.Popen[bytes], _Output]:
    lifeline_read, lifeline = os.pipe()
    stack.callback(os.close, lifeline)
    try:
        child = subprocess.Popen(
            [str(runtime.node), *arguments, "--lifeline", str(lifeline_read)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(lifeline_read,),
            env=environment,
            # Ctrl-C in a terminal reaches Python alone, which then ends the server in order.
            start_new_session=True,
        )
    finally:
        os.close(lifeline_read)
    assert child.stdout is not None
    assert child.stderr is not None
    stack.callback(child.stdout.close)
    stack.callback(_kill, child)
    return child, _Output(child.stderr)


def _wait_until_ready(child: subprocess.Popen[bytes], output: _Output, timeout: float) -> dict[str, Any]:
    assert child.stdout is not None
    text = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while not text.endswith(b"\n"):
            if not selector.select(timeout):
                raise SetupError(
                    f"The server did not answer within {timeout:g} s", hint="A large model may need a larger startup_timeout."
                )
            chunk = os.read(child.stdout.fileno(), _CHUNK_BYTES)
            if not chunk:
                raise _failure(child, output)
            text += chunk
    facts: dict[str, Any] = json.loads(text)
    return facts


def _failure(child: subprocess.Popen[bytes], output: _Output) -> BridgeError:
    code = child.wait(5)
    output.join()
    words = " ".join(output.tail) or f"The server ended with {code} and said nothing"
    return DataError(words) if code == _MISUSED else SetupError(words)


def _end(child: subprocess.Popen[bytes], cleanup: contextlib.ExitStack) -> None:
    """Runs at the latest when Python exits; must not refer to the server."""
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(5)
    cleanup.close()


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
    child.wait()
