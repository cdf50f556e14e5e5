from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pybridge.runtime.bundle import find_bundle

REPOSITORY = Path(__file__).resolve().parents[2]
FIND = "from pybridge.runtime.bundle import find_bundle; print(find_bundle().main_js)"


@pytest.fixture
def site_packages(tmp_path, monkeypatch):
    """A copy of the Python package alone, in a folder that goes before this checkout."""
    folder = tmp_path / "site-packages"
    shutil.copytree(REPOSITORY / "pybridge", folder / "pybridge", ignore=shutil.ignore_patterns("__pycache__", "_bundled"))
    return folder


def run(python, site_packages):
    return python(f"import sys; sys.path.insert(0, {str(site_packages)!r})\n{FIND}").communicate()


def test_in_a_checkout_it_lies_beside_the_package():
    assert find_bundle().node_runner == REPOSITORY / "node_runner"
    assert find_bundle().probe_js.is_file()


def test_when_installed_it_lies_inside_the_package(python, site_packages):
    bundled = site_packages / "pybridge" / "_bundled"
    shutil.copytree(REPOSITORY / "node_runner", bundled / "node_runner")
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(REPOSITORY / name, bundled / name)
    stdout, stderr = run(python, site_packages)
    assert stdout.strip() == str(bundled / "node_runner" / "main.js"), stderr


def test_an_installation_without_it_is_a_set_up_error(python, site_packages):
    _, stderr = run(python, site_packages)
    assert "SetupError: The Node.js program that belongs to pybridge is neither in" in stderr
    assert "pip install --force-reinstall" in stderr


def test_another_lock_file_has_another_key(tmp_path):
    bundle = find_bundle()
    lock = tmp_path / "package-lock.json"
    lock.write_text(bundle.package_lock.read_text() + "\n")
    assert type(bundle)(bundle.node_runner, bundle.package_json, lock).packages_key() != bundle.packages_key()
