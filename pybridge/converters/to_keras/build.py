"""Walks the graph of a model and calls Keras layers on Keras tensors."""

from __future__ import annotations

from typing import Any

import keras
from numpy.typing import NDArray

from pybridge.converters.to_keras.allocation import Allowance
from pybridge.converters.to_keras.assign import assign_weights, owned_weights
from pybridge.converters.to_keras.make_layer import RECURRENT, Context, make_layer
from pybridge.converters.to_keras.masks import MaskRules
from pybridge.converters.to_keras.own_layers import OWN, call_own_layer
from pybridge.converters.to_keras.own_operations import OPERATION, call_operation
from pybridge.errors import BridgeError, ModelFormatError
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.topology import LayerNode, Reference, Topology, Use, parse_topology
from pybridge.tfjs.topology.names import Names, tfjs_name

INPUT_TYPES = ("float32", "int32", "bool")
_HINT = "The model is damaged, or uses an option that only TF.js knows."
# Keras unrolls the time steps of TimeDistributed into its graph.
_STEPS_LIMIT = 4096
_STATEFUL_BATCH_LIMIT = 65_536


def build(model: LayersModel) -> keras.Model:
    """Build a model and set its weights.

    Raises:
        ModelFormatError: As `to_keras`.
    """
    topology = parse_topology(model.topology)
    owned = owned_weights(topology, model.weights)
    builder = Builder(topology, Allowance(model.weights), owned)
    built = builder.model(topology)
    assign_weights(topology, builder.layers, owned)
    return built


class Builder:
    """Builds a model and those inside it.

    Attributes:
        layers: The Keras layer of each layer of the file, by the identity of its node.
    """

    def __init__(self, topology: Topology, allowance: Allowance, owned: dict[int, dict[str, NDArray[Any]]]) -> None:
        self.layers: dict[int, Any] = {}
        self._allowance = allowance
        self._owned = owned
        self._masks = MaskRules(topology)

    def model(self, topology: Topology) -> keras.Model:
        """Build one model with all that is inside it."""
        names = Names(_legal)
        inputs: dict[str, Any] = {}
        for reference in topology.inputs:
            node = topology.layers[reference.layer]
            inputs[node.name] = _input(node, names.reserve(node.name))
        name = _legal(topology.name)
        if topology.sequential:
            built = self._sequential(topology, inputs, names, name)
        else:
            built = self._functional(topology, inputs, names, name)
        if not topology.trainable:
            built.trainable = False
        return built

    def _functional(self, topology: Topology, inputs: dict[str, Any], names: Names, name: str) -> keras.Model:
        tensors: dict[Reference, Any] = {Reference(layer): tensor for layer, tensor in inputs.items()}
        needed = _needed(topology)
        for layer, use in topology.steps:
            node = topology.layers[layer]
            if node.class_name == "InputLayer" or (layer, use) not in needed:
                continue
            if id(node) not in self.layers and node.class_name != OPERATION:
                self.layers[id(node)] = self._layer(node, names.reserve(layer))
            outputs = self._call(node, node.uses[use], [tensors.get(one) for one in node.uses[use].inputs])
            for index, tensor in enumerate(outputs):
                tensors[Reference(layer, use, index)] = tensor
        for reference in topology.outputs:
            if reference not in tensors:
                raise ModelFormatError(f"the layer {reference.layer!r} has no output {reference.output}", hint=_HINT)
        outputs = [tensors[reference] for reference in topology.outputs]
        entrances = list(inputs.values())
        return _guarded(
            lambda: keras.Model(
                entrances if len(entrances) > 1 else entrances[0], outputs if len(outputs) > 1 else outputs[0], name=name
            ),
            f"the model {topology.name!r}",
        )

    def _sequential(self, topology: Topology, inputs: dict[str, Any], names: Names, name: str) -> keras.Model:
        chain: list[Any] = list(inputs.values())
        tensor = chain[0]
        for layer, node in topology.layers.items():
            if node.class_name == "InputLayer":
                continue
            if node.class_name == OPERATION:
                raise ModelFormatError(f"the Sequential model {topology.name!r} holds the operation {layer!r}", hint=_HINT)
            self.layers[id(node)] = self._layer(node, names.reserve(layer))
            outputs = self._call(node, node.uses[0], [tensor])
            if len(outputs) != 1:
                raise ModelFormatError(f"the layer {layer!r} of a Sequential model has {len(outputs)} outputs", hint=_HINT)
            tensor = outputs[0]
            chain.append(self.layers[id(node)])
        return _guarded(lambda: keras.Sequential(chain, name=name), f"the model {topology.name!r}")

    def _layer(self, node: LayerNode, name: str) -> Any:
        if node.model is not None:
            node.model.name = name
            return self.model(node.model)
        weights = self._owned[id(node)]
        made = _guarded(
            lambda: make_layer(node.class_name, node.config, name, Context(node.name, weights, self._inner(node))),
            _what(node),
        )
        self._allowance.watch(made)
        return made

    def _inner(self, node: LayerNode) -> Any:
        """Gives a wrapper the models in its config, each built once."""
        waiting = list(node.inner)
        return lambda: self.model(waiting.pop(0))

    def _call(self, node: LayerNode, use: Use, inputs: list[Any]) -> list[Any]:
        if any(tensor is None for tensor in inputs):
            raise ModelFormatError(f"the layer {node.name!r} takes an output that its source does not have", hint=_HINT)
        if node.class_name == OPERATION:
            called = _guarded(lambda: call_operation(node.config, inputs, node.name), _what(node))
            return list(called) if isinstance(called, (list, tuple)) else [called]
        layer = self.layers[id(node)]
        self._masks.check(node, inputs)
        _check_sizes(node, inputs)
        arguments = _arguments(node, use)
        if node.class_name.removeprefix(OWN) in RECURRENT and len(inputs) > 1:
            self._masks.check_states(node, inputs)
            arguments["initial_state"] = inputs[1:] if len(inputs) > 2 or node.class_name == "Bidirectional" else inputs[1]
            inputs = inputs[:1]
        if node.class_name.startswith(OWN) and not arguments:
            called = _guarded(lambda: call_own_layer(layer, node.class_name, node.config, inputs), _what(node))
        else:
            called = _guarded(lambda: layer(inputs if len(inputs) > 1 else inputs[0], **arguments), _what(node))
        outputs = list(called) if isinstance(called, (list, tuple)) else [called]
        self._masks.follow(node, inputs, outputs)
        return outputs


def _legal(name: str) -> str:
    """A name that Keras accepts."""
    return tfjs_name(name).replace("/", "_")


def _input(node: LayerNode, name: str) -> Any:
    dtype = node.config["dtype"]
    if dtype not in INPUT_TYPES or node.config.get("sparse") or node.config.get("ragged"):
        raise ModelFormatError(
            f"the input {node.name!r} is {dtype[:40]!r}{' and sparse' if node.config.get('sparse') else ''}",
            hint=f"Inputs may be dense arrays of {', '.join(INPUT_TYPES)}.",
        )
    shape = tuple(node.config["batch_input_shape"])
    return _guarded(lambda: keras.Input(batch_shape=shape, dtype=dtype, name=name), _what(node))


def _needed(topology: Topology) -> set[tuple[str, int]]:
    """The uses of layers on which the outputs depend; TF.js leaves out the others, too."""
    needed: set[tuple[str, int]] = set()
    waiting = [(one.layer, one.use) for one in topology.outputs]
    while waiting:
        step = waiting.pop()
        if step not in needed:
            needed.add(step)
            node = topology.layers[step[0]]
            if node.uses:
                waiting += [(one.layer, one.use) for one in node.uses[step[1]].inputs]
    return needed


def _arguments(node: LayerNode, use: Use) -> dict[str, Any]:
    given = {key: value for key, value in use.arguments.items() if value is not None}
    training = given.pop("training", None)
    given.pop("initialState", None)
    given.pop("initial_state", None)
    if given or training not in (None, False, 0):
        name = next(iter(given), "training")
        raise ModelFormatError(
            f"the layer {node.name!r} is called with {name}={str(use.arguments[name])[:60]}, which TF.js ignores",
            hint="Rebuild the model without this argument and export it again.",
        )
    return {} if training is None else {"training": False}


def _check_sizes(node: LayerNode, inputs: list[Any]) -> None:
    shape = inputs[0].shape
    if node.class_name == "TimeDistributed" and len(shape) > 1 and (shape[1] or 0) > _STEPS_LIMIT:
        raise ModelFormatError(
            f"the layer {node.name!r} goes over {shape[1]} time steps; Keras would put each of them into its graph",
            hint="Leave the number of time steps open in the input's shape.",
        )
    if node.config.get("stateful") and (shape[0] or 0) > _STATEFUL_BATCH_LIMIT:
        raise ModelFormatError(f"the layer {node.name!r} keeps the states of {shape[0]} sequences", hint=_HINT)


def _guarded(action: Any, what: str) -> Any:
    """Do something in Keras, which reports wrong options and shapes by errors of many types."""
    try:
        return action()
    except BridgeError:
        raise
    except Exception as error:
        raise ModelFormatError(f"{what} cannot be rebuilt in Keras: {str(error)[:2000]}", hint=_HINT) from error


def _what(node: LayerNode) -> str:
    return f"the layer {node.name!r} ({node.class_name})"
