from __future__ import annotations

import os
import shutil

import pytest

from pybridge.runtime.addon import addon_folder
from pybridge.runtime.bundle import find_bundle
from pybridge.runtime.find_node import NodeExecutable
from pybridge.runtime.python_tensorflow import PythonTensorflow


@pytest.fixture
def tensorflow(tmp_path, empty_cache):
    folder = tmp_path / "tensorflow"
    folder.mkdir()
    libraries = (folder / "libtensorflow_cc.so.2", folder / "libtensorflow_framework.so.2")
    for library in libraries:
        library.write_bytes(b"machine code")
    return PythonTensorflow("2.21.0", folder, libraries)


@pytest.fixture
def key(tmp_path):
    def compute(tensorflow, arch="x64"):
        return addon_folder(find_bundle(), NodeExecutable(tmp_path / "node", "20.0.0", arch, "PATH"), tensorflow)

    return compute


def test_the_same_parts_have_the_same_key(key, tensorflow):
    assert key(tensorflow) == key(tensorflow)


def test_a_tensorflow_of_another_size_has_another_key(key, tensorflow):
    before = key(tensorflow)
    status = tensorflow.libraries[0].stat()
    tensorflow.libraries[0].write_bytes(b"other machine code")
    os.utime(tensorflow.libraries[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert key(tensorflow) != before


def test_a_tensorflow_installed_again_has_another_key(key, tensorflow):
    before = key(tensorflow)
    os.utime(tensorflow.libraries[1], ns=(1, 1))
    assert key(tensorflow) != before


def test_a_moved_tensorflow_has_another_key_since_the_addon_refers_to_its_path(key, tensorflow, tmp_path):
    before = key(tensorflow)
    moved = shutil.copytree(tensorflow.folder, tmp_path / "moved")
    libraries = tuple(moved / library.name for library in tensorflow.libraries)
    assert key(PythonTensorflow("2.21.0", moved, libraries)) != before


def test_another_version_or_machine_has_another_key(key, tensorflow):
    other = PythonTensorflow("2.19.1", tensorflow.folder, tensorflow.libraries)
    assert len({key(tensorflow), key(other), key(tensorflow, arch="arm64")}) == 3
