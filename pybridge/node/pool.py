"""Several Node.js processes that share the items of a job."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from pybridge.errors import NodeCrashedError
from pybridge.node.node import Node
from pybridge.runtime.processors import usable_processors

# Items for each process that are taken from the caller before their results are: enough that no process waits.
_AHEAD: Final = 4


class NodePool:
    """Node.js processes that run a function of a script on many items at the same time.

    Args:
        workers: How many processes; by default as many as this process may use cores.
        options: Those of `Node`, for each of them.

    Example:
        >>> with pb.NodePool(4) as pool:
        ...     for answer in pool.map("script.js", "work", items):
        ...         print(answer)
    """

    def __init__(self, workers: int | None = None, **options: Any) -> None:
        cores = usable_processors()
        workers = cores if workers is None else workers
        if workers < 1:
            raise ValueError(f"workers must be at least 1, but is {workers}")
        threads = str(max(1, cores // workers))
        env = {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads, **(options.pop("env", None) or {})}
        options = {"restart": "silent", **options}
        self.nodes = [Node(env=env, **options) for _ in range(workers)]

    def map(
        self, script: str | Path, function: str, items: Iterable[Any], *, ordered: bool = True, timeout: float | None = None
    ) -> Iterator[Any]:
        """The results of an exported function, called with one item each.

        Items are taken and results made only a few ahead of those that the caller has taken.

        Args:
            script: The JavaScript file.
            function: The exported function's name.
            items: Its arguments, one for each call.
            ordered: Whether results come in the order of the items; else as they are ready.
            timeout: Seconds for each call; None waits as long as it takes.

        Raises:
            NodeCrashedError: A process has ended twice at the same item, which the message names.
            RemoteError: The function threw; further items are given up.
        """
        job = _Job(enumerate(items), len(self.nodes) * _AHEAD)

        def serve(node: Node) -> None:
            for number, item in job:
                job.finish(number, _outcome(number, partial(node.call, script, function, item, timeout=timeout)))

        threads = [threading.Thread(target=serve, args=(node,), name="pybridge-pool", daemon=True) for node in self.nodes]
        for thread in threads:
            thread.start()
        try:
            yield from job.in_order() if ordered else job.as_they_come()
        finally:
            job.stop()
            for thread in threads:
                thread.join()

    def close(self) -> None:
        """Ends the processes."""
        for node in self.nodes:
            node.close()

    def __enter__(self) -> NodePool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


Outcome = tuple[bool, Any]
"""Whether a call succeeded, and its result or its error."""


class _Job:
    """Items on the way to the processes, and their outcomes on the way back."""

    def __init__(self, items: Iterator[tuple[int, Any]], most: int) -> None:
        self._items = items
        self._lock = threading.Lock()
        self._room = threading.Semaphore(most)
        self._done: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
        self._taken = 0
        self._stopped = False
        self._is_over = False

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Items for one process."""
        while True:
            self._room.acquire()
            with self._lock:
                if self._stopped or self._is_over:
                    self._room.release()
                    return
                try:
                    number, item = next(self._items)
                except StopIteration:
                    self._end()
                    return
                except BaseException as error:
                    # What the caller's items raise reaches the caller.
                    self._end()
                    self._taken += 1
                    self._done.put((self._taken - 1, (False, error)))
                    return
                self._taken += 1
            yield number, item

    def _end(self) -> None:
        self._is_over = True
        self._room.release()
        self._done.put((-1, (True, None)))

    def finish(self, number: int, outcome: Outcome) -> None:
        self._done.put((number, outcome))

    def stop(self) -> None:
        self._stopped = True
        self._room.release()

    def as_they_come(self) -> Iterator[Any]:
        for _, outcome in self._outcomes():
            yield self._give(outcome)

    def in_order(self) -> Iterator[Any]:
        waiting: dict[int, Outcome] = {}
        expected = 0
        for number, outcome in self._outcomes():
            waiting[number] = outcome
            while expected in waiting:
                yield self._give(waiting.pop(expected))
                expected += 1

    def _outcomes(self) -> Iterator[tuple[int, Outcome]]:
        seen = 0
        while not (self._is_over and seen == self._taken):
            number, outcome = self._done.get()
            if number >= 0:
                seen += 1
                yield number, outcome

    def _give(self, outcome: Outcome) -> Any:
        self._room.release()
        succeeded, content = outcome
        if not succeeded:
            raise content
        return content


def _outcome(number: int, call: Callable[[], Any]) -> Outcome:
    """Calls; where the process ends, once more in a fresh one."""
    try:
        with contextlib.suppress(NodeCrashedError):
            return True, call()
        return True, call()
    except NodeCrashedError as error:
        error.message = f"Item {number} of the pool ended its Node.js process twice. {error.message}"
        error.hint = "Look at what this item is; the others may be well."
        return False, error
    except BaseException as error:
        return False, error
