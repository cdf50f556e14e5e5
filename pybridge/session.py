"""A session: one Node.js process and one TensorFlow process, shared by what works together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property

from pybridge.data import Preprocessing
from pybridge.features import FeatureExtractor, FeatureMemory
from pybridge.graphs import Program, TensorFlowProcess, are_cached, programs_for, shared_tensorflow
from pybridge.rpc.runner import Runner
from pybridge.runtime import Runtime, ensure
from pybridge.tfjs.layers_model import LayersModel

logger = logging.getLogger(__name__)


class Session:
    """What lends work its processes: Node.js, which computes, and Python's TensorFlow, which traces and proves.

    Making one starts nothing: each process starts when it is first needed, and after a crash again. The session ends what it
    started, and leaves alone what it was given. It belongs to its Python process, is neither copied nor saved.

    Args:
        runner: A Node.js process to work in, which stays its owner's; by default the session has its own.
        feature_memory: How many bytes of cached activations may lie in memory; by default half of what is free.

    Attributes:
        runner: The Node.js process.
        owns_runner: Whether it is the session's own.
        extractor: Runs programs over images there; each program is loaded once.

    Example:
        >>> with Session() as session, session.tensorflow():
        ...     stages = session.programs([base.preprocessing, base.model])
        ...     features = session.extractor.compute(stages, images)
    """

    def __init__(self, runner: Runner | None = None, *, feature_memory: int | None = None) -> None:
        self.owns_runner = runner is None
        self.runner = Runner() if runner is None else runner
        self.extractor = FeatureExtractor(self.runner, FeatureMemory(feature_memory))

    @cached_property
    def runtime(self) -> Runtime:
        """The Node.js side; set up if need be, which takes a minute or so.

        Raises:
            NodeNotFoundError: There is no suitable Node.js.
            SetupError: The Node.js side cannot be set up.
        """
        return ensure(report=logger.info)

    def tensorflow(self) -> AbstractContextManager[TensorFlowProcess]:
        """Holds Python's TensorFlow process, which starts with its first job, until the end of the ``with`` block.

        Whoever holds it at the same time, in this session or another, has the same process: TensorFlow is imported once, and
        not at all where everything is in the cache. What is traced outside of such a block has a process of its own.
        """
        return shared_tensorflow(self.runtime.environment())

    def programs(self, sources: Sequence[Preprocessing | LayersModel]) -> list[Program]:
        """The programs of preprocessings and models; what is not in the cache is traced.

        Args:
            sources: See `pybridge.graphs.programs_for`.

        Raises:
            ModelFormatError: A model has a layer that cannot be traced.
            BridgeError: TensorFlow's process failed.
        """
        return programs_for(sources, self.runtime)

    def start_for(self, sources: Sequence[Preprocessing | LayersModel]) -> None:
        """Starts both processes, beside each other, if one of these has to be traced; for work that holds `tensorflow`."""
        if not are_cached(sources, self.runtime):
            with self.tensorflow() as tensorflow:
                # TensorFlow is imported while Node.js starts.
                tensorflow.start()
                self.runner.start()

    def close(self) -> None:
        """Ends the Node.js process, if it is the session's own; the session cannot compute any more."""
        if self.owns_runner:
            self.runner.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
