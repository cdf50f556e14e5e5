"""Memory that large arrays are received into, used again when the arrays are gone."""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

# Smaller memory is as fast from the C library, which keeps it by itself.
_SHARED_FROM_BYTES: Final = 2**20
_MAX_IDLE_BYTES: Final = 128 * 2**20


class ReceiveMemory:
    """Lends memory to arrays.

    The kernel clears each page of fresh memory when it is first written, which costs more than half as much as receiving into
    it; on a virtual machine that must get the page from its host, ten times as much. What an array had is therefore kept for the
    next one, 128 MiB at most. It comes back when nothing refers to the array any more, no view of it either: they all hold
    its ``base``. Any thread may lend; memory may come back in any thread, at any time.

    Example:
        >>> memory = ReceiveMemory()
        >>> array = memory.lend(2**20).view(np.float32)
    """

    def __init__(self) -> None:
        # Its single operations are atomic. A lock could be held by the very thread in which the garbage collector gives back.
        self._idle: deque[Bytes] = deque()

    @property
    def idle_bytes(self) -> int:
        """How much memory is kept."""
        return sum(memory.nbytes for memory in list(self._idle))

    def lend(self, nbytes: int) -> Bytes:
        """A writable array of so many bytes, with arbitrary content: uint8 of shape (nbytes,)."""
        if nbytes < _SHARED_FROM_BYTES:
            return np.empty(nbytes, np.uint8)
        lease = _Lease(self._take(nbytes), nbytes)
        weakref.finalize(lease, self._give_back, lease.memory).atexit = False
        return np.asarray(lease)

    def _take(self, nbytes: int) -> Bytes:
        for _ in range(len(self._idle)):
            try:
                memory = self._idle.pop()
            except IndexError:
                break
            # An array that is much smaller would keep all the rest from others.
            if nbytes <= memory.nbytes <= 2 * nbytes:
                return memory
            self._idle.appendleft(memory)
        return np.empty(nbytes, np.uint8)

    def _give_back(self, memory: Bytes) -> None:
        if memory.nbytes > _MAX_IDLE_BYTES:
            return
        self._idle.append(memory)
        while self.idle_bytes > _MAX_IDLE_BYTES:
            try:
                self._idle.popleft()
            except IndexError:
                return


class _Lease:
    """The ``base`` of an array over lent memory."""

    def __init__(self, memory: Bytes, nbytes: int) -> None:
        self.memory = memory
        self.__array_interface__: dict[str, Any] = {**memory[:nbytes].__array_interface__}
