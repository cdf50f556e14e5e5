"""JavaScript objects in Python's hands, and what becomes of them."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pybridge.errors import DataError, NodeCrashedError, RemoteError
from pybridge.rpc.javascript import JSObject
from pybridge.rpc.runner import Runner

Evaluate = Callable[..., Any]

POINT = """(() => {
  class Point {
    constructor(x, y) { this.x = x; this.y = y; }
    plus(other) { return new Point(this.x + other.x, this.y + other.y); }
    async later() { return this.x; }
    fail() { throw new RangeError('too far'); }
  }
  return Point;
})()"""


@pytest.fixture
def evaluate(runner: Runner) -> Evaluate:
    def evaluate(source: str, **given: Any) -> Any:
        return runner.call("object.evaluate", {"source": source, "given": given})

    return evaluate


@pytest.mark.parametrize("name", ["node:path", "path"])
def test_a_module_is_required(runner: Runner, tmp_path: Path, name: str) -> None:
    path = runner.call("object.require", {"specifier": name, "folder": str(tmp_path)})
    assert path.basename("/a/b.txt") == "b.txt"
    assert "join" in dir(path)


def test_modules_beside_a_folder_are_found(runner: Runner, tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "twice"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "twice", "exports": {"import": "./i.mjs", "require": "./r.js"}}')
    (package / "r.js").write_text("module.exports = (x) => 2 * x;")
    (package / "i.mjs").write_text("export const twice = (x) => 2 * x; export default 'imported';")
    (tmp_path / "own.mjs").write_text("import { twice } from 'twice'; export const four = () => twice(2);")
    assert runner.call("object.require", {"specifier": "twice", "folder": str(tmp_path)})(4) == 8
    assert runner.call("object.import", {"specifier": "twice", "folder": str(tmp_path)}).default == "imported"
    assert runner.call("object.import", {"specifier": "./own.mjs", "folder": str(tmp_path)}).four() == 4


def test_a_module_that_is_not_there_is_named(runner: Runner, tmp_path: Path) -> None:
    for method in ("object.require", "object.import"):
        with pytest.raises(RemoteError, match="nowhere-to-be-found"):
            runner.call(method, {"specifier": "nowhere-to-be-found", "folder": str(tmp_path)})


def test_classes_make_instances_whose_methods_know_them(evaluate: Evaluate) -> None:
    point = evaluate(POINT)
    total = point(1, 2).plus(point(3, 4))
    assert (repr(point), repr(total)) == ("<JavaScript class Point>", "<JavaScript object Point>")
    assert (total.x, total["y"], total.later()) == (4, 6, 4)
    assert total.to_python() == {"x": 4, "y": 6}
    with pytest.raises(RemoteError, match="too far"):
        total.fail()


def test_members_are_set(evaluate: Evaluate) -> None:
    point = evaluate(POINT)(1, 2)
    point.x, point["y"] = 5, [6]
    assert point.to_python() == {"x": 5, "y": [6]}


def test_a_member_that_is_not_there_is_named(evaluate: Evaluate) -> None:
    box = evaluate("({there: undefined})")
    assert box.there is None
    with pytest.raises(AttributeError, match="no member 'missing'"):
        _ = box.missing
    with pytest.raises(KeyError):
        box["missing"]
    assert ("there" in box, "missing" in box) == (True, False)


def test_arrays_are_like_lists(evaluate: Evaluate) -> None:
    items = evaluate("[1, 'b', {c: 3}]")
    assert (len(items), items[0], items[-1].c, list(items)[:2]) == (3, 1, 3, [1, "b"])
    with pytest.raises(IndexError):
        items[3]
    items.push(4)
    assert items.to_python() == [1, "b", {"c": 3}, 4]


@pytest.mark.parametrize(
    ("expression", "items"),
    [
        ("new Set([1, 2])", [1, 2]),
        ("(function* () { yield 1; yield 2; })()", [1, 2]),
        ("(async function* () { yield 1; yield 2; })()", [1, 2]),
        ("require('stream').Readable.from(['a', 'b'])", ["a", "b"]),
    ],
)
def test_what_javascript_iterates_over_python_does_too(evaluate: Evaluate, expression: str, items: list[Any]) -> None:
    assert list(evaluate(expression.replace("require(", "process.getBuiltinModule("))) == items


def test_binary_arrays_come_by_value(evaluate: Evaluate) -> None:
    np.testing.assert_array_equal(evaluate("({a: new Int16Array([1, 2])})").a, np.array([1, 2], np.int16))


def test_built_in_classes_need_no_new(evaluate: Evaluate) -> None:
    assert evaluate("Map")([["a", 1]]).to_python() == {"a": 1}
    assert evaluate("Number")("3") == 3


def test_an_object_that_crosses_twice_is_the_same(evaluate: Evaluate) -> None:
    box = evaluate("({self: null})")
    box.self = box
    assert box.self == box
    assert evaluate("a === b", a=box, b=box.self) is True


def test_objects_let_go_are_freed(runner: Runner, evaluate: Evaluate) -> None:
    held = [evaluate("({})") for _ in range(100)]
    assert runner.call("object.count") == 100
    del held
    gc.collect()
    evaluate("1")
    assert runner.call("object.count") == 0


class Lending:
    """Has its JavaScript object made at the moment that it crosses, as models do."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate

    def to_javascript(self) -> JSObject:
        return self._evaluate("({lent: 1})")  # type: ignore[no-any-return]


def test_an_object_made_for_a_call_lives_until_the_call_is_sent(evaluate: Evaluate) -> None:
    assert evaluate("box.lent", box=Lending(evaluate)) == 1


@pytest.mark.slow
def test_many_objects_made_and_dropped_leave_nothing(runner: Runner, evaluate: Evaluate) -> None:
    for _ in range(20_000):
        evaluate("({})")
    evaluate("1")
    assert runner.call("object.count") == 0


def test_an_object_of_a_dead_process_says_so(evaluate: Evaluate) -> None:
    box = evaluate("({a: 1})")
    with pytest.raises(NodeCrashedError):
        evaluate("process.exit(3)")
    with pytest.raises(NodeCrashedError):
        _ = box.a
    with pytest.raises(DataError, match="or of one that has ended"):
        evaluate("1", box=box)


def test_an_object_is_neither_copied_nor_taken_for_something_else(evaluate: Evaluate) -> None:
    box: JSObject = evaluate("({a: 1})")
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        copy.copy(box)
    assert not hasattr(box, "__array__")


def test_what_has_no_content_is_refused_by_name(evaluate: Evaluate) -> None:
    with pytest.raises(RemoteError, match=r"the result.f is a function"):
        evaluate("({f() {}})").to_python()
    with pytest.raises(DataError, match="equal in Python"):
        evaluate("new Set([1, true])").to_python()
    with pytest.raises(DataError, match="cannot be one in Python"):
        evaluate("new Map([[[1], 2]])").to_python()
