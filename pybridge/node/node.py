"""One Node.js process for people: load models, predict, train, and call JavaScript functions of your own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybridge.data import class_weights
from pybridge.errors import DataError, ModelFormatError
from pybridge.loading import OpenedModel, SavedModel, Source, lift, open_model
from pybridge.progress import download_progress, progress
from pybridge.rpc.console import ConsoleTarget
from pybridge.rpc.runner import Restart, Runner, RunnerRuntime
from pybridge.rpc.values import Arguments
from pybridge.saving import SaveReport, save_model
from pybridge.tfjs.graph import parse_nested
from pybridge.tfjs.graph_model import GraphModel
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.port import Port
from pybridge.tfjs.structure import check_topology
from pybridge.training.callbacks import Callback
from pybridge.training.engines import create_trainer
from pybridge.training.history import History
from pybridge.training.loop import FitSettings, fit
from pybridge.training.trainer import AUTO, Examples, TrainerSettings

_INTEGERS = ("int32", "int64", "uint8")

# Layers behind the one whose activation says what the outputs are.
_CHANGE_NO_VALUES = {"Dropout", "Flatten", "Reshape"}


@dataclass(frozen=True)
class LayerInfo:
    """A layer of a model that Node holds."""

    name: str
    class_name: str
    shape: Any
    parameters: int
    trainable: bool


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
        input_shape: Sequence[int] | None = None,
        signature: str | None = None,
        allow_lambda: bool = False,
    ) -> Model:
        """Loads a model of any kind.

        Models of layers (TF.js layers, Keras, torch, ONNX) run as a ``tf.LayersModel`` and train further. TF.js graph models and
        SavedModels predict as they are, a SavedModel on the TensorFlow of Node itself; they train where their graph can be
        lifted back into layers.

        Args:
            source: A name of the zoo; an http(s) address of a ``model.json``, its path or folder; a `LayersModel`, Keras model or
                ``torch.nn.Module`` in memory; a ``.keras``, ``.h5`` or ``.onnx`` file; ``keras.applications.NAME`` with its
                ImageNet weights; the folder of a SavedModel.
            input_shape: For torch: the shape of one example, ``(3, height, width)``.
            signature: Which signature of a SavedModel; ``serving_default`` by default.
            allow_lambda: Run the Python code of Lambda layers in a Keras file. Allow it only where you trust its author.

        Raises:
            ModelFormatError: There is no such model, it is damaged or unsafe, or has layers that cannot be converted.

        Example:
            >>> model = node.load_model("keras.applications.MobileNetV2")
        """
        with download_progress() as report:
            found = open_model(source, input_shape=input_shape, signature=signature, allow_lambda=allow_lambda, progress=report)
        return Model(self, found)

    def train(
        self,
        model: Model,
        x: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        callbacks: Sequence[Callback] = (),
        loss: str | None = None,
        optimizer: str = "adam",
        learning_rate: float = 1e-3,
        seed: int = 0,
        patience: int | None = None,
        monitor: str | None = None,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        global_clipnorm: float | None = None,
        schedule: str = "constant",
        warmup_epochs: float = 0.0,
        class_weight: Any = None,
        sample_weight: ArrayLike | None = None,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        engine: str = AUTO,
    ) -> History:
        """Trains all trainable weights of a model in Node; afterwards the model has the best weights.

        A graph model or SavedModel is lifted into layers first, and is a layers model from then on.

        Args:
            model: A model of this node with one input and one output.
            x: Inputs, float32 of shape (N, ...).
            y: Targets: int classes of shape (N,), or float32 of the model's output shape.
            epochs: Epochs at most.
            batch_size: Examples in a step.
            validation_data: ``(x, y)`` to judge the weights by; without it the training loss decides.
            callbacks: As in Keras; see `pybridge.callbacks`.
            loss: A Keras loss name; by default cross-entropy where the targets are classes or the output is a softmax
                or sigmoid, else the mean squared error.
            optimizer: ``adam``, ``adamw``, ``rmsprop`` or ``sgd``.
            learning_rate: Of the first epoch.
            seed: Of the order of the examples and of dropout.
            patience: Stop after so many epochs without improvement; None trains them all.
            monitor: The metric that decides; ``val_loss`` by default, or ``loss``.
            momentum: For ``sgd``.
            nesterov: Whether the momentum is Nesterov's.
            weight_decay: Decoupled decay of kernels.
            global_clipnorm: Gradients that are longer, all of them together, are shortened to this.
            schedule: Of the learning rate: ``constant``, ``cosine`` or ``one_cycle``.
            warmup_epochs: Epochs, or parts of one, over which the rate rises to its value.
            class_weight: ``"balanced"``, or a dict from class to weight; for targets that are classes.
            sample_weight: How much each example counts in the loss, float32 of shape (N,).
            label_smoothing: Share of the target that is spread over all classes; for targets that are classes.
            mixup: Trains on mixtures of two examples; both parameters of the beta distribution of their shares.
            engine: ``compiled``: a graph that Python's Keras traces once. ``layers``: TensorFlow.js's own gradients. ``auto``:
                the former where it can train the model, else the latter, which is logged.

        Raises:
            ModelFormatError: The model is a graph that cannot be lifted into layers, or has several inputs or outputs.
            DataError: The arrays do not fit the model.
        """
        source = model.become_layers()
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise ModelFormatError(
                f"The model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; only models with one of each train",
                hint="Train it in Keras, or train a part of it that has one of each.",
            )
        if not any(layer.trainable and layer.parameters for layer in model.layers):
            raise ModelFormatError("The model has no trainable weights", hint="Unfreeze a layer that has weights.")
        chosen = loss or _default_loss(source, y)
        if (label_smoothing or class_weight is not None) and chosen != "sparse_categorical_crossentropy":
            raise ValueError(f"label_smoothing and class_weight need targets that are classes; the loss is {chosen}")
        limits = FitSettings(
            epochs,
            batch_size,
            learning_rate,
            seed,
            patience,
            monitor,
            schedule=schedule,
            warmup_epochs=warmup_epochs,
            mixup=mixup,
        )
        settings = TrainerSettings(
            optimizer=optimizer,
            learning_rate=learning_rate,
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
            global_clipnorm=global_clipnorm,
            loss=chosen,
            mixup=mixup > 0,
            label_smoothing=label_smoothing,
            seed=seed,
            hold_batch_normalization=False,
        )
        inputs, targets = _pair(model, x, y, chosen)
        shares = _shares(targets, model.outputs[0].shape[-1], class_weight, sample_weight)
        trainer = create_trainer(engine, self.runner, source, settings)
        stores: list[int] = []

        def examples(values: NDArray[Any], labels: NDArray[Any], shares: NDArray[np.float32] | None = None) -> Examples:
            stores.append(self.runner.call("features.put", {"values": values}))
            return Examples(stores[-1], labels, sample_weights=shares)

        try:
            training = examples(inputs, targets, shares)
            validation = None
            if validation_data is not None:
                validation = examples(*_pair(model, *validation_data, chosen))
            result = fit(trainer, training, validation, limits, callbacks=callbacks)
            model.replace_weights(trainer.weights())
        finally:
            trainer.dispose()
            for store in stores:
                if self.runner.alive:
                    self.runner.call("features.dispose", {"store": store})
        return result.history

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


class Model:
    """A model that a Node.js process holds. If the process dies, the model is loaded anew at its next use.

    Made by `Node.load_model`.
    """

    def __init__(self, node: Node, source: OpenedModel) -> None:
        self._node = node
        self._source = source
        self._generation = 0
        self._handle = 0
        self.inputs: list[Port] = []
        self.outputs: list[Port] = []
        self.layers: list[LayerInfo] = []
        self._load()

    @property
    def source(self) -> OpenedModel:
        """What was loaded."""
        return self._source

    @property
    def handle(self) -> int:
        """The model's number in its Node.js process, where it is loaded if need be."""
        self._load()
        return self._handle

    def predict(self, x: ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike], *, batch_size: int = 32) -> Any:
        """The model's outputs for a batch of inputs.

        Args:
            x: One array of shape (N, ...), or for a model with several inputs a list of them in the order of ``inputs``, or a
                dict by their names.
            batch_size: How many examples Node computes at once; a model that fixes this number overrides it.

        Returns:
            One array, or a list of them for a model with several outputs.

        Raises:
            DataError: The arrays do not fit the model's inputs.
            ValueError: ``batch_size`` is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, but is {batch_size}")
        self._load()
        inputs = self.as_inputs(x)
        if not len(inputs[0]):
            return self._no_outputs()
        batch_size = self._fixed_batch(len(inputs[0])) or batch_size
        with progress(len(inputs[0]), "Predicting", "example") as bar:
            seen = 0

            def report(value: dict[str, int]) -> None:
                nonlocal seen
                bar.update(value["examples"] - seen)
                seen = value["examples"]

            parameters = {"model": self._handle, "inputs": inputs, "batchSize": batch_size}
            outputs: list[NDArray[Any]] = self._node.runner.call("model.predict", parameters, on_progress=report)
        return outputs[0] if len(outputs) == 1 else outputs

    def layers_model(self) -> LayersModel:
        """Topology and weights, for further work in Python; a graph is lifted back into layers.

        Raises:
            ModelFormatError: It is a graph with operations that no layer computes; the message names them.
        """
        return lift(self._source)

    def become_layers(self) -> LayersModel:
        """Lifts a graph into layers, as which the model answers from now on; a layers model stays as it is.

        Raises:
            ModelFormatError: The graph has operations that no layer computes; the message names them.
        """
        layers = self.layers_model()
        if layers is not self._source:
            self.dispose()
            self._source = layers
            self._load()
        return layers

    def replace_weights(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Gives the model other values for some or all of its weights."""
        source = self.become_layers()
        self.dispose()
        self._source = replace(source, weights={**source.weights, **weights})
        self._load()

    def save(
        self,
        folder: str | Path,
        format: str = "tfjs_layers",  # noqa: A002, the name is Keras's
        *,
        precision: str = "float32",
    ) -> SaveReport:
        """Saves the model, opens what was saved, and compares the two before returning.

        Args:
            folder: Where to; must not exist, or be empty.
            format: - ``tfjs_layers``: a ``model.json`` with weight files, as `tf.loadLayersModel` takes it;
                - ``tfjs_graph``: for `tf.loadGraphModel`, smaller and faster, but not to be trained; needs the extra
                  ``tensorflowjs``;
                - ``saved_model``: for TensorFlow in any language;
                - ``keras``: a Keras 3 file, ready to train in Python; ``folder`` may be its name, ending in ``.keras``.
            precision: Of the weights: ``float32``, ``float16``, ``uint16`` or ``uint8``. ``saved_model`` and ``keras`` then hold
                rounded weights in variables of float32.

        Returns:
            How far the saved model is from the one in memory: 0 for ``tfjs_layers`` in float32; with other kernels at most 1e-4
            of the largest output; with a lower precision each weight is held to its bound, and the outputs' drift is reported.

        Raises:
            ParityError: What was saved answers differently; nothing is left behind.
            BridgeError: The folder holds something already.
            SetupError: The extra ``tensorflowjs`` is needed.

        Example:
            >>> print(model.save("small", precision="uint8"))
            small: tfjs_layers, uint8, 4.8 MB, differs by at most 0.0123
        """
        self._load()
        return save_model(
            self._source,
            Path(folder).expanduser(),
            format=format,
            precision=precision,
            inputs=self._examples(),
            answer=self._answer,
        )

    def dispose(self) -> None:
        """Frees the model in Node; the next use loads it again."""
        if self._node.runner.alive and self._generation == self._node.runner.generation:
            self._node.runner.call("model.dispose", {"model": self._handle})
        self._generation = 0

    def as_inputs(self, x: ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]) -> list[NDArray[Any]]:
        """Checks arrays against the model's inputs and gives them in the dtypes that it takes.

        Raises:
            DataError: Their number or shapes do not fit.
        """
        if isinstance(x, Mapping):
            names = [port.name for port in self.inputs]
            if set(x) != set(names):
                raise DataError(f"The model has the inputs {names}, but {list(x)} were given")
            x = [x[name] for name in names]
        arrays: list[Any] = [x] if len(self.inputs) == 1 and not self._is_listed(x) else list(x)  # type: ignore[arg-type]
        if len(arrays) != len(self.inputs):
            raise DataError(f"The model has {len(self.inputs)} inputs, but {len(arrays)} arrays were given")
        checked = [_as_input(array, port) for array, port in zip(arrays, self.inputs, strict=True)]
        if len({len(array) for array in checked}) > 1:
            raise DataError(f"The inputs have different numbers of examples: {[len(array) for array in checked]}")
        return checked

    def _is_listed(self, x: Any) -> bool:
        # [array] for a model with one input; a list of numbers is an array itself.
        return isinstance(x, list | tuple) and len(x) == 1 and np.ndim(x[0]) == len(self.inputs[0].shape)

    def _load(self) -> None:
        runner = self._node.runner
        runner.start()
        if self._generation == runner.generation:
            return
        if isinstance(self._source, GraphModel):
            loaded = runner.call("model.loadGraph", {"path": str(self._source.file.resolve())})
        elif isinstance(self._source, SavedModel):
            loaded = runner.call("model.loadSavedModel", self._source.to_dict())
        else:
            # TF.js would search for ever for a layer that there is not.
            check_topology(self._source.topology)
            weights = self._source.weights
            loaded = runner.call(
                "model.loadLayers",
                {"topology": self._source.topology, "names": list(weights), "weights": list(weights.values())},
            )
        self._generation = runner.generation
        self._handle = loaded["model"]
        self.inputs = [_port(port) for port in loaded["inputs"]]
        self.outputs = [_port(port) for port in loaded["outputs"]]
        self.layers = [
            LayerInfo(layer["name"], layer["className"], layer["shape"], layer["parameters"], layer["trainable"])
            for layer in loaded["layers"]
        ]

    def _no_outputs(self) -> Any:
        # TensorFlow.js refuses batches of no examples.
        empty = [np.empty((0, *(size or 0 for size in port.shape[1:])), port.dtype) for port in self.outputs]
        return empty[0] if len(empty) == 1 else empty

    def _fixed_batch(self, examples: int) -> int | None:
        fixed = self.inputs[0].shape[0]
        if fixed is not None and examples % fixed:
            raise DataError(
                f"The model takes {fixed} examples at once, and {examples} is no multiple of that",
                hint="Add examples, or export it with a free batch size.",
            )
        return fixed

    def _examples(self) -> dict[str, NDArray[Any]]:
        """Random inputs of a shape that the model takes; whole numbers are 0 or 1, which any table of words has."""
        random = np.random.default_rng(0)
        examples: dict[str, NDArray[Any]] = {}
        for port in self.inputs:
            free = 64 if len(port.shape) == 4 else 8
            shape = [port.shape[0] or 2, *(size or free for size in port.shape[1:])]
            whole = port.dtype in _INTEGERS or port.dtype == "bool"
            examples[port.name] = random.integers(0, 2, shape) if whole else random.uniform(-1, 1, shape).astype(np.float32)
        return examples

    def _answer(self, source: OpenedModel, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        model = self if source is self._source else Model(self._node, source)
        try:
            outputs = model.predict(inputs)
        finally:
            if model is not self:
                model.dispose()
        return outputs if isinstance(outputs, list) else [outputs]

    def __repr__(self) -> str:
        parameters = sum(layer.parameters for layer in self.layers)
        shapes = ", ".join(str(port.shape) for port in self.inputs), ", ".join(str(port.shape) for port in self.outputs)
        return f"Model({len(self.layers)} layers, {parameters:,} parameters, {shapes[0]} -> {shapes[1]})"


def _port(description: dict[str, Any]) -> Port:
    return Port(description["name"], tuple(description["shape"]), description["dtype"])


def _as_input(array: ArrayLike, port: Port) -> NDArray[Any]:
    values = np.asarray(array)
    if values.dtype.kind not in "fiub":
        raise DataError(f"The input {port.name} must be numbers, not {values.dtype}")
    expected = port.shape
    fits = len(values.shape) == len(expected) and all(
        size is None or size == given for size, given in zip(expected[1:], values.shape[1:], strict=True)
    )
    if not fits:
        hint = "For a single example add an axis: x[None]." if len(values.shape) == len(expected) - 1 else None
        raise DataError(f"The input {port.name} must have the shape {expected}, not {values.shape}", hint=hint)
    dtype = np.int32 if port.dtype in _INTEGERS else np.bool_ if port.dtype == "bool" else np.float32
    return np.ascontiguousarray(values, dtype=dtype)


def _pair(model: Model, x: ArrayLike, y: ArrayLike, loss: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs and targets as a loss takes them; TensorFlow.js would silently broadcast what does not fit."""
    inputs, given, output = model.as_inputs(x)[0], np.asarray(y), model.outputs[0].shape[1:]
    if given.dtype.kind not in "fiub" or given.ndim == 0:
        raise DataError(f"Targets must be int classes of shape (N,) or floats of shape (N, ...), not {given.dtype}")
    if len(inputs) != len(given):
        raise DataError(f"{len(inputs)} inputs were given, but {len(given)} targets")
    if not len(inputs):
        raise DataError("There is nothing to train on: the inputs are empty")
    if loss == "sparse_categorical_crossentropy":
        return inputs, _as_classes(given, output[-1])
    targets = given[:, None] if given.ndim == 1 and output == (1,) else given
    fits = targets.ndim == len(output) + 1 and all(
        size is None or size == have for size, have in zip(output, targets.shape[1:], strict=True)
    )
    if not fits:
        raise DataError(f"Targets of shape {given.shape} do not fit the model's output {(None, *output)} under {loss}")
    return inputs, targets.astype(np.float32)


def _shares(
    targets: NDArray[Any], classes: int | None, class_weight: Any, sample_weight: ArrayLike | None
) -> NDArray[np.float32] | None:
    """How much each example counts: float32 of shape (N,), or None where all count alike."""
    by_class = None
    if class_weight is not None:
        by_class = class_weights(targets, classes or int(targets.max()) + 1, class_weight)
    if sample_weight is None:
        return None if by_class is None else by_class[targets]
    given = np.asarray(sample_weight)
    if given.dtype.kind not in "fiub" or given.shape != (len(targets),):
        raise DataError(f"sample_weight must be {len(targets)} numbers, not {given.dtype} of shape {given.shape}")
    shares = given.astype(np.float32)
    if not np.isfinite(shares).all() or (shares < 0).any():
        raise DataError("sample_weight must be finite and not negative")
    return shares if by_class is None else shares * by_class[targets]


def _as_classes(targets: NDArray[Any], classes: int | None) -> NDArray[np.int32]:
    if targets.dtype.kind not in "iu" or targets.ndim != 1:
        raise DataError(
            f"sparse_categorical_crossentropy needs int classes of shape (N,), not {targets.dtype} of shape {targets.shape}",
            hint="For one row of probabilities each, use categorical_crossentropy.",
        )
    if targets.min() < 0 or (classes is not None and targets.max() >= classes):
        raise DataError(f"Classes must be 0 to {(classes or 0) - 1}, but are {targets.min()} to {targets.max()}")
    return targets.astype(np.int32)


def _default_loss(model: LayersModel, y: ArrayLike) -> str:
    layers = parse_nested(model.topology)[0].layers
    layer = next(layer for layer in reversed(layers) if layer.class_name not in _CHANGE_NO_VALUES)
    activation = "softmax" if layer.class_name == "Softmax" else layer.config.get("activation")
    if activation == "softmax":
        targets = np.asarray(y)
        is_classes = targets.dtype.kind in "iu" and targets.ndim == 1
        return "sparse_categorical_crossentropy" if is_classes else "categorical_crossentropy"
    return "binary_crossentropy" if activation == "sigmoid" else "mean_squared_error"
