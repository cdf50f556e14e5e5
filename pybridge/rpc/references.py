"""What crosses a connection by reference: Python functions lent to Node.js, JavaScript objects borrowed from it."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import queue
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pybridge.errors import DataError
from pybridge.rpc.protocol import PYTHON_ERROR, ErrorObject

_IDLE_SECONDS: Final = 10.0
_MOST_EXCEPTIONS: Final = 16
# From the thread that runs callbacks to the user's function.
_OWN_FRAMES: Final = 2
_MOST_CHARACTERS: Final = 10_000


@dataclass
class _Lent:
    function: Callable[..., Any]
    crossings: int
    loop: asyncio.AbstractEventLoop | None


class LentFunctions:
    """Python functions that Node.js can call, by number, for as long as it holds them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._by_number: dict[int, _Lent] = {}
        self._known: dict[int, int] = {}
        self._exceptions: deque[tuple[int, BaseException]] = deque(maxlen=_MOST_EXCEPTIONS)

    def __len__(self) -> int:
        return len(self._by_number)

    def lend(self, function: Callable[..., Any], where: str) -> int:
        """The number of a function, which has crossed once more.

        Raises:
            DataError: It is an async function, and no event loop runs in this thread that could run it.
        """
        loop = _running_loop()
        if loop is None and inspect.iscoroutinefunction(function):
            raise DataError(
                f"{where} is an async function, and no event loop runs here.",
                hint="Pass it within asyncio, by pb.AsyncNode.",
            )
        with self._lock:
            number = self._known.get(id(function))
            if number is None:
                number = self._known[id(function)] = next(self._numbers)
                self._by_number[number] = _Lent(function, 0, loop)
            lent = self._by_number[number]
            lent.crossings += 1
            lent.loop = loop or lent.loop
            return number

    def take_back(self, number: int, crossings: int) -> None:
        """Node.js has let go so many crossings of a function."""
        with self._lock:
            lent = self._by_number.get(number)
            if lent is not None:
                lent.crossings -= crossings
                if lent.crossings <= 0:
                    del self._by_number[number], self._known[id(lent.function)]

    def call(self, number: int, arguments: list[Any]) -> Any:
        """Call a function; an async one runs in the event loop that lent it."""
        lent = self._by_number.get(number)
        if lent is None:
            raise DataError(f"Node.js called the Python function {number}, which it does not hold.")
        result = lent.function(*arguments)
        if not inspect.isawaitable(result):
            return result
        if lent.loop is None:
            raise DataError("A Python function returned an awaitable, and there is no event loop that could run it.")
        return asyncio.run_coroutine_threadsafe(_awaited(result), lent.loop).result()

    def describe(self, error: BaseException) -> ErrorObject:
        """An exception as Node.js gets it; should it come back, `exception` finds it again."""
        number = next(self._numbers)
        self._exceptions.append((number, error))
        frames = "".join(traceback.format_tb(error.__traceback__)[_OWN_FRAMES:])[-_MOST_CHARACTERS:]
        return {
            "code": PYTHON_ERROR,
            "message": str(error)[:_MOST_CHARACTERS],
            "data": {"name": type(error).__name__, "stack": frames.rstrip(), "python": number},
        }

    def exception(self, number: object) -> BaseException | None:
        """The exception that was described under a number, if it was one of the last few."""
        return next((error for known, error in self._exceptions if known == number), None)


class BorrowedObjects:
    """Which JavaScript objects were let go since Node.js was told last."""

    def __init__(self) -> None:
        # Filled by the garbage collector, which may run within any instruction of any thread: no lock may be needed.
        self._let_go: deque[int] = deque()

    def let_go(self, number: int) -> None:
        """One crossing of an object is no longer held."""
        self._let_go.append(number)

    def __len__(self) -> int:
        return len(self._let_go)

    def take(self) -> list[tuple[int, int]]:
        """Numbers of objects with how many of their crossings were let go."""
        crossings: dict[int, int] = {}
        for _ in range(len(self._let_go)):
            try:
                number = self._let_go.popleft()
            except IndexError:
                break
            crossings[number] = crossings.get(number, 0) + 1
        return list(crossings.items())


class CallbackThreads:
    """Threads that run Python functions for Node.js: as many as run at once, since each may wait for Node.js itself."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)

    def run(self, work: Callable[[], None]) -> None:
        """Run it in a thread that has nothing to do, or in a new one."""
        self._work.put(work)
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._serve, name="pybridge-callback", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                work = self._work.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                # Whoever has taken the token of this thread relies on it.
                if self._idle.acquire(blocking=False):
                    return
                continue
            work()
            del work
            self._idle.release()


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
