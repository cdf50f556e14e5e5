"""A user's own JavaScript files: CommonJS and ES modules, sync and async, arrays in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pybridge.errors import RemoteError
from pybridge.rpc.runner import Runner

COMMON_JS = """
exports.double = (x) => ({dtype: x.dtype, shape: x.shape, data: x.data.map((v) => 2 * v)});
exports.later = async (a, b) => { await null; return a + b; };
exports.tensor = (x) => x.toTensor({tensor: (data, shape, dtype) => ({dtype, shape, dataSync: () => data})});
exports.constant = 3;
"""
ES_MODULE = """
export function double(x) { return x.data.map((v) => 2 * v); }
export default { fromDefault: () => 'default' };
"""


def call(runner: Runner, path: Path, function: str, *args: Any) -> Any:
    return runner.call("script.call", {"path": str(path), "function": function, "args": list(args)})


@pytest.fixture
def common_js(tmp_path: Path) -> Path:
    path = tmp_path / "with space & ünïcode.js"
    path.write_text(COMMON_JS)
    return path


@pytest.fixture
def es_module(tmp_path: Path) -> Path:
    path = tmp_path / "module.mjs"
    path.write_text(ES_MODULE)
    return path


def test_a_function_takes_and_gives_arrays(runner: Runner, common_js: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    doubled = call(runner, common_js, "double", array)
    assert doubled.dtype == np.float32
    np.testing.assert_array_equal(doubled, 2 * array)


def test_an_async_function_is_awaited(runner: Runner, common_js: Path) -> None:
    assert call(runner, common_js, "later", 1, 2) == 3


def test_an_es_module_works_as_well(runner: Runner, es_module: Path) -> None:
    np.testing.assert_array_equal(call(runner, es_module, "double", np.array([1, 2], np.int16)), [2, 4])
    assert call(runner, es_module, "fromDefault") == "default"


def test_a_module_is_loaded_once(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "counter.js"
    path.write_text("let count = 0; exports.next = () => ++count;")
    assert [call(runner, path, "next") for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("array", "dtype", "expected"),
    [
        (np.array([1.5, np.inf]), "float32", [1.5, np.inf]),
        (np.array([1, -2.5, 6e-8, 65504, np.inf], np.float16), "float32", None),
        (np.array([2**31 - 1], np.int64), "int32", [2**31 - 1]),
        (np.array([255], np.uint8), "int32", [255]),
        (np.array([True]), "bool", [True]),
    ],
)
def test_arrays_become_tensors_of_the_types_that_tensorflow_js_has(
    runner: Runner, common_js: Path, array: np.ndarray[Any, Any], dtype: str, expected: Any
) -> None:
    tensor = call(runner, common_js, "tensor", array)
    assert tensor.dtype == dtype
    np.testing.assert_array_equal(tensor, array.astype(dtype) if expected is None else expected)


def test_an_integer_that_tensorflow_js_cannot_hold_is_refused(runner: Runner, common_js: Path) -> None:
    with pytest.raises(RemoteError, match="element 1 of this uint32 array is 4294967295"):
        call(runner, common_js, "tensor", np.array([0, 2**32 - 1], np.uint32))


@pytest.mark.parametrize("name", ["missing", "constant", "toString", "__proto__"])
def test_a_missing_function_is_answered_with_what_there_is(runner: Runner, common_js: Path, name: str) -> None:
    with pytest.raises(RemoteError, match=rf"exports no function \"{name}\"") as caught:
        call(runner, common_js, name)
    assert caught.value.hint == "It exports: double, later, tensor."


def test_a_missing_file_is_named(runner: Runner, tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match=r"there is no file .*nothing\.js"):
        call(runner, tmp_path / "nothing.js", "main")


def test_a_syntax_error_is_told(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "broken.js"
    path.write_text("exports.main = (")
    with pytest.raises(RemoteError) as caught:
        call(runner, path, "main")
    assert caught.value.name == "SyntaxError"
