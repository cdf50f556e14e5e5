"""Whatever crosses to Node.js and back is what it was; whatever cannot cross is refused with its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pybridge.errors import DataError, RemoteError
from pybridge.rpc.runner import Runner
from pybridge.rpc.values import Arguments, pack, unpack

NUMERIC = [
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64", "complex64"),
]


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (2, 3, 4), (3, 0, 2), (70_000,)])
def test_every_numeric_dtype_and_shape_comes_back(runner: Runner, shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    sent = {}
    for name in NUMERIC:
        raw = generator.integers(0, 2 if name == "bool" else 256, int(np.prod(shape)) * np.dtype(name).itemsize, np.uint8)
        sent[name] = raw.view(name).reshape(shape)
    received = runner.call("echo", {"value": sent})
    for name in NUMERIC:
        assert (received[name].dtype, received[name].shape) == (np.dtype(name), shape)
        assert received[name].tobytes() == sent[name].tobytes()


@pytest.mark.parametrize(
    "array",
    [np.arange(12, dtype=">i4").reshape(3, 4), np.arange(24.0).reshape(4, 6)[::2, ::-1], np.asfortranarray(np.eye(3))],
    ids=["big-endian", "strided", "fortran"],
)
def test_other_layouts_arrive_with_the_same_values(runner: Runner, array: np.ndarray[Any, Any]) -> None:
    np.testing.assert_array_equal(runner.call("echo", {"value": array}), array)


@pytest.mark.parametrize(
    "value",
    [
        np.array([b"", b"\0\xff", b"x" * 100_000], object),
        np.array([["ü", "日本"], ["", "a"]]),
        np.array([b"ab", b"c"]),
        np.array([], "S1"),
        np.array("one", object),
        [b"x" * 10_000, b"", b"y" * 5_000],
    ],
)
def test_strings_come_back_as_bytes(runner: Runner, value: Any) -> None:
    received = runner.call("echo", {"value": value})
    expected = np.array(value, object)
    assert received.shape == expected.shape
    encoded = [item.encode() if isinstance(item, str) else item for item in expected.reshape(-1)]
    assert received.reshape(-1).tolist() == encoded


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        2**53 + 1,
        -(10**300),
        1e300,
        math.inf,
        -math.inf,
        "",
        "ü\u2028\ud800",
        [],
        {},
        {"$tensor": 0},
        {"$literal": {"$literal": [1, {"$number": "NaN"}]}},
        {"__proto__": 1, "constructor": [2]},
        [[None, {"a": {"b": [1.5]}}]],
    ],
)
def test_json_values_come_back(runner: Runner, value: Any) -> None:
    assert runner.call("echo", {"value": value}) == value


def test_not_a_number_and_negative_zero_come_back(runner: Runner) -> None:
    nan, zero = runner.call("echo", {"value": [math.nan, -0.0]})
    assert math.isnan(nan)
    assert math.copysign(1, zero) == -1


def test_numpy_scalars_arrive_as_numbers(runner: Runner) -> None:
    assert runner.call("echo", {"value": [np.float32(0.5), np.int64(3), np.bool_(True), (1, 2)]}) == [
        0.5,
        3,
        True,
        [1, 2],
    ]


def test_bytes_arrive_as_uint8(runner: Runner) -> None:
    np.testing.assert_array_equal(runner.call("echo", {"value": b"\0\xff"}), np.array([0, 255], np.uint8))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros(1, "datetime64[s]"), r"params.value has dtype datetime64"),
        (np.zeros(1, complex), "complex128"),
        (np.array([1, "a"], object), "element 0, is a int"),
        (np.ma.masked_array([1], [True]), "masked"),
        ({(1, 2): 2}, "would not find it again"),
        (datetime(2020, 1, 1), "without a time zone"),
        (datetime(2020, 1, 1, microsecond=5, tzinfo=timezone.utc), "with microseconds"),
        ([object()], r"params.value\[0\] is a object"),
        ({frozenset()}, "would not find it again"),
        pytest.param(2**100_000, "bits", id="huge"),
    ],
)
def test_what_cannot_cross_is_refused_with_its_place(value: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        pack({"value": value})


def test_a_list_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(DataError, match="contains itself"):
        pack(endless)


def test_unpacking_is_the_inverse_of_packing() -> None:
    value = {"a": [1, {"$bigint": "x"}, -(2**60)], "$number": {"b": None}}
    packed, _ = pack(value)
    assert unpack(packed, []) == value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("new Float32Array([1, 2])", np.array([1, 2], np.float32)),
        ("Buffer.from('ab')", np.array([97, 98], np.uint8)),
        ("new Uint8ClampedArray([300])", np.array([255], np.uint8)),
        ("new BigInt64Array([-5n])", np.array([-5], np.int64)),
        ("new Uint16Array([1, 2, 3, 4]).subarray(1, 3)", np.array([2, 3], np.uint16)),
        ("new Uint8Array([1, 2]).buffer", np.array([1, 2], np.uint8)),
        ("({dtype: 'int32', shape: [1, 2], data: new Int32Array([3, 4])})", np.array([[3, 4]], np.int32)),
        ("({dtype: 'string', shape: [2], data: ['ü', 'b']})", np.array(["ü".encode(), b"b"], object)),
        ("({dtype: 'bool', shape: [], dataSync: () => new Uint8Array([1])})", np.array(True)),
    ],
)
def test_javascript_arrays_arrive_as_numpy(run_js: Callable[..., Any], expression: str, expected: np.ndarray[Any, Any]) -> None:
    received = run_js(f"return {{deep: [{expression}]}};")["deep"][0]
    assert (received.dtype, received.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("undefined", None),
        ("[undefined]", [None]),
        ("{a: undefined, b: 12n}", {"b": 12}),
        ("new Date(5)", datetime(1970, 1, 1, microsecond=5000, tzinfo=timezone.utc)),
    ],
)
def test_other_javascript_values_follow_json(run_js: Callable[..., Any], expression: str, expected: Any) -> None:
    assert run_js(f"return {expression};") == expected


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("{a: new Map()}", "the result.a is a Map"),
        ("[Promise.resolve(1)]", "await it first"),
        ("() => 1", "the result is a function"),
        ("function twice() {}", r"a function \(twice\)"),
        ("{good: 1, bad() {}}", r"the result.bad is a function \(bad\)"),
        ("[Symbol('red')]", r"the result\[0\] is a symbol \(Symbol\(red\)\)"),
        ("/a+b/gi", "is a RegExp"),
        ("new Set([1])", "is a Set"),
        ("new WeakRef({})", "is a WeakRef"),
        ("new Error('no')", "is a Error.*throw it"),
        ("(function* () { yield 1; })()", "is a Generator.*return a list"),
        ("[1, 2].values()", "is a Array Iterator"),
        ("[require('stream').Readable.from([1])]", "a stream"),
        ("[new ReadableStream()]", "a stream"),
        ("new Date(NaN)", "is an invalid Date"),
        ("new (class Secret { #held = 1; })()", "is a Secret"),
        ("new Number(3)", "is a Number"),
        ("(() => { const a = []; a.push(a); return a; })()", "contains itself"),
        ("{dtype: 'float32', shape: [3], data: new Float32Array(2)}", "needs 12 bytes"),
        ("10n ** 5000n", "digits"),
    ],
)
def test_javascript_values_that_cannot_cross_are_refused(run_js: Callable[..., Any], expression: str, says: str) -> None:
    with pytest.raises(RemoteError, match=says):
        run_js(f"return {expression};")
    assert run_js("return 1;") == 1


def test_an_object_of_a_users_class_crosses_as_its_members(run_js: Callable[..., Any]) -> None:
    assert run_js("class Point { x = 1; y = [2]; length() { return 3; } } return new Point();") == {"x": 1, "y": [2]}


@pytest.mark.parametrize("items", [(b"\x00\xff",), (b"ab", b"c"), (b"",), (bytearray(b"ab"),)])
def test_arguments_of_bytes_alone_arrive_one_by_one(runner: Runner, tmp_path: Path, items: tuple[bytes, ...]) -> None:
    (tmp_path / "lengths.js").write_text("exports.lengths = (...values) => values.map((value) => [value.dtype, value.size]);")
    call = {"path": str(tmp_path / "lengths.js"), "function": "lengths", "args": Arguments(items)}
    assert runner.call("script.call", call) == [["uint8", len(item)] for item in items]


@pytest.mark.slow
def test_a_tensor_of_one_gigabyte_crosses_both_ways(runner: Runner) -> None:
    array = np.arange(2**27, dtype=np.uint64)
    received = runner.call("echo", {"value": array})
    assert np.array_equal(received, array)
