from __future__ import annotations

from importlib import metadata

import pytest

from pybridge.runtime.python_tensorflow import find_tensorflow

FIND = "from pybridge.runtime.python_tensorflow import find_tensorflow\nprint(find_tensorflow())"


def test_it_is_found_with_its_version_without_being_imported(python):
    code = FIND + "\nimport sys; assert 'tensorflow' not in sys.modules"
    child = python(code)
    stdout, stderr = child.communicate()
    assert child.returncode == 0, stderr
    installed = [d.version for d in metadata.distributions() if d.metadata["Name"].replace("_", "-").startswith("tensorflow")]
    assert any(f"version='{version}'" in stdout for version in installed)


def test_its_libraries_and_headers_exist():
    tensorflow = find_tensorflow()
    assert all(library.is_file() for library in tensorflow.libraries)
    assert (tensorflow.include / "tensorflow" / "c" / "c_api.h").is_file()


def test_importing_the_runtime_imports_no_tensorflow_and_starts_no_process(python):
    code = """
import sys
sys.addaudithook(lambda event, _: sys.exit(f"started {event}") if event in ("subprocess.Popen", "os.fork") else None)
import pybridge.runtime
assert "tensorflow" not in sys.modules
"""
    child = python(code)
    _, stderr = child.communicate()
    assert child.returncode == 0, stderr


@pytest.mark.parametrize("content", ["", "a folder that only looks like it"])
def test_a_tensorflow_without_its_libraries_is_a_set_up_error(python, tmp_path, content):
    package = tmp_path / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text(f'"""{content}"""')
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + FIND
    _, stderr = python(code).communicate()
    assert "SetupError: The TensorFlow in" in stderr
    assert "pip install --force-reinstall" in stderr


def test_no_tensorflow_is_a_set_up_error_that_says_how_to_install_it(python):
    code = "import pybridge.runtime, sys\nsys.path = []\n" + FIND
    _, stderr = python(code).communicate()
    assert "has no TensorFlow" in stderr
    assert "pip install 'tensorflow>=2.19'" in stderr
