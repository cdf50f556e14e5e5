"""Somebody's Node service, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.data import Preprocessing
from pybridge.runtime import Runtime
from pybridge.runtime.find_node import find_node
from pybridge.runtime.npm_packages import find_npm

HERE = Path(__file__).parent

Prepare = Callable[[Sequence[Path], Sequence[Preprocessing]], dict[str, Any]]
"""From files and preprocessings to the hashes of the model's inputs."""


class Project:
    """A folder of somebody's Node service."""

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self.folder = folder
        self.runtime = runtime
        folder.mkdir()
        (folder / "package.json").write_text(json.dumps({"name": "service", "version": "1.0.0", "private": True}))

    @property
    def path(self) -> str:
        """What `PATH` is for its commands: the Node.js of the tests comes first."""
        return f"{self.runtime.node.parent}{os.pathsep}{os.environ['PATH']}"

    def npm_command(self, *arguments: object) -> list[str]:
        npm = find_npm(find_node())
        return [str(npm.node), str(npm.cli_js), *map(str, arguments)]

    def npm(self, *arguments: object) -> str:
        return self._run([*self.npm_command(*arguments), "--no-audit", "--no-fund", "--silent"])

    def node(self, script: Path | str, given: Any = None, *arguments: object, **env: str) -> str:
        return self._run([str(self.runtime.node), str(script), *map(str, arguments)], json.dumps(given), **env)

    def tool(self, name: str, *arguments: object) -> str:
        return self._run([str(self.folder / "node_modules" / ".bin" / name), *map(str, arguments)])

    def _run(self, command: list[str], given: str = "", **env: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            input=given,
            capture_output=True,
            text=True,
            timeout=280,
            env={**os.environ, "PATH": self.path, "NODE_PATH": "", **env},
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


def install(path: Path, runtime: Runtime, folder: Path, *more: str) -> Project:
    """Packs a package and installs the tarball and TensorFlow.js without native code."""
    project = Project(folder, runtime)
    project.npm("pack", path, "--pack-destination", folder)
    (tarball,) = folder.glob("*.tgz")
    tensorflow = [f"@tensorflow/{name}@4.22.0" for name in ("tfjs", "tfjs-backend-wasm")]
    project.npm("install", "--ignore-scripts", tarball, *tensorflow, *more)
    return project


def classify(
    project: Project,
    files: list[Path],
    native: str | None = None,
    *,
    package: str = "classifier",
    env: dict[str, str] | None = None,
    **options: Any,
) -> Any:
    """Answers of the installed package, or of that in a folder, for files; with ``native``, on Python's TensorFlow."""
    given = {"files": [str(file) for file in files], "options": options, "native": native, "package": package}
    runtime = project.runtime
    if native:
        env = {**runtime.environment(), "PYBRIDGE_ADDON": str(runtime.addon), "NODE_PATH": str(runtime.node_modules)}
    return json.loads(project.node(HERE / "classify_files.js", given, **(env or {})))


def probabilities(answers: Any, names: tuple[str, ...]) -> NDArray[np.float32]:
    """What `classify` gave, in the order of the labels."""
    rows = [{answer["label"]: answer["probability"] for answer in found} for found in answers["answers"]]
    return np.array([[row[name] for name in names] for row in rows], np.float32)
