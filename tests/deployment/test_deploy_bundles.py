"""The package in bundles: pages of bundlers in a real browser, traced copies, and single files."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from service_project import HERE, Project, install

import pybridge as pb
from pybridge.deployment import DeployedPackage
from pybridge.runtime import Runtime

pytestmark = pytest.mark.slow

TOOLS = ("esbuild@0.28.2", "vite@6.4.1", "@vercel/nft@0.29.4", "playwright-core@1.65.1")


@pytest.fixture(scope="module")
def project(package: DeployedPackage, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the package installed, and bundlers."""
    made = install(package.path, runtime, tmp_path_factory.mktemp("bundles") / "project", *TOOLS)
    random = np.random.default_rng(7)
    Image.fromarray(random.integers(0, 256, (50, 70, 3)).astype(np.uint8)).save(made.folder / "photo.png")
    return made


@pytest.fixture(scope="module")
def expected(trained: pb.ImageClassifier, project: Project) -> dict[str, float]:
    (row,) = trained.predict_proba([project.folder / "photo.png"])
    return dict(zip(trained.class_names_, row.tolist(), strict=True))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def shown(project: Project, folder: Path) -> Any:
    """What a page says in `globalThis.found`, in a browser."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    shutil.copy(project.folder / "photo.png", folder / "photo.png")
    with served(folder) as url:
        return json.loads(project.node(HERE / "open_bundle.js", {"url": url, "browser": browser}))


def as_dict(answers: Any) -> dict[str, float]:
    return {each["label"]: each["probability"] for each in answers}


PAGE = """import {{ load }} from 'classifier';
globalThis.found = load({options}).then(async (classifier) => {{
  const answers = await classifier.classify(await fetch('photo.png'));
  return {{ answers, runtime: classifier.runtime }};
}});
"""


def test_a_page_that_vite_built_answers_as_python(project: Project, expected: dict[str, float]) -> None:
    (project.folder / "index.html").write_text('<!doctype html><title>x</title><script type="module" src="/main.js"></script>')
    (project.folder / "main.js").write_text(PAGE.format(options=""))
    project.tool("vite", "build", "--logLevel", "error", "--base", "./")
    found = shown(project, project.folder / "dist")
    assert as_dict(found["answers"]) == pytest.approx(expected, abs=1e-3)


def test_a_page_that_esbuild_built_is_told_where_the_files_are(project: Project, expected: dict[str, float]) -> None:
    site = project.folder / "site"
    site.mkdir()
    (project.folder / "page.js").write_text(PAGE.format(options="{ folder: 'classifier' }"))
    project.tool("esbuild", "page.js", "--bundle", "--platform=browser", f"--outfile={site / 'page.js'}", "--log-level=error")
    (site / "index.html").write_text('<!doctype html><title>x</title><script src="page.js"></script>')
    shutil.copytree(project.folder / "node_modules" / "classifier", site / "classifier")
    assert as_dict(shown(project, site)["answers"]) == pytest.approx(expected, abs=1e-3)


TRACE = """const { nodeFileTrace } = require('@vercel/nft');
nodeFileTrace(['server.js'], { base: process.cwd() }).then(({ fileList }) => console.log(JSON.stringify([...fileList])));
"""


def test_the_files_that_a_tracer_finds_are_enough(project: Project, expected: dict[str, float], tmp_path: Path) -> None:
    (project.folder / "server.js").write_text(
        "require('classifier').load({ runtime: 'wasm' }).then((classifier) => classifier.classify(process.argv[2]))"
        ".then((answers) => (console.log(JSON.stringify(answers)), process.exit()));\n"
    )
    (project.folder / "trace.js").write_text(TRACE)
    files = json.loads(project.node("trace.js").splitlines()[-1])
    assert "node_modules/@tensorflow/tfjs-backend-wasm/package.json" in files
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project.folder / name, tmp_path / name)
    assert not (tmp_path / "node_modules" / "classifier" / "README.md").exists()
    assert as_dict(asked(project, tmp_path, "server.js")) == pytest.approx(expected, abs=1e-5)


def test_one_file_with_the_package_beside_it_answers(project: Project, expected: dict[str, float], tmp_path: Path) -> None:
    (project.folder / "single.js").write_text(
        "require('classifier').load({ folder: __dirname + '/classifier' })"
        ".then((classifier) => classifier.classify(process.argv[2]))"
        ".then((answers) => (console.log(JSON.stringify(answers)), process.exit()));\n"
    )
    built = f"--outfile={tmp_path / 'single.js'}"
    project.tool("esbuild", "single.js", "--bundle", "--platform=node", built, "--log-level=error")
    source = project.folder / "node_modules" / "classifier"
    shutil.copytree(source / "model", tmp_path / "classifier" / "model")
    shutil.copy(source / "manifest.json", tmp_path / "classifier")
    assert as_dict(asked(project, tmp_path, "single.js")) == pytest.approx(expected, abs=1e-5)


def asked(project: Project, folder: Path, script: str) -> Any:
    """What a script says of the photo, run where nothing but the files of its folder are."""
    command = [str(project.runtime.node), script, str(project.folder / "photo.png")]
    env = {"PATH": os.environ["PATH"], "NODE_PATH": ""}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
