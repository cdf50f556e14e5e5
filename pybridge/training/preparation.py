"""Which engine trains, and the graph that it needs; found out in the background, while other work goes on."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import get_args

from pybridge.errors import ModelFormatError
from pybridge.graphs import TensorFlowProcess, shared_tensorflow
from pybridge.graphs.training.cache import is_training_cached, training_program_for
from pybridge.graphs.training.program import TrainingProgram, TrainingRecipe
from pybridge.progress import progress
from pybridge.runtime import Runtime
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.option_descriptions import one_of
from pybridge.training.options import Engine, EngineName, TrainingOptions

logger = logging.getLogger(__name__)

# A cancelled tracing is over as soon as its process is killed; one that waits for another process's lock is left to itself.
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class EngineChoice:
    """An engine, and its graph where it needs one.

    Attributes:
        engine: Its name.
        program: Of the engine ``compiled``.
    """

    engine: EngineName
    program: TrainingProgram | None = None


class EnginePreparation:
    """The choice of an engine, under way.

    ``auto`` takes ``compiled`` where Keras can train the model as TensorFlow.js would, else ``layers``, and logs why. Where
    the graph is not in the cache it is traced in a thread: it depends on topology and shapes alone, so that features can be
    extracted meanwhile.

    Args:
        engine: Its name, or ``auto``.
        model: What shall train; its weights' values do not matter.
        options: How.
        runtime: Whose TensorFlow traces.
        tensorflow: A process to trace in; by default the shared one.

    Raises:
        ValueError: There is no such engine.

    Example:
        >>> preparation = EnginePreparation("auto", model, TrainingOptions(), ensure())
        >>> preparation.result().engine
        'compiled'
    """

    def __init__(
        self,
        engine: Engine,
        model: LayersModel,
        options: TrainingOptions,
        runtime: Runtime,
        tensorflow: TensorFlowProcess | None = None,
    ) -> None:
        one_of("engine", engine, get_args(Engine))
        self._engine = engine
        self._program: TrainingProgram | None = None
        self._error: BaseException | None = None
        self._stack = ExitStack()
        self._tensorflow = tensorflow
        self._thread: threading.Thread | None = None
        if engine == "layers":
            return
        recipe = recipe_of(options)
        if is_training_cached(model, recipe, runtime):
            self._trace(model, recipe, runtime)
            return
        if self._tensorflow is None:
            self._tensorflow = self._stack.enter_context(shared_tensorflow(runtime.environment()))
        self._tensorflow.start()
        self._thread = threading.Thread(target=self._trace, args=(model, recipe, runtime), name="pybridge-tracing", daemon=True)
        self._thread.start()

    def result(self) -> EngineChoice:
        """Waits for the choice.

        Raises:
            ModelFormatError: ``compiled`` was asked for, and cannot train the model.
            BridgeError: TensorFlow's process died.
        """
        if self._thread is not None and self._thread.is_alive():
            with progress(1, "Tracing the training (once)", "job") as bar:
                self._thread.join()
                bar.update()
        if self._engine == "layers":
            return EngineChoice("layers")
        if self._program is not None:
            return EngineChoice("compiled", self._program)
        assert self._error is not None
        if not isinstance(self._error, ModelFormatError):
            raise self._error
        if self._engine == "compiled":
            self._error.hint = self._error.hint or 'Train it with engine="layers", or leave the choice to engine="auto".'
            raise self._error
        logger.warning(
            "This model trains with TensorFlow.js alone (engine layers), which is slower: %s",
            self._error.message.strip().splitlines()[0],
        )
        return EngineChoice("layers")

    def close(self) -> None:
        """Gives up what is still under way."""
        if self._thread is not None and self._thread.is_alive() and self._tensorflow is not None:
            assert self._thread.ident is not None
            self._tensorflow.cancel(self._thread.ident)
            self._thread.join(_PATIENCE_SECONDS)
        self._stack.close()

    def __enter__(self) -> EnginePreparation:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _trace(self, model: LayersModel, recipe: TrainingRecipe, runtime: Runtime) -> None:
        try:
            self._program = training_program_for(model, recipe, runtime, self._tensorflow)
        except BaseException as error:  # raised again by result(), in the thread that waits for it
            self._error = error


def recipe_of(options: TrainingOptions) -> TrainingRecipe:
    """What of the options is built into the graph of the compiled engine."""
    return TrainingRecipe(
        optimizer=options.chosen_optimizer.algorithm,
        loss=options.loss,
        momentum=options.chosen_optimizer.takes_momentum and options.momentum > 0,
        nesterov=options.nesterov,
        weight_decay=options.decay > 0,
        global_clipnorm=options.global_clipnorm is not None,
        label_smoothing=options.label_smoothing > 0,
        mixup=options.mixup > 0,
        hold_batch_normalization=options.hold_batch_normalization,
    )
