from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pybridge.rpc.runner import Runner

REPOSITORY = Path(__file__).resolve().parents[2]
MAIN_JS = REPOSITORY / "node_runner" / "main.js"


@dataclass(frozen=True)
class PlainNode:
    """A Node.js without TensorFlow, which the pipe does not need."""

    node: Path
    main_js: Path = MAIN_JS

    def environment(self) -> dict[str, str]:
        return {}


@pytest.fixture(scope="session")
def node() -> Path:
    found = shutil.which("node")
    if found is None:
        pytest.skip("the tests of the pipe need node on PATH")
    return Path(found)


@pytest.fixture
def plain_node(node: Path) -> PlainNode:
    return PlainNode(node)


@pytest.fixture
def runner(plain_node: PlainNode) -> Iterator[Runner]:
    with Runner(plain_node) as running:
        yield running


@pytest.fixture
def run_js(runner: Runner, tmp_path: Path) -> Callable[..., Any]:
    """Run the body of an async JavaScript function, whose arguments are ``args``, in the runner."""
    written: dict[str, Path] = {}

    def run(body: str, *args: Any, **options: Any) -> Any:
        return runner.call("script.call", script(body, *args), **options)

    def script(body: str, *args: Any) -> dict[str, Any]:
        if body not in written:
            path = tmp_path / f"script{len(written)}.js"
            path.write_text(f"exports.main = async function (...args) {{\n{body}\n}};\n")
            written[body] = path
        path = written[body]
        return {"path": str(path), "function": "main", "args": list(args)}

    run.script = script  # type: ignore[attr-defined]
    return run


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Poll until a condition holds; fail after ten seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true within 10 s"

    return wait
