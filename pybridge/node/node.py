"""One Node.js process for people: load models, predict, train, and call JavaScript functions of your own."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import ArrayLike

from pybridge.loading import Shapes, Source, find_model
from pybridge.node.model import Model
from pybridge.node.proof import prove
from pybridge.node.training import train_model
from pybridge.optimizers import OptimizerName
from pybridge.progress import download_progress
from pybridge.rpc.console import ConsoleTarget
from pybridge.rpc.javascript import JSObject, is_model
from pybridge.rpc.runner import Restart, Runner, RunnerRuntime
from pybridge.rpc.values import Arguments
from pybridge.runtime.bundle import find_bundle
from pybridge.runtime.user_packages import default_packages, install_user_packages
from pybridge.training.callbacks import Callback
from pybridge.training.history import History
from pybridge.training.options import ClassWeight, Engine, Loss, Monitor, Schedule, TrainingOptions
from pybridge.training.run_directory import RunDirectory, is_run


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
        cwd: The process's working directory, from which scripts and modules are looked for: a JavaScript project's folder, with
            its own ``package.json`` and ``node_modules``. By default Python's.
        packages: The folder that `install` fills; by default one of pybridge's cache.

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
        cwd: str | Path | None = None,
        packages: str | Path | None = None,
    ) -> None:
        self.cwd = None if cwd is None else Path(cwd).expanduser().absolute()
        self.packages = default_packages() if packages is None else Path(packages).expanduser().absolute()
        environment = {"PYBRIDGE_PACKAGES": str(self.packages), **(env or {})}
        self.runner = Runner(runtime, env=environment, restart=restart, console=console, cwd=self.cwd)

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
                ImageNet weights; the folder of a SavedModel, or of a run.
            input_shape: For torch and ONNX: the shape of one example, ``(3, height, width)``; for several inputs a list of
                shapes.
            signature: Which signature of a SavedModel; ``serving_default`` by default.
            allow_lambda: Run the Python code of Lambda layers in a Keras file. Allow it only where you trust its author.
            allow_operations: Operations of TensorFlow that a SavedModel may have besides those that compute, such as
                ``["PrintV2"]``. They may read and write files and run code: allow them only where you trust its author.

        Raises:
            ModelFormatError: There is no such model, it is damaged or unsafe, or has layers that cannot be converted.
            ParityError: A torch module or ONNX file answers differently once it is converted; see `pybridge.node.proof`.

        Example:
            >>> model = node.load_model("keras.applications.MobileNetV2")
        """
        if is_run(source):
            _, source = RunDirectory(source).read()
        with download_progress() as report:
            found = find_model(
                source,
                input_shape=input_shape,
                signature=signature,
                allow_lambda=allow_lambda,
                allow_operations=allow_operations,
                progress=report,
            )
        model = Model(self.runner, found.model)
        if found.reference is not None:
            try:
                prove(model, found.reference)
            except BaseException:
                model.dispose()
                raise
        return model

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

    def call(
        self,
        script: str | Path,
        function: str,
        *args: Any,
        timeout: float | None = None,
        on_progress: Callable[[Any], object] | None = None,
    ) -> Any:
        """Runs an exported function of a JavaScript file, sync or async; numpy arrays go in and come out.

        docs/javascript.md has the table of what becomes what.

        Args:
            script: The file, CommonJS, ESM or, where Node.js removes its types, TypeScript.
            function: The exported function's name.
            args: Its arguments: JSON-like values, numpy arrays, bytes, sets, datetimes, a `Model` of this node; and Python
                functions, anywhere in them, that JavaScript calls with ``await``. They run in threads of the connection.
            timeout: Seconds to wait; None waits as long as it takes.
            on_progress: Called in this thread with what the script gives ``this.progress``; what it raises cancels the call.

        Returns:
            What the function returns. An async generator or a stream comes as a `JSIterator`, a ``tf.LayersModel`` as a `Model`.

        Raises:
            RemoteError: The function threw, or the file has no such function. Where a Python function raised that it called, that
                exception is the ``__cause__``.
        """
        parameters = self.call_parameters(script, function, args)
        return self.answered(self.runner.call("script.call", parameters, timeout=timeout, on_progress=on_progress))

    def call_parameters(self, script: str | Path, function: str, args: Sequence[Any]) -> dict[str, Any]:
        """What the runner is told to run a function."""
        path = os.path.expanduser(script)  # noqa: PTH111
        # Path.resolve() would look at each folder on the way, a quarter of what the call takes; Node.js follows links itself.
        path = os.path.abspath(path if self.cwd is None else os.path.join(self.cwd, path))  # noqa: PTH100, PTH118
        return {"path": path, "function": function, "args": Arguments(args)}

    def answered(self, answer: Any) -> Any:
        """What a function returned; a model that JavaScript has made is a `Model`."""
        return Model.from_javascript(self.runner, answer) if is_model(answer) else answer

    @staticmethod
    def is_javascript_model(answer: Any) -> bool:
        """Whether `answered` would make a `Model` of it."""
        return is_model(answer)

    def require(self, specifier: str) -> JSObject:
        """What ``require`` gives: a module by name, or by path from ``cwd``.

        Example:
            >>> path = node.require("node:path")
            >>> path.basename("/a/b.txt")
            'b.txt'
        """
        return self._object("object.require", specifier=specifier, folder=self._folder())

    def import_module(self, specifier: str) -> JSObject:
        """What ``import * as module`` gives: an ES module by name, or by path from ``cwd``. A changed file is read again."""
        return self._object("object.import", specifier=specifier, folder=self._folder())

    def evaluate(self, expression: str, **names: Any) -> Any:
        """The value of a JavaScript expression, which may use ``await`` and the names given.

        Example:
            >>> node.evaluate("a + b", a=1, b=2)
            3
        """
        return self.runner.call("object.evaluate", {"source": expression, "given": names})

    @property
    def globals(self) -> JSObject:
        """``globalThis``."""
        return self.evaluate("globalThis")  # type: ignore[no-any-return]

    def install(self, *packages: str, scripts: bool = False) -> Path:
        """Installs npm packages for `require`, `import_module` and scripts, beside those that are installed.

        They lie in a folder of pybridge's, or in the one that ``packages`` of `Node` names, with a lock file.

        Args:
            packages: Names with versions: ``"lodash@4.17.21"``.
            scripts: Whether the packages' install scripts may run. They can do whatever you can.

        Returns:
            The ``node_modules`` folder.

        Raises:
            SetupError: npm failed.
        """
        return install_user_packages(packages, self.packages, scripts=scripts)

    @staticmethod
    def types_file() -> Path:
        """The TypeScript declarations of what a script's functions receive."""
        return find_bundle().node_runner / "index.d.ts"

    def _object(self, method: str, **parameters: Any) -> JSObject:
        return self.runner.call(method, parameters)  # type: ignore[no-any-return]

    def _folder(self) -> str:
        return str(self.cwd or Path.cwd())

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
