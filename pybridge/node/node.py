"""One Node.js process for people: load models, predict, train, and call JavaScript functions of your own."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import ArrayLike

from pybridge.loading import Shapes, Source, open_model
from pybridge.node.model import Model
from pybridge.node.training import train_model
from pybridge.optimizers import OptimizerName
from pybridge.progress import download_progress
from pybridge.rpc.console import ConsoleTarget
from pybridge.rpc.runner import Restart, Runner, RunnerRuntime
from pybridge.rpc.values import Arguments
from pybridge.training.callbacks import Callback
from pybridge.training.history import History
from pybridge.training.options import ClassWeight, Engine, Loss, Monitor, Schedule, TrainingOptions


class Node:
    """One Node.js process. The first use on a machine sets up the Node.js side, which takes a minute or so.

    Args:
        env: More environment variables for the process.
        runtime: Which Node.js and which packages; by default what `pybridge setup` installs.
        restart: What follows when Node.js has ended by itself, for instance of an error in a timer, and with it the state of your
            scripts. ``raise``: the next call says so with `NodeCrashedError`, the one after it has a fresh process. ``silent``:
            the next call has one. ``never``: all further calls fail.
        console: Where goes what your JavaScript prints: ``print``, where Python prints; ``log``, to the logger ``pybridge.node``;
            ``silent``; or a function that is called with ``"stdout"`` or ``"stderr"`` and each line.

    Example:
        >>> with pb.Node() as node:
        ...     model = node.load_model("efficientnet_lite0")
        ...     probabilities = model.predict(images)
    """

    def __init__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        runtime: RunnerRuntime | None = None,
        restart: Restart = "raise",
        console: ConsoleTarget = "print",
    ) -> None:
        self.runner = Runner(runtime, env=env, restart=restart, console=console)

    def load_model(
        self,
        source: Source,
        *,
        input_shape: Shapes | None = None,
        signature: str | None = None,
        allow_lambda: bool = False,
        allow_operations: Collection[str] = (),
    ) -> Model:
        """Loads a model of any kind.

        Models of layers (TF.js layers, Keras, torch, ONNX) run as a ``tf.LayersModel`` and train further. TF.js graph models and
        SavedModels predict as they are, a SavedModel on the TensorFlow of Node itself; they train where their graph can be
        lifted back into layers.

        Args:
            source: A name of the zoo; an http(s) address of a ``model.json``, its path or folder; a `LayersModel`, Keras model or
                ``torch.nn.Module`` in memory; a ``.keras``, ``.h5`` or ``.onnx`` file; ``keras.applications.NAME`` with its
                ImageNet weights; the folder of a SavedModel.
            input_shape: For torch and ONNX: the shape of one example, ``(3, height, width)``; for several inputs a list of
                shapes.
            signature: Which signature of a SavedModel; ``serving_default`` by default.
            allow_lambda: Run the Python code of Lambda layers in a Keras file. Allow it only where you trust its author.
            allow_operations: Operations of TensorFlow that a SavedModel may have besides those that compute, such as
                ``["PrintV2"]``. They may read and write files and run code: allow them only where you trust its author.

        Raises:
            ModelFormatError: There is no such model, it is damaged or unsafe, or has layers that cannot be converted.

        Example:
            >>> model = node.load_model("keras.applications.MobileNetV2")
        """
        with download_progress() as report:
            found = open_model(
                source,
                input_shape=input_shape,
                signature=signature,
                allow_lambda=allow_lambda,
                allow_operations=allow_operations,
                progress=report,
            )
        return Model(self.runner, found)

    def train(
        self,
        model: Model,
        x: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        callbacks: Sequence[Callback | Any] = (),
        loss: Loss | None = None,
        optimizer: OptimizerName = "adam",
        learning_rate: float = 1e-3,
        seed: int = 0,
        patience: int | None = None,
        monitor: Monitor | None = None,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        global_clipnorm: float | None = None,
        schedule: Schedule = "constant",
        warmup_epochs: float = 0.0,
        class_weight: ClassWeight = None,
        sample_weight: ArrayLike | None = None,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        engine: Engine = "auto",
    ) -> History:
        """Trains all trainable weights of a model in Node; afterwards the model has the best weights.

        A graph model or SavedModel is lifted into layers first, and is a layers model from then on.

        Args:
            model: A model of this node with one input and one output.
            x: Inputs, float32 of shape (N, ...).
            y: Targets: int classes of shape (N,), or float32 of the model's output shape.
            epochs: Epochs at most.
            batch_size: Examples in a training step.
            validation_data: ``(x, y)`` to judge the weights by; without it the training loss decides.
            callbacks: As in Keras; see `pybridge.callbacks`. Keras's own EarlyStopping, ReduceLROnPlateau, LearningRateScheduler,
                TerminateOnNaN, ModelCheckpoint, CSVLogger and TensorBoard work too; others are refused.
            loss: A Keras loss name; by default cross-entropy where the targets are classes or the output is a softmax
                or sigmoid, else the mean squared error.
            optimizer: ``adam``, ``sgd`` or another of `pybridge.optimizers`.
            learning_rate: Of the first epoch.
            seed: Of the order of the examples and of dropout.
            patience: Epochs without improvement of ``monitor`` before training stops; None to train all epochs.
            monitor: What the best weights are judged by: ``val_loss``, ``val_accuracy``, ``loss`` or ``accuracy``. By default
                ``val_loss``, or ``loss`` without validation data.
            momentum: For ``sgd``.
            nesterov: Whether the momentum is Nesterov's.
            weight_decay: Decoupled weight decay of kernels.
            global_clipnorm: Gradients that are longer, all of them together, are shortened to this; None for none.
            schedule: How the learning rate goes over the epochs: ``constant``, ``cosine`` or ``one_cycle``.
            warmup_epochs: Epochs, or parts of one, over which the rate rises to its value.
            class_weight: ``"balanced"``, or a dict from class to weight; for targets that are classes.
            sample_weight: How much each example counts in the loss, float32 of shape (N,).
            label_smoothing: Share of the target that is spread over all classes; for targets that are classes.
            mixup: Trains on mixtures of two examples; both parameters of the beta distribution of their shares, 0 for none.
            engine: ``compiled``: a graph that Python's Keras traces once and Node's TensorFlow runs, several times as fast.
                ``layers``: TensorFlow.js's own gradients and optimizers. ``auto``: ``compiled`` where it can train the model,
                else ``layers``, which is logged; ``history.engine`` names the one in use.

        Raises:
            ModelFormatError: The model is a graph that cannot be lifted into layers, or has several inputs or outputs.
            DataError: The arrays do not fit the model.
        """
        options = TrainingOptions(
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
            global_clipnorm=global_clipnorm,
            label_smoothing=label_smoothing,
            mixup=mixup,
            schedule=schedule,
            warmup_epochs=warmup_epochs,
            patience=patience,
            monitor=monitor,
            engine=engine,
            seed=seed,
            hold_batch_normalization=False,
        )
        return train_model(
            self.runner,
            model,
            x,
            y,
            options,
            loss=loss,
            validation_data=validation_data,
            class_weight=class_weight,
            sample_weight=sample_weight,
            callbacks=callbacks,
        )

    def call(self, script: str | Path, function: str, *args: Any, timeout: float | None = None) -> Any:
        """Runs an exported function of a JavaScript file, sync or async; numpy arrays go in and come out.

        Args:
            script: The file, CommonJS or ESM.
            function: The exported function's name.
            args: Its arguments: JSON-like values, numpy arrays, bytes.
            timeout: Seconds to wait; None waits as long as it takes.

        Raises:
            RemoteError: The function threw, or the file has no such function.
        """
        # Path.resolve() would look at each folder on the way, a quarter of what the call takes; Node.js follows links itself.
        path = os.path.abspath(os.path.expanduser(script))  # noqa: PTH100, PTH111
        return self.runner.call("script.call", {"path": path, "function": function, "args": Arguments(args)}, timeout=timeout)

    def close(self) -> None:
        """Ends the process; models that it held are gone."""
        self.runner.close()

    def __enter__(self) -> Node:
        self.runner.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Node:
        # A process cannot be copied; scikit-learn's clone() of an estimator shares it.
        return self
