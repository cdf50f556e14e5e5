"""Users' own JavaScript from Node, AsyncNode and NodePool; none of this needs TensorFlow."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pybridge as pb
from pybridge.errors import BridgeError, DataError, NodeCrashedError, RemoteError, SetupError
from pybridge.runtime.bundle import find_bundle
from pybridge.runtime.find_node import find_node, wheel_file

SCRIPT = """
exports.double = (x) => 2 * x;
exports.slow = async (x) => { await new Promise((done) => setTimeout(done, 30 * (3 - x))); return x; };
exports.tell = function () { this.progress('half'); return 'done'; };
exports.fails = (x) => { if (x === 3) throw new Error('three'); return x; };
exports.dies = (x) => { if (x === 3) process.exit(5); return x; };
exports.diesOnce = (x, fs = require('fs')) => {
  if (x.number === 3 && !fs.existsSync(x.mark)) { fs.writeFileSync(x.mark, ''); process.exit(5); }
  return x.number;
};
"""


@dataclass(frozen=True)
class PlainNode:
    """A Node.js without TensorFlow."""

    node: Path
    main_js: Path = find_bundle().node_runner / "main.js"

    def environment(self) -> dict[str, str]:
        return {}


@pytest.fixture(scope="module")
def plain() -> PlainNode:
    return PlainNode(find_node().path)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.js"
    path.write_text(SCRIPT)
    return path


@pytest.fixture
def node(plain: PlainNode, tmp_path: Path) -> Iterator[pb.Node]:
    with pb.Node(runtime=plain, cwd=tmp_path, packages=tmp_path / "packages") as node:
        yield node


@pytest.fixture
def pool(plain: PlainNode) -> Iterator[pb.NodePool]:
    with pb.NodePool(2, runtime=plain) as pool:
        yield pool


def test_a_project_has_its_own_folder(node: pb.Node, script: Path) -> None:
    modules = script.parent / "node_modules" / "greet"
    modules.mkdir(parents=True)
    (modules / "index.js").write_text("module.exports = (name) => `hello ${name}`;")
    (script.parent / "own.js").write_text("exports.where = () => [process.cwd(), require('greet')('Ann')];")
    assert node.call("own.js", "where") == [str(script.parent.resolve()), "hello Ann"]
    assert node.call("script.js", "double", 4) == 8
    assert node.require("greet")("Bob") == "hello Bob"
    assert node.require("./script.js").double(2) == 4


def test_a_folder_that_there_is_not_is_named(plain: PlainNode, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"), pb.Node(runtime=plain, cwd=tmp_path / "nowhere"):
        pass


def test_expressions_and_globals(node: pb.Node) -> None:
    assert node.evaluate("await Promise.resolve(a + b)", a=1, b=2) == 3
    assert node.globals.JSON.stringify({"a": [1, None]}) == '{"a":[1,null]}'


def test_progress_is_told(node: pb.Node, script: Path) -> None:
    seen: list[Any] = []
    assert node.call(script, "tell", on_progress=seen.append) == "done"
    assert seen == ["half"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "arrow.mjs",
            "import { context } from 'pybridge'; export const tell = async () => { await null; context.progress(1); };",
        ),
        (
            "arrow.js",
            "const { context } = require('pybridge'); exports.tell = () => context.progress(context.signal.aborted ? 0 : 1);",
        ),
    ],
)
def test_arrow_functions_import_what_they_run_in(node: pb.Node, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    seen: list[Any] = []
    node.call(name, "tell", on_progress=seen.append)
    assert seen == [1]


def test_the_context_is_known_within_a_call_only(node: pb.Node, tmp_path: Path) -> None:
    (tmp_path / "early.mjs").write_text("import { context } from 'pybridge'; context.progress(1); export const x = () => 1;")
    with pytest.raises(RemoteError, match="only while Python waits for a call"):
        node.import_module("./early.mjs")


def test_typescript_runs_where_node_removes_its_types(tmp_path: Path) -> None:
    (tmp_path / "typed.ts").write_text("export const double = (x: number): number => 2 * x;")
    newest = wheel_file("bin/node")
    assert newest is not None
    with pb.Node(runtime=PlainNode(newest), cwd=tmp_path) as node:
        assert node.call("typed.ts", "double", 4) == 8


def test_where_it_does_not_that_is_said(plain: PlainNode, tmp_path: Path) -> None:
    (tmp_path / "typed.ts").write_text("export const double = (x: number): number => 2 * x;")
    with pb.Node(runtime=plain, cwd=tmp_path) as node:
        if node.evaluate("!!process.features.typescript"):
            pytest.skip("this Node.js removes types")
        with pytest.raises(RemoteError, match=r"typed\.ts is TypeScript, which this Node\.js"):
            node.call("typed.ts", "double", 4)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry on this machine that has one package, whose install script leaves a file."""
    manifest = {"name": "greet", "version": "1.2.3", "scripts": {"install": "node -e \"require('fs').writeFileSync('ran', '')\""}}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, text in (("package.json", json.dumps(manifest)), ("index.js", "module.exports = (name) => `hello ${name}`;")):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    content = archive.getvalue()

    class Registry(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = f"http://127.0.0.1:{self.server.server_address[1]}/greet.tgz"
            digest = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
            version = {**manifest, "dist": {"tarball": address, "integrity": digest}}
            document = {"name": "greet", "dist-tags": {"latest": "1.2.3"}, "versions": {"1.2.3": version}}
            answer = content if self.path == "/greet.tgz" else json.dumps(document).encode()
            self.send_response(200 if self.path in {"/greet", "/greet.tgz"} else 404)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_address[1]}/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("registry")
@pytest.mark.slow
def test_packages_are_installed_with_a_lock_and_without_scripts(node: pb.Node, tmp_path: Path) -> None:
    modules = node.install("greet@1.2.3")
    assert modules == tmp_path / "packages" / "node_modules"
    assert not (modules / "greet" / "ran").exists()
    locked = json.loads((tmp_path / "packages" / "package-lock.json").read_text())
    assert locked["packages"]["node_modules/greet"]["version"] == "1.2.3"
    assert node.require("greet")("Ann") == "hello Ann"
    assert node.import_module("greet").default("Bob") == "hello Bob"
    (tmp_path / "s.js").write_text("exports.f = () => require('greet')('C');")
    (tmp_path / "s.mjs").write_text("import greet from 'greet'; export const f = () => greet('D');")
    assert [node.call("s.js", "f"), node.call("s.mjs", "f")] == ["hello C", "hello D"]
    with pytest.raises(SetupError, match="npm could not install greet@9"):
        node.install("greet@9")


@pytest.mark.parametrize("name", ["--global", "/etc", "./folder", "https://example.org/a.tgz", "git+ssh://h/a", "user/project"])
def test_only_packages_of_the_registry_are_installed(node: pb.Node, name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a package"):
        node.install(name)


def test_results_come_in_order(pool: pb.NodePool, script: Path) -> None:
    assert list(pool.map(script, "slow", range(3))) == [0, 1, 2]
    assert list(pool.map(script, "double", range(100))) == [2 * number for number in range(100)]


def test_results_come_as_they_are_ready(pool: pb.NodePool, script: Path) -> None:
    assert sorted(pool.map(script, "slow", range(3), ordered=False)) == [0, 1, 2]


def test_items_are_taken_only_a_little_ahead(pool: pb.NodePool, script: Path) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = pool.map(script, "double", items())
    assert [next(results), next(results)] == [0, 2]
    results.close()  # type: ignore[attr-defined]
    assert len(taken) < 20
    assert not [thread for thread in threading.enumerate() if thread.name == "pybridge-pool"]


def test_an_error_is_raised_in_its_place(pool: pb.NodePool, script: Path) -> None:
    results = pool.map(script, "fails", range(50))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RemoteError, match="three"):
        next(results)


def test_what_the_items_raise_is_raised(pool: pb.NodePool, script: Path) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        list(pool.map(script, "double", items()))


def test_an_item_whose_process_died_is_tried_again(pool: pb.NodePool, script: Path, tmp_path: Path) -> None:
    items = [{"number": number, "mark": str(tmp_path / "mark")} for number in range(6)]
    assert list(pool.map(script, "diesOnce", items)) == list(range(6))


def test_an_item_that_kills_twice_is_named(pool: pb.NodePool, script: Path) -> None:
    with pytest.raises(NodeCrashedError, match=r"Item 3 of the pool ended its Node\.js process twice"):
        list(pool.map(script, "dies", range(6)))
    assert list(pool.map(script, "double", [1])) == [2]


def test_a_pool_follows_the_cores(plain: PlainNode) -> None:
    with pb.NodePool(runtime=plain) as pool:
        assert len(pool.nodes) >= 1
    with pytest.raises(ValueError, match="workers must be at least 1"):
        pb.NodePool(0)


def test_calls_are_awaited(plain: PlainNode, script: Path) -> None:
    async def main() -> None:
        async with pb.AsyncNode(runtime=plain) as node:
            answers = await asyncio.gather(*(node.call(script, "double", number) for number in range(200)))
            assert answers == [2 * number for number in range(200)]
            seen: list[Any] = []
            assert await node.call(script, "tell", on_progress=seen.append) == "done"
            assert seen == ["half"]
        with pytest.raises(BridgeError, match="closed"):
            await node.call(script, "double", 1)

    asyncio.run(main())
