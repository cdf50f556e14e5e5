"""Calls: errors, progress, time-outs, cancelling and threads."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pybridge.errors import BridgeError, CallTimeoutError, DataError, RemoteError
from pybridge.rpc.runner import Runner

WAIT_FOR_ABORT = """
  this.progress('started');
  if (!this.signal.aborted) await new Promise((resolve) => this.signal.addEventListener('abort', resolve));
  globalThis.aborted = (globalThis.aborted ?? 0) + 1;
  return new Float64Array(1000);
"""
SPIN = "const end = Date.now() + args[0]; while (Date.now() < end); return 'done';"


def test_a_javascript_error_arrives_with_name_message_and_stack(run_js: Callable[..., Any]) -> None:
    with pytest.raises(RemoteError) as caught:
        run_js("function inner() { null.x; }\n inner();")
    assert caught.value.name == "TypeError"
    assert "null" in caught.value.remote_message
    assert "at inner" in caught.value.remote_stack
    assert "script0.js:2" in str(caught.value)
    assert caught.traceback[0].path.name == "test_rpc_calls.py"


def test_the_cause_of_a_javascript_error_is_told(run_js: Callable[..., Any]) -> None:
    with pytest.raises(RemoteError, match="Caused by: RangeError: inner"):
        run_js("throw new Error('outer', {cause: new RangeError('inner')});")


def test_the_members_of_an_error_and_of_its_causes_are_kept(run_js: Callable[..., Any]) -> None:
    body = """
    const inner = Object.assign(new RangeError('inner'), {code: 'E_INNER'});
    throw Object.assign(new Error('outer', {cause: inner}), {code: 'ENOENT', errno: -2, details: {path: '/x', big: 1n}});
    """
    with pytest.raises(RemoteError) as caught:
        run_js(body)
    error = caught.value
    assert error.properties == {"code": "ENOENT", "errno": -2, "details": "{ path: '/x', big: 1n }"}
    assert error.cause is not None
    assert error.cause is error.__cause__
    assert (error.cause.name, error.cause.properties) == ("RangeError", {"code": "E_INNER"})
    assert "ENOENT" in str(error)


def test_the_errors_of_an_aggregate_are_kept(run_js: Callable[..., Any]) -> None:
    with pytest.raises(RemoteError) as caught:
        run_js("await Promise.any([Promise.reject(new Error('a')), Promise.reject(new TypeError('b'))]);")
    assert caught.value.properties == {"errors": ["Error: a", "TypeError: b"]}


@pytest.mark.parametrize("how", ["throw {code: 5, reason: 'no paper'};", "await Promise.reject({code: 5, reason: 'no paper'});"])
def test_a_thrown_object_is_shown_and_its_members_are_kept(run_js: Callable[..., Any], how: str) -> None:
    with pytest.raises(RemoteError, match="code: 5, reason: 'no paper'") as caught:
        run_js(how)
    assert caught.value.properties == {"code": 5, "reason": "no paper"}


def test_the_hint_comes_before_the_stack_which_has_no_frames_of_ours(run_js: Callable[..., Any]) -> None:
    with pytest.raises(RemoteError) as caught:
        run_js("throw Object.assign(new Error('no paper'), {hint: 'Fill the tray.'});")
    text = str(caught.value)
    assert text.index("Fill the tray.") < text.index("JavaScript stack:")
    assert "script0.js" in text
    assert "node_runner" not in text
    assert "node:internal" not in text


@pytest.mark.parametrize(
    "thrown", ["'text'", "undefined", "{a: 1}", "Object.create(null)", "new Proxy({}, {get() { throw 1; }})"]
)
def test_anything_may_be_thrown(run_js: Callable[..., Any], thrown: str) -> None:
    with pytest.raises(RemoteError):
        run_js(f"throw {thrown};")
    assert run_js("return 1;") == 1


@pytest.mark.parametrize("name", ["no.such", "__proto__", "toString", ""])
def test_an_unknown_method_is_named_with_the_known_ones(runner: Runner, name: str) -> None:
    with pytest.raises(RemoteError, match="there is no method") as caught:
        runner.call(name)
    assert caught.value.code == -32601
    assert "echo" in (caught.value.hint or "")


def test_a_method_whose_module_does_not_export_it_is_named(plain_node: Any, tmp_path: Path) -> None:
    program = tmp_path / "main.js"
    program.write_text(
        f"const {{ serve }} = require({json.dumps(str(plain_node.main_js.parent / 'rpc' / 'server'))});\n"
        "serve(Number(process.argv[2]), { misspelt: () => ({}).misspelt }, new Set());\n"
    )
    with (
        Runner(replace(plain_node, main_js=program)) as runner,
        pytest.raises(RemoteError, match='"misspelt", but its module exports no such'),
    ):
        runner.call("misspelt")


def test_progress_comes_in_order_in_the_calling_thread(run_js: Callable[..., Any]) -> None:
    seen = []
    run_js(
        "for (let i = 0; i < 500; i++) this.progress([i, new Float32Array([i])]);",
        on_progress=lambda value: seen.append((threading.current_thread(), value[0], value[1].item())),
    )
    assert seen == [(threading.current_thread(), number, float(number)) for number in range(500)]


def test_an_error_in_on_progress_cancels_the_call(run_js: Callable[..., Any], eventually: Callable[..., None]) -> None:
    def refuse(value: Any) -> None:
        raise KeyError(value)

    with pytest.raises(KeyError, match="started"):
        run_js(WAIT_FOR_ABORT, on_progress=refuse)
    eventually(lambda: run_js("return globalThis.aborted;") == 1)


def test_a_timeout_cancels_the_call_and_leaves_the_connection_usable(
    run_js: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    with pytest.raises(CallTimeoutError, match=r"script\.call did not answer within 0\.05 s"):
        run_js(WAIT_FOR_ABORT, timeout=0.05)
    eventually(lambda: run_js("return globalThis.aborted;") == 1)


def test_a_timeout_while_node_computes_is_punctual_and_the_late_answer_is_dropped(run_js: Callable[..., Any]) -> None:
    with pytest.raises(CallTimeoutError):
        run_js(SPIN, 500, timeout=0.05)
    assert run_js("return 'next';") == "next"


def test_large_uploads_that_time_out_leave_the_connection_usable(runner: Runner, run_js: Callable[..., Any]) -> None:
    array = np.ones(2**22)
    busy = runner.submit("script.call", run_js.script(SPIN, 500))  # type: ignore[attr-defined]
    for _ in range(5):
        with pytest.raises(CallTimeoutError):
            runner.call("echo", {"value": array}, timeout=0.02)
    assert busy.result() == "done"
    np.testing.assert_array_equal(runner.call("echo", {"value": array}), array)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_senseless_timeout_is_refused(runner: Runner, timeout: float) -> None:
    with pytest.raises(DataError, match="timeout"):
        runner.call("echo", timeout=timeout)


def test_an_endless_timeout_is_allowed(runner: Runner) -> None:
    assert runner.call("echo", {"value": 1}, timeout=float("inf")) == 1


def test_another_thread_can_cancel_a_call(runner: Runner, run_js: Callable[..., Any]) -> None:
    call = runner.submit("script.call", run_js.script(WAIT_FOR_ABORT))  # type: ignore[attr-defined]
    started = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call.result, None, lambda _: started.set())
        assert started.wait(10)
        call.cancel()
        with pytest.raises(BridgeError, match="cancelled"):
            waiting.result(10)
    assert run_js("return globalThis.aborted;") == 1


def test_cancelling_frees_the_waiting_thread_while_node_computes(runner: Runner, run_js: Callable[..., Any]) -> None:
    call = runner.submit("script.call", run_js.script("this.progress(1); for (;;);"))  # type: ignore[attr-defined]
    started = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call.result, None, lambda _: started.set())
        assert started.wait(10)
        call.cancel()
        with pytest.raises(BridgeError, match="cancelled"):
            waiting.result(10)


def test_a_call_survives_the_end_of_the_call_whose_thread_read_for_it(runner: Runner, run_js: Callable[..., Any]) -> None:
    released = run_js.script("await new Promise((resolve) => { globalThis.release = resolve; }); return 1;")  # type: ignore[attr-defined]
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(run_js, "this.progress(0); await new Promise((resolve) => setTimeout(resolve, 50));")
        waiting = pool.submit(runner.call, "script.call", released)
        reading.result(10)
        run_js("globalThis.release();")
        assert waiting.result(10) == 1


def test_a_call_inside_on_progress_is_answered(runner: Runner, run_js: Callable[..., Any]) -> None:
    seen = []
    run_js(
        "for (let i = 0; i < 3; i++) { this.progress(i); await null; }",
        on_progress=lambda value: seen.append(runner.call("echo", {"value": value})),
    )
    assert seen == [0, 1, 2]


def test_calls_are_answered_as_they_finish(runner: Runner, run_js: Callable[..., Any]) -> None:
    slow = runner.submit("script.call", run_js.script(WAIT_FOR_ABORT))  # type: ignore[attr-defined]
    assert runner.call("echo", {"value": "fast"}) == "fast"
    slow.cancel()


@pytest.fixture
def hasty_switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow
@pytest.mark.usefixtures("hasty_switching")
def test_eight_threads_of_a_thousand_calls_lose_none(runner: Runner) -> None:
    def work(thread: int) -> None:
        for number in range(1000):
            # Some frames are small, some take the way of large ones.
            array = np.full(10_000 if number % 10 == 0 else 2, thread * 1000 + number, np.int32)
            value, echoed = runner.call("echo", {"value": [number, array]})
            assert value == number
            assert np.array_equal(echoed, array)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, thread) for thread in range(8)]:
            done.result(120)


def test_ctrl_c_interrupts_the_call_and_leaves_the_connection_usable(
    run_js: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_js(WAIT_FOR_ABORT, on_progress=lambda _: signal.raise_signal(signal.SIGINT))
    eventually(lambda: run_js("return globalThis.aborted;") == 1)


@pytest.mark.slow
def test_ctrl_c_at_any_moment_never_damages_the_stream(runner: Runner) -> None:
    small, large = np.arange(10), np.arange(50_000)
    stop = threading.Event()

    def interrupt() -> None:
        while not stop.wait(0.0013):
            os.kill(os.getpid(), signal.SIGINT)

    def call_until_interrupted() -> None:
        while True:
            for array in (small, large):
                assert np.array_equal(runner.call("echo", {"value": array}), array)

    pid = runner.pid
    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        interruptions = 0
        while interruptions < 300:
            with pytest.raises(KeyboardInterrupt):
                call_until_interrupted()
            interruptions += 1
    finally:
        while thread.is_alive():
            with contextlib.suppress(KeyboardInterrupt):
                stop.set()
                thread.join()
    assert np.array_equal(runner.call("echo", {"value": large}, timeout=30), large)
    assert runner.pid == pid
