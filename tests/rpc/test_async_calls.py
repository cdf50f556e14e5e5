"""Calls within asyncio, and what scripts give bit by bit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pybridge.errors import CallTimeoutError, NodeCrashedError, RemoteError
from pybridge.rpc.connection import Connection
from pybridge.rpc.javascript import JSIterator
from pybridge.rpc.runner import Runner

RunJs = Callable[..., Any]
COUNTED = """
let made = 0;
exports.main = async function* (n) { try { for (let i = 0; i < n; i += 1) { made += 1; yield i; } } finally { made = -1; } };
exports.made = () => made;
"""


@pytest.fixture
def connection(runner: Runner) -> Connection:
    return runner.start().connection


@pytest.fixture
def start(connection: Connection, run_js: RunJs) -> Callable[..., Any]:
    def start(body: str, *args: Any, **options: Any) -> Any:
        return connection.call_async("script.call", run_js.script(body, *args), **options)  # type: ignore[attr-defined]

    return start


def test_hundreds_are_in_flight_without_a_thread_each(start: Callable[..., Any]) -> None:
    async def main() -> None:
        calls = [start("await null; return args[0];", number) for number in range(300)]
        assert await asyncio.gather(*calls) == list(range(300))
        assert threading.active_count() < 20

    asyncio.run(main())


def test_cancelling_a_task_cancels_the_call(start: Callable[..., Any], run_js: RunJs) -> None:
    body = "globalThis.seen ??= []; await new Promise((done) => this.signal.addEventListener('abort', done)); seen.push(args[0]);"

    async def main() -> None:
        task = asyncio.create_task(start(body, "cancelled"))
        await start("return 1;")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await start("return globalThis.seen;") == ["cancelled"]

    asyncio.run(main())


def test_a_time_limit_cancels_the_call(start: Callable[..., Any]) -> None:
    async def main() -> None:
        with pytest.raises(CallTimeoutError, match=r"within 0\.05 s"):
            await start("await new Promise(() => {});", timeout=0.05)
        assert await start("return 1;") == 1

    asyncio.run(main())


def test_progress_comes_in_the_event_loop(start: Callable[..., Any]) -> None:
    seen: list[Any] = []

    async def main() -> None:
        def note(value: Any) -> None:
            seen.append((value, asyncio.get_running_loop().is_running()))

        await start("this.progress(1); this.progress({two: 2});", on_progress=note)

    asyncio.run(main())
    assert seen == [(1, True), ({"two": 2}, True)]


def test_an_async_function_runs_in_the_loop_that_gave_it(start: Callable[..., Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def later(x: int) -> int:
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is loop
            return x + 1

        assert await start("return await args[0](await args[0](1));", later) == 3

    asyncio.run(main())


def test_errors_and_crashes_reach_those_who_await(start: Callable[..., Any]) -> None:
    async def main() -> None:
        with pytest.raises(RemoteError, match="no paper"):
            await start("throw new Error('no paper');")
        waiting = [asyncio.create_task(start("await new Promise(() => {});")) for _ in range(5)]
        await asyncio.sleep(0)
        results = await asyncio.gather(*waiting, start("process.exit(3);"), return_exceptions=True)
        assert {type(result) for result in results} == {NodeCrashedError}

    asyncio.run(main())


def test_threads_and_tasks_share_a_connection(runner: Runner, start: Callable[..., Any]) -> None:
    async def main() -> None:
        for _ in range(5):
            in_thread = asyncio.to_thread(lambda: [runner.call("echo", {"value": number}) for number in range(50)])
            calls = [start("return args[0];", number) for number in range(50)]
            assert await asyncio.gather(in_thread, *calls) == [list(range(50)), *range(50)]

    asyncio.run(main())


def test_an_async_generator_is_drawn_from_as_python_wants(runner: Runner, tmp_path: Any) -> None:
    (tmp_path / "counted.js").write_text(COUNTED)

    def call(function: str, *args: Any) -> Any:
        return runner.call("script.call", {"path": str(tmp_path / "counted.js"), "function": function, "args": list(args)})

    items: JSIterator = call("main", 1000)
    assert [next(items), next(items)] == [0, 1]
    assert call("made") == 2
    items.close()
    assert call("made") == -1
    assert list(items) == []


def test_async_for_draws_too(start: Callable[..., Any]) -> None:
    async def main() -> None:
        body = "return require('stream').Readable.from([1, [2]]);"
        assert [item async for item in await start(body)] == [1, [2]]

    asyncio.run(main())


def test_what_a_generator_throws_is_raised(run_js: RunJs) -> None:
    items = run_js("return (async function* () { yield 1; throw new TypeError('torn'); })();")
    assert next(items) == 1
    with pytest.raises(RemoteError, match="torn"):
        next(items)
