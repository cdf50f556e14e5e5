"""What docs/javascript.md says becomes what; and any such value, alone or nested, crosses both ways unchanged."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PlainNode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pybridge.rpc.javascript import JSObject
from pybridge.rpc.runner import Runner

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "javascript.md"
NAMES = {"math": math, "np": np, "datetime": datetime, "UTC": timezone.utc}
NUMERIC = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]


def rows() -> list[tuple[str, str, str]]:
    """Python, JavaScript and Python again: the first expression of each cell of the first table."""
    lines = DOCUMENT.read_text().split("## What becomes what")[1].split("Some values cross")[0].splitlines()
    cells = [line.strip("|").split(" | ") for line in lines if line.startswith("| `")]
    return [tuple(re.findall(r"`([^`]+)`", cell)[0] for cell in row) for row in cells]  # type: ignore[misc]


def alike(one: Any, other: Any) -> bool:
    """Equal, of the same kind, and NaN equal to itself; whole floats are numbers like others."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return (
            type(one) is type(other)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and one.tobytes() == other.tobytes()
        )
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) and isinstance(other, (int, float)):
        same_sign = math.copysign(1, one) == math.copysign(1, other)
        return (math.isnan(one) and math.isnan(other)) or (one == other and same_sign)
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(value, other[key]) for key, value in one.items())
    return bool(one == other)


@pytest.fixture(scope="module")
def same(node: Path) -> Iterator[JSObject]:
    with Runner(PlainNode(node)) as runner:
        yield runner.call("object.evaluate", {"source": "(value) => ({value})", "given": {}})


@pytest.fixture(scope="module")
def is_equal(same: JSObject) -> Callable[..., bool]:
    source = "(value, source) => process.getBuiltinModule('util').isDeepStrictEqual(value, eval(`(${source})`))"
    return same._connection.call("object.evaluate", {"source": source, "given": {}})  # type: ignore[no-any-return]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_each_row_of_the_table_is_so(same: JSObject, is_equal: Callable[..., bool], row: tuple[str, str, str]) -> None:
    there, in_javascript, back = row
    value = eval(there, NAMES)
    if in_javascript != "NDArray":
        assert is_equal(value, in_javascript)
    assert alike(eval(back, NAMES), same(value).to_python()["value"])


def test_the_table_has_all_kinds() -> None:
    assert len(rows()) >= 13


text = st.text(st.characters(codec="utf-8"), max_size=8)
dates = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(timezone.utc)).map(
    lambda value: value.replace(microsecond=value.microsecond // 1000 * 1000)
)
keys = st.one_of(text, st.integers(), st.none(), st.booleans(), st.floats(allow_nan=False), dates)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    dtype = np.dtype(draw(st.sampled_from(NUMERIC)))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    size = math.prod(shape) * dtype.itemsize
    raw = draw(st.binary(min_size=size, max_size=size))
    values = np.frombuffer(bytes(byte & 1 for byte in raw) if dtype.kind == "b" else raw, dtype)
    return values.reshape(shape)


leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text, dates, arrays(), st.sets(keys, max_size=4))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4), st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(value=values)
def test_any_value_crosses_both_ways_unchanged(same: JSObject, value: Any) -> None:
    assert alike(value, same(value).to_python()["value"])
    assert alike([{"a": value}], same([{"a": value}]).to_python()["value"])
