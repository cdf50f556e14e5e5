"""Python functions as arguments: JavaScript calls them, at any time and from many calls at once."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pybridge.errors import DataError, RemoteError
from pybridge.rpc.javascript import JSObject
from pybridge.rpc.runner import Runner

RunJs = Callable[..., Any]


def test_a_function_is_called_and_answers(run_js: RunJs) -> None:
    assert run_js("return (await args[0](20, 1)) * 2;", lambda a, b: a + b) == 42


def test_a_function_lies_anywhere_in_the_arguments(run_js: RunJs) -> None:
    assert run_js("return await args[0].deep[1].f('x');", {"deep": [None, {"f": str.upper}]}) == "X"


def test_arrays_cross_both_ways(run_js: RunJs) -> None:
    got = run_js("return await args[0](new Float32Array([1, 2]));", lambda x: x.astype(np.float64) * 3)
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, [3, 6])


def test_data_comes_by_content_and_all_else_by_reference(run_js: RunJs) -> None:
    got: list[Any] = []
    run_js("await args[0]({a: [1, new Map([[1, 2]])]}, class Point {}, {f: () => 3});", lambda *values: got.extend(values))
    assert got[0] == {"a": [1, {1: 2}]}
    assert isinstance(got[1], JSObject)
    assert got[2].f() == 3


def test_what_it_raises_rejects_the_promise(run_js: RunJs) -> None:
    def fails() -> None:
        raise ValueError("no paper")

    assert run_js("try { await args[0](); } catch (e) { return [e.name, e.message, e instanceof Error]; }", fails) == [
        "ValueError",
        "no paper",
        True,
    ]


def test_what_it_raises_comes_back_as_the_cause(run_js: RunJs) -> None:
    error = ValueError("no paper")

    def fails() -> None:
        raise error

    with pytest.raises(RemoteError, match=r"ValueError in Node\.js: no paper") as caught:
        run_js("await args[0]();", fails)
    assert caught.value.__cause__ is error
    assert "in fails" in str(caught.value)


def test_what_it_returns_must_be_able_to_cross(run_js: RunJs) -> None:
    with pytest.raises(RemoteError, match="the callback's result is a object"):
        run_js("await args[0]();", object)


def test_a_function_may_call_javascript_which_calls_it(run_js: RunJs) -> None:
    def countdown(n: int) -> list[int]:
        return [n, *(run_js("return await args[0](args[1]);", countdown, n - 1) if n else [])]

    assert run_js("return await args[0](5);", countdown) == [5, 4, 3, 2, 1, 0]


def test_functions_that_wait_for_each_other_run_at_once(run_js: RunJs) -> None:
    meeting = threading.Barrier(3, timeout=20)
    assert run_js("return (await Promise.all([0, 1, 2].map(() => args[0]()))).length;", lambda: meeting.wait() and None) == 3


def test_a_function_is_called_after_its_call_has_ended(run_js: RunJs, eventually: Callable[..., None]) -> None:
    got: list[int] = []
    run_js("setTimeout(() => args[0](7), 5);", got.append)
    eventually(lambda: got == [7])
    assert run_js("return 1;") == 1


def test_the_same_function_is_the_same_in_javascript(run_js: RunJs) -> None:
    function = print
    assert run_js("return args[0] === args[1];", function, function) is True


def test_threads_call_with_functions_of_their_own(run_js: RunJs) -> None:
    answers: dict[int, list[int]] = {}
    body = "return await args[0]();"
    run_js(body, lambda: None)

    def work(number: int) -> None:
        answers[number] = [run_js(body, lambda: number) for _ in range(30)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: [number] * 30 for number in range(8)}


def test_an_async_function_needs_an_event_loop(run_js: RunJs) -> None:
    async def later() -> None: ...

    with pytest.raises(DataError, match="is an async function"):
        run_js("", later)


def test_functions_are_let_go_when_javascript_has_none_of_them(
    runner: Runner, run_js: RunJs, eventually: Callable[..., None]
) -> None:
    lent = runner.start().connection._lent
    for _ in range(50):
        run_js("return 1;", lambda: None)
    assert len(lent) > 0
    node_flags = "require('v8').setFlagsFromString('--expose-gc'); require('vm').runInNewContext('gc')(); return 1;"

    def none_is_left() -> bool:
        gc.collect()
        run_js(node_flags)
        return len(lent) == 0

    eventually(none_is_left)


@pytest.mark.slow
def test_thousands_of_functions_do_not_pile_up(runner: Runner, run_js: RunJs) -> None:
    most = 0
    lent = runner.start().connection._lent
    for _ in range(5000):
        run_js("return await args[0]();", lambda: 1)
        most = max(most, len(lent))
    assert most < 3000


def test_what_was_not_sent_is_not_lent(runner: Runner) -> None:
    with pytest.raises(DataError):
        runner.call("echo", {"value": [print, object()]})
    assert len(runner.start().connection._lent) == 0
