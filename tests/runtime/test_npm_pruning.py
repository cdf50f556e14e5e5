"""Of the npm packages stays what the runner loads."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pybridge.runtime.npm_pruning import loaded_packages, prune

LOCK = Path(__file__).parents[2] / "package-lock.json"


def installed() -> dict[str, dict[str, object]]:
    """What `npm ci --omit=dev` installs."""
    packages = json.loads(LOCK.read_text("utf-8"))["packages"]
    return {key: entry for key, entry in packages.items() if not entry.get("dev")}


@pytest.mark.parametrize("name", ["tar", "rimraf", "adm-zip", "npmlog", "node-fetch"])
def test_what_only_an_install_script_uses_is_dropped(name: str) -> None:
    assert f"node_modules/{name}" in installed()
    assert f"node_modules/{name}" not in loaded_packages(installed())


@pytest.mark.parametrize(
    "name", ["@tensorflow/tfjs-node", "@tensorflow/tfjs-core", "@mapbox/node-pre-gyp", "progress", "fastify"]
)
def test_what_is_loaded_stays(name: str) -> None:
    assert f"node_modules/{name}" in loaded_packages(installed())


def test_a_package_inside_another_is_found_where_node_finds_it() -> None:
    packages = {
        "": {"dependencies": {"a": "1"}},
        "node_modules/a": {"dependencies": {"b": "2"}},
        "node_modules/a/node_modules/b": {"dependencies": {"c": "1"}},
        "node_modules/b": {},
        "node_modules/c": {"optionalDependencies": {"absent": "1"}},
    }
    assert loaded_packages(packages) == {"node_modules/a", "node_modules/a/node_modules/b", "node_modules/c"}


def test_unused_packages_and_source_maps_are_deleted(tmp_path: Path) -> None:
    packages = {"": {"dependencies": {"a": "1"}}, "node_modules/a": {}, "node_modules/b": {}, "node_modules/b/node_modules/c": {}}
    (tmp_path / "package-lock.json").write_text(json.dumps({"packages": packages}))
    for file in ("a/index.js", "a/index.js.map", "b/index.js", "b/node_modules/c/index.js"):
        (tmp_path / "node_modules" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "node_modules" / file).touch()
    prune(tmp_path)
    modules = tmp_path / "node_modules"
    assert [path.relative_to(modules).as_posix() for path in modules.rglob("*") if path.is_file()] == ["a/index.js"]


def test_npm_lists_every_package_with_its_licence(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on PATH")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCK.with_name(name), tmp_path)
    command = [npm, "sbom", "--package-lock-only", "--sbom-format", "cyclonedx"]
    listed = json.loads(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout)
    kept = {key.rpartition("node_modules/")[2] for key in loaded_packages(installed())}
    assert kept <= {"/".join(filter(None, (each.get("group"), each["name"]))) for each in listed["components"]}
    assert [component["name"] for component in listed["components"] if not component.get("licenses")] == []
