"""A Node.js process within asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import ArrayLike

from pybridge.node.model import Model
from pybridge.node.node import Node


class AsyncNode:
    """One Node.js process whose functions are awaited: hundreds of calls in flight, and no thread for each.

    Cancelling a task cancels its call: ``this.signal`` fires in JavaScript. An async function may be given as an argument; it
    runs in the event loop that gave it.

    Args:
        options: Those of `Node`.

    Attributes:
        node: The same process for all else, such as ``load_model``; what it does keeps a thread waiting.

    Example:
        >>> async with pb.AsyncNode() as node:
        ...     answers = await asyncio.gather(*(node.call("script.js", "answer", question) for question in questions))
    """

    def __init__(self, **options: Any) -> None:
        self.node = Node(**options)

    async def call(
        self,
        script: str | Path,
        function: str,
        *args: Any,
        timeout: float | None = None,
        on_progress: Callable[[Any], object] | None = None,
    ) -> Any:
        """Runs an exported function of a JavaScript file; see `Node.call`.

        Args:
            script: The file.
            function: The exported function's name.
            args: Its arguments.
            timeout: Seconds to wait; None waits as long as it takes.
            on_progress: Called in the event loop with what the script gives ``this.progress``.

        Raises:
            RemoteError: The function threw, or the file has no such function.
            NodeCrashedError: Node.js ended first.
            CallTimeoutError: The time ran out.
            asyncio.CancelledError: The task was cancelled; so is the call.
        """
        runner = self.node.runner
        if not runner.alive:
            await asyncio.to_thread(runner.start)
        parameters = self.node.call_parameters(script, function, args)
        answer = await runner.start().connection.call_async("script.call", parameters, timeout=timeout, on_progress=on_progress)
        if not self.node.is_javascript_model(answer):
            return answer
        return await asyncio.to_thread(self.node.answered, answer)

    async def predict(self, model: Model, x: ArrayLike, *, batch_size: int = 32) -> Any:
        """A model's outputs, as `Model.predict` gives them; a thread waits for them."""
        return await asyncio.to_thread(model.predict, x, batch_size=batch_size)

    async def close(self) -> None:
        """Ends the process."""
        await asyncio.to_thread(self.node.close)

    async def __aenter__(self) -> AsyncNode:
        await asyncio.to_thread(self.node.runner.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
