"""Runs the frozen part once for each image, in Node, and keeps the activations there."""

from __future__ import annotations

import logging
import math
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pybridge.data import Augmentation, ImageSet
from pybridge.errors import DataError, RemoteError
from pybridge.features.batches import ImageBatch, image_batches
from pybridge.features.memory import FeatureMemory
from pybridge.graphs import Program
from pybridge.progress import progress
from pybridge.rpc import Connection, PendingCall
from pybridge.rpc.runner import Runner
from pybridge.text import printable

logger = logging.getLogger(__name__)

# One batch is computed while the next crosses the pipe.
_IN_FLIGHT = 2
_NAMED_IN_ERRORS = 10
# Programs of extractors that are gone, by the process that holds them. The next extractor frees them: a finalizer may run
# in the middle of a call, where it must not make another.
_ABANDONED: weakref.WeakKeyDictionary[Connection, deque[dict[Path, int]]] = weakref.WeakKeyDictionary()


class FeatureExtractor:
    """Runs chains of programs over images in one Node process; each program is loaded there once.

    Args:
        runner: The Node process. After a crash the programs are loaded anew into its successor.
        memory: The budget of its feature stores; what exceeds it lies in files.

    Attributes:
        runner: The same.
        memory: The same.
    """

    def __init__(self, runner: Runner, memory: FeatureMemory | None = None) -> None:
        self.runner = runner
        self.memory = memory or FeatureMemory()
        # What lies in one process is asked of no other: after a crash that is an error, not a handle that is not known.
        self._connection: Connection | None = None
        self._handles: dict[Path, int] = {}

    def extract(
        self,
        stages: Sequence[Program],
        images: ImageSet,
        *,
        batch_size: int = 32,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        description: str = "Features",
        skip_unreadable: bool = False,
    ) -> tuple[int, NDArray[np.int64]]:
        """Fills a new feature store in Node with what a chain of programs makes of the images.

        Args:
            stages: The preprocessing program, then the frozen part.
            images: Files or pixels.
            batch_size: Images in one call.
            augmentation: Which further views to compute of each image.
            seed: Of the augmentation.
            description: Names the work in the progress bar.
            skip_unreadable: Leave out images that cannot be decoded instead of raising.

        Returns:
            The store's handle, whose row ``i * views + v`` is view ``v`` of image ``i``; and the positions of the images
            that could be read.

        Raises:
            DataError: Images cannot be decoded; every one of them is found first, and they are named.
        """
        store, unreadable = self._fill(
            stages, images, batch_size=batch_size, augmentation=augmentation, seed=seed, description=description
        )
        if unreadable:
            try:
                _report(images, unreadable, raising=not skip_unreadable)
            except DataError:
                self.release(store)
                raise
        readable = np.array([position for position in range(len(images)) if position not in unreadable], dtype=np.int64)
        return store, readable

    def _fill(
        self,
        stages: Sequence[Program],
        images: ImageSet,
        *,
        batch_size: int,
        augmentation: Augmentation | None,
        seed: int,
        description: str,
    ) -> tuple[int, dict[int, str]]:
        """A store as `extract` gives it, and what is wrong with the images that cannot be decoded, by position."""
        views = augmentation.views if augmentation else 1
        handles = self._load(stages)
        connection = self._loaded()
        store = self._create(len(images) * views, stages[-1].output_shape)
        unreadable: dict[int, str] = {}
        running: deque[tuple[ImageBatch, PendingCall]] = deque()
        with progress(len(images) * views, description, "image") as bar:

            def finish_oldest() -> None:
                batch, call = running.popleft()
                for failure in call.result()["failures"]:
                    unreadable[int(batch.images[failure["index"]])] = failure["message"]
                bar.update(len(batch.rows))

            try:
                for batch in image_batches(images, batch_size=batch_size, augmentation=augmentation, seed=seed):
                    unreadable.update(batch.unreadable)
                    if not len(batch.rows):
                        continue
                    if len(running) == _IN_FLIGHT:
                        finish_oldest()
                    parameters = {
                        "store": store,
                        "stages": handles,
                        "signature": batch.signature,
                        "inputs": batch.inputs,
                        "rows": batch.rows,
                    }
                    running.append((batch, connection.submit("features.extract", parameters)))
                while running:
                    finish_oldest()
            except BaseException:
                for _, call in running:
                    call.cancel()
                self.release(store)
                raise
        return store, unreadable

    def compute_readable(
        self, stages: Sequence[Program], images: ImageSet, *, batch_size: int = 32, description: str = "Predicting"
    ) -> tuple[NDArray[np.float32], dict[int, str]]:
        """What a chain of programs makes of those images that can be decoded: float32 of shape (readable, ...).

        Returns:
            That, and what is wrong with the others, by position.
        """
        values = self._computed_at_once(stages, images) if 0 < len(images) <= batch_size else None
        if values is not None:
            return values, {}
        store, unreadable = self._fill(stages, images, batch_size=batch_size, augmentation=None, seed=0, description=description)
        try:
            rows = [position for position in range(len(images)) if position not in unreadable]
            return self.read(store, np.array(rows, np.int32)), unreadable
        finally:
            self.release(store)

    def compute(
        self, stages: Sequence[Program], images: ImageSet, *, batch_size: int = 32, description: str = "Predicting"
    ) -> NDArray[np.float32]:
        """What a chain of programs makes of the images: float32 of shape (images, ...).

        Raises:
            DataError: Images cannot be decoded; they are named.
        """
        values = self._computed_at_once(stages, images) if 0 < len(images) <= batch_size else None
        if values is not None:
            return values
        store, _ = self.extract(stages, images, batch_size=batch_size, description=description)
        try:
            return self.read(store, np.arange(len(images), dtype=np.int32))
        finally:
            self.release(store)

    def read(self, store: int, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Rows of a feature store: float32 of shape (rows, ...)."""
        values: NDArray[np.float32] = self._loaded().call("features.read", {"store": store, "rows": rows})
        return values

    def release(self, *stores: int) -> None:
        """Frees feature stores, unless they went with the Node process that held them."""
        connection = self._loaded()
        for store in stores:
            self.memory.forget(store)
            if connection.usable:
                connection.call("features.dispose", {"store": store})

    def _computed_at_once(self, stages: Sequence[Program], images: ImageSet) -> NDArray[np.float32] | None:
        """One batch in one call, without a store; None where it fails, since only `extract` finds out which image it is."""
        handles = self._load(stages)
        batch = next(image_batches(images, batch_size=len(images)))
        if len(batch.rows) < len(images):
            return None
        parameters = {"stages": handles, "signature": batch.signature, "inputs": batch.inputs}
        with suppress(RemoteError):
            values: NDArray[np.float32] = self._loaded().call("program.run", parameters)
            return values
        return None

    def _create(self, rows: int, shape: tuple[int, ...]) -> int:
        needed = 4 * rows * math.prod(shape)
        connection = self._loaded()
        store: int | None = None
        if self.memory.fits(needed):
            store = connection.call("features.create", {"rows": rows, "shape": list(shape)})
            self.memory.keep(store, needed)
            return store
        logger.info("%.1f GB of activations exceed the memory for them and are kept in a file", needed / 1e9)
        try:
            with self.memory.file(needed, rows) as file:
                store = connection.call("features.create", {"rows": rows, "shape": list(shape), "file": str(file)})
        except BaseException:
            if store is not None:
                self.release(store)
            raise
        return store

    def _loaded(self) -> Connection:
        if self._connection is None:
            self._connection = self.runner.start().connection
        return self._connection

    def _load(self, stages: Sequence[Program]) -> list[int]:
        connection = self.runner.start().connection
        if connection is not self._connection:
            self._connection = connection
            self._handles = {}
            weakref.finalize(self, _ABANDONED.setdefault(connection, deque()).append, self._handles)
            self.memory.forget_all()
        _free_abandoned(connection)
        for stage in stages:
            if stage.folder not in self._handles:
                self._handles[stage.folder] = connection.call("program.load", stage.to_dict())
        return [self._handles[stage.folder] for stage in stages]


def _free_abandoned(connection: Connection) -> None:
    abandoned = _ABANDONED[connection]
    # Not "while abandoned": another thread may take the last one first.
    with suppress(IndexError):
        while True:
            for handle in abandoned.popleft().values():
                connection.call("program.dispose", {"program": handle})


def _report(images: ImageSet, unreadable: dict[int, str], *, raising: bool) -> None:
    named = [
        f"  {printable(images.source(position))}: {message.splitlines()[0]}"
        for position, message in sorted(unreadable.items())[:_NAMED_IN_ERRORS]
    ]
    more = len(unreadable) - len(named)
    text = f"{len(unreadable)} of {len(images)} images cannot be decoded:\n" + "\n".join(named)
    text += f"\n  and {more} more" if more > 0 else ""
    if not raising:
        logger.warning("%s\nThey are left out.", text)
        return
    raise DataError(text, hint="Repair or remove them, or leave them out with skip_unreadable=True (--skip-unreadable).")
