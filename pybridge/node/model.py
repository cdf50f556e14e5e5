"""A model in a Node.js process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike, NDArray

from pybridge.errors import RemoteError
from pybridge.loading import OpenedModel, SavedModel, lift
from pybridge.node.inputs import as_inputs, examples_of, fixed_batch, free_sizes, is_whole, no_outputs
from pybridge.progress import progress
from pybridge.rpc.javascript import JSObject
from pybridge.rpc.runner import Runner
from pybridge.runtime.sandbox import Confinement
from pybridge.saving.formats import Format
from pybridge.saving.saving import SaveReport, save_model
from pybridge.tfjs.graph_model import GraphModel
from pybridge.tfjs.layers_model import LayersModel, layers_topology
from pybridge.tfjs.port import Port
from pybridge.tfjs.precision import Precision
from pybridge.tfjs.topology import check_topology, keeps_state


@dataclass(frozen=True)
class LayerInfo:
    """A layer of a model that Node holds."""

    name: str
    class_name: str
    shape: Any
    parameters: int
    trainable: bool


class Model:
    """A model that a Node.js process holds. If the process dies, the model is loaded anew at its next use.

    The graph of a SavedModel is its author's: it has a process of its own, which is confined where the system can do that.

    Made by `Node.load_model`.
    """

    def __init__(self, runner: Runner, source: OpenedModel) -> None:
        self._shared = runner
        self._runner = runner
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

    @classmethod
    def from_javascript(cls, runner: Runner, made: JSObject) -> Model:
        """A ``tf.LayersModel`` that a user's JavaScript has made or changed, as a model of its own.

        Args:
            runner: Its process.
            made: It.

        Raises:
            ModelFormatError: It has layers that cannot be saved.
        """
        described = runner.call("model.describeMade", {"object": made})
        weights = dict(zip(described["names"], described["weights"], strict=True))
        topology = layers_topology(
            {"format": "layers-model", "modelTopology": described["topology"]}, "The model from JavaScript"
        )
        return cls(runner, LayersModel(topology, weights))

    def to_javascript(self) -> JSObject:
        """The ``tf.LayersModel`` in Node.js, as which the model arrives where it is an argument of a script's function.

        What JavaScript does to it, such as training, is done to this model in Node.js; return it to have it as a `Model`.

        Raises:
            ModelFormatError: It is a graph that cannot be lifted into layers.
        """
        self.become_layers()
        return self._runner.call("model.lend", {"model": self.handle})  # type: ignore[no-any-return]

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
        if is_whole(self.inputs):
            examples = batch_size = 1
        else:
            examples = len(inputs[0])
            if not examples:
                return no_outputs(self.outputs)
            batch_size = fixed_batch(self.inputs, self.outputs, examples) or batch_size
        with progress(examples, "Predicting", "example") as bar:
            seen = 0

            def report(value: dict[str, int]) -> None:
                nonlocal seen
                bar.update(value["examples"] - seen)
                seen = value["examples"]

            parameters = {"model": self._handle, "inputs": inputs, "batchSize": batch_size, "isWhole": is_whole(self.inputs)}
            outputs: list[NDArray[Any]] = self._runner.call("model.predict", parameters, on_progress=report)
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
            self._runner = self._shared
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
        format: Format = "tfjs_layers",  # noqa: A002, the name is Keras's
        *,
        precision: Precision = "float32",
    ) -> SaveReport:
        """Saves the model, opens what was saved, and compares the two before returning.

        Args:
            folder: Where to; must not exist, or be empty.
            format: - ``tfjs_layers``: a ``model.json`` with weight files, as `tf.loadLayersModel` takes it;
                - ``tfjs_graph``: for `tf.loadGraphModel`: batch normalization folded, biases and activations fused; faster, but
                  not to be trained. Of a SavedModel it needs the extra ``tensorflowjs``;
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
            SetupError: The extra ``tensorflowjs`` is needed, which is so for a SavedModel as ``tfjs_graph``.

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
        if self._runner is not self._shared:
            self._runner.close()
            self._runner = self._shared
            self._generation = 0
            return
        if self._runner.alive and self._generation == self._runner.generation:
            self._runner.call("model.dispose", {"model": self._handle})
        self._generation = 0

    def as_inputs(self, x: ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]) -> list[NDArray[Any]]:
        """Checks arrays against the model's inputs and gives them in the dtypes that it takes.

        Raises:
            DataError: Their number or shapes do not fit.
        """
        return as_inputs(x, self.inputs, wide=isinstance(self._source, SavedModel))

    def _load(self) -> None:
        if isinstance(self._source, SavedModel) and not self._source.allowed and self._runner is self._shared:
            self._runner = self._shared.confined(Confinement(read=(self._source.folder,)))
        runner = self._runner
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

    def _examples(self) -> dict[str, NDArray[Any]]:
        """Inputs that the model can compute."""
        *sizes, last = free_sizes(self.inputs)
        for size in sizes:
            examples = examples_of(self.inputs, size)
            try:
                self._answer(self._source, examples)
            # Too few steps or pixels for its windows, which TensorFlow says in its own words.
            except RemoteError:
                continue
            return examples
        return examples_of(self.inputs, last)

    def _answer(self, source: OpenedModel, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        # A model that keeps its state from one call to the next is compared from the beginning.
        is_used = isinstance(source, LayersModel) and keeps_state(source.topology)
        model = self if source is self._source and not is_used else Model(self._shared, source)
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
    return Port(
        description["name"], tuple(description["shape"]), description["dtype"], any_rank=bool(description.get("any_rank"))
    )
