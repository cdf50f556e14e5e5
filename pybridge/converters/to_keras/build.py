"""Walks the graph of a model and calls Keras layers on Keras tensors."""

from __future__ import annotations

import re
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
from pybridge.tfjs.structure import Entry, Reference, Structure, Use, parse_structure

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
    structure = parse_structure(model.topology)
    owned = owned_weights(structure, model.weights)
    builder = Builder(structure, Allowance(model.weights), owned)
    built = builder.model(structure)
    assign_weights(structure, builder.layers, owned)
    return built


class Builder:
    """Builds a model and those inside it.

    Attributes:
        layers: The Keras layer of each layer of the file, by the identity of its entry.
    """

    def __init__(self, structure: Structure, allowance: Allowance, owned: dict[int, dict[str, NDArray[Any]]]) -> None:
        self.layers: dict[int, Any] = {}
        self._allowance = allowance
        self._owned = owned
        self._masks = MaskRules(structure)

    def model(self, structure: Structure) -> keras.Model:
        """Build one model with all that is inside it."""
        names = _Names()
        inputs: dict[str, Any] = {}
        for reference in structure.inputs:
            entry = structure.layers[reference.layer]
            inputs[entry.name] = _input(entry, names.unique(entry.name))
        name = _legal(structure.name)
        if structure.sequential:
            built = self._sequential(structure, inputs, names, name)
        else:
            built = self._functional(structure, inputs, names, name)
        if not structure.trainable:
            built.trainable = False
        return built

    def _functional(self, structure: Structure, inputs: dict[str, Any], names: _Names, name: str) -> keras.Model:
        tensors: dict[Reference, Any] = {Reference(layer): tensor for layer, tensor in inputs.items()}
        needed = _needed(structure)
        for layer, use in structure.steps:
            entry = structure.layers[layer]
            if entry.class_name == "InputLayer" or (layer, use) not in needed:
                continue
            if id(entry) not in self.layers and entry.class_name != OPERATION:
                self.layers[id(entry)] = self._layer(entry, names.unique(layer))
            outputs = self._call(entry, entry.uses[use], [tensors.get(one) for one in entry.uses[use].inputs])
            for index, tensor in enumerate(outputs):
                tensors[Reference(layer, use, index)] = tensor
        for reference in structure.outputs:
            if reference not in tensors:
                raise ModelFormatError(f"the layer {reference.layer!r} has no output {reference.output}", hint=_HINT)
        outputs = [tensors[reference] for reference in structure.outputs]
        entrances = list(inputs.values())
        return _guarded(
            lambda: keras.Model(
                entrances if len(entrances) > 1 else entrances[0], outputs if len(outputs) > 1 else outputs[0], name=name
            ),
            f"the model {structure.name!r}",
        )

    def _sequential(self, structure: Structure, inputs: dict[str, Any], names: _Names, name: str) -> keras.Model:
        chain: list[Any] = list(inputs.values())
        tensor = chain[0]
        for layer, entry in structure.layers.items():
            if entry.class_name == "InputLayer":
                continue
            if entry.class_name == OPERATION:
                raise ModelFormatError(f"the Sequential model {structure.name!r} holds the operation {layer!r}", hint=_HINT)
            self.layers[id(entry)] = self._layer(entry, names.unique(layer))
            outputs = self._call(entry, entry.uses[0], [tensor])
            if len(outputs) != 1:
                raise ModelFormatError(f"the layer {layer!r} of a Sequential model has {len(outputs)} outputs", hint=_HINT)
            tensor = outputs[0]
            chain.append(self.layers[id(entry)])
        return _guarded(lambda: keras.Sequential(chain, name=name), f"the model {structure.name!r}")

    def _layer(self, entry: Entry, name: str) -> Any:
        if entry.model is not None:
            entry.model.name = name
            return self.model(entry.model)
        weights = self._owned[id(entry)]
        made = _guarded(
            lambda: make_layer(entry.class_name, entry.config, name, Context(entry.name, weights, self._inner(entry))),
            _what(entry),
        )
        self._allowance.watch(made)
        return made

    def _inner(self, entry: Entry) -> Any:
        """Gives a wrapper the models in its config, each built once."""
        waiting = list(entry.inner)
        return lambda: self.model(waiting.pop(0))

    def _call(self, entry: Entry, use: Use, inputs: list[Any]) -> list[Any]:
        if any(tensor is None for tensor in inputs):
            raise ModelFormatError(f"the layer {entry.name!r} takes an output that its source does not have", hint=_HINT)
        if entry.class_name == OPERATION:
            called = _guarded(lambda: call_operation(entry.config, inputs, entry.name), _what(entry))
            return list(called) if isinstance(called, (list, tuple)) else [called]
        layer = self.layers[id(entry)]
        self._masks.check(entry, inputs)
        _check_sizes(entry, inputs)
        arguments = _arguments(entry, use)
        if entry.class_name.removeprefix(OWN) in RECURRENT and len(inputs) > 1:
            self._masks.check_states(entry, inputs)
            arguments["initial_state"] = inputs[1:] if len(inputs) > 2 or entry.class_name == "Bidirectional" else inputs[1]
            inputs = inputs[:1]
        if entry.class_name.startswith(OWN) and not arguments:
            called = _guarded(lambda: call_own_layer(layer, entry.class_name, entry.config, inputs), _what(entry))
        else:
            called = _guarded(lambda: layer(inputs if len(inputs) > 1 else inputs[0], **arguments), _what(entry))
        outputs = list(called) if isinstance(called, (list, tuple)) else [called]
        self._masks.follow(entry, inputs, outputs)
        return outputs


class _Names:
    """Names that Keras accepts, unique within one model."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def unique(self, name: str) -> str:
        legal = _legal(name)
        candidate, number = legal, 1
        while candidate in self._used:
            candidate, number = f"{legal}_{number}", number + 1
        self._used.add(candidate)
        return candidate


def _legal(name: str) -> str:
    legal = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return legal if re.match(r"[A-Za-z0-9.]", legal) else f"layer{legal}"


def _input(entry: Entry, name: str) -> Any:
    dtype = entry.config["dtype"]
    if dtype not in INPUT_TYPES or entry.config.get("sparse") or entry.config.get("ragged"):
        raise ModelFormatError(
            f"the input {entry.name!r} is {dtype[:40]!r}{' and sparse' if entry.config.get('sparse') else ''}",
            hint=f"Inputs may be dense arrays of {', '.join(INPUT_TYPES)}.",
        )
    shape = tuple(entry.config["batch_input_shape"])
    return _guarded(lambda: keras.Input(batch_shape=shape, dtype=dtype, name=name), _what(entry))


def _needed(structure: Structure) -> set[tuple[str, int]]:
    """The uses of layers on which the outputs depend; TF.js leaves out the others, too."""
    needed: set[tuple[str, int]] = set()
    waiting = [(one.layer, one.use) for one in structure.outputs]
    while waiting:
        step = waiting.pop()
        if step not in needed:
            needed.add(step)
            entry = structure.layers[step[0]]
            if entry.uses:
                waiting += [(one.layer, one.use) for one in entry.uses[step[1]].inputs]
    return needed


def _arguments(entry: Entry, use: Use) -> dict[str, Any]:
    given = {key: value for key, value in use.arguments.items() if value is not None}
    training = given.pop("training", None)
    given.pop("initialState", None)
    given.pop("initial_state", None)
    if given or training not in (None, False, 0):
        name = next(iter(given), "training")
        raise ModelFormatError(
            f"the layer {entry.name!r} is called with {name}={str(use.arguments[name])[:60]}, which TF.js ignores",
            hint="Rebuild the model without this argument and export it again.",
        )
    return {} if training is None else {"training": False}


def _check_sizes(entry: Entry, inputs: list[Any]) -> None:
    shape = inputs[0].shape
    if entry.class_name == "TimeDistributed" and len(shape) > 1 and (shape[1] or 0) > _STEPS_LIMIT:
        raise ModelFormatError(
            f"the layer {entry.name!r} goes over {shape[1]} time steps; Keras would put each of them into its graph",
            hint="Leave the number of time steps open in the input's shape.",
        )
    if entry.config.get("stateful") and (shape[0] or 0) > _STATEFUL_BATCH_LIMIT:
        raise ModelFormatError(f"the layer {entry.name!r} keeps the states of {shape[0]} sequences", hint=_HINT)


def _guarded(action: Any, what: str) -> Any:
    """Do something in Keras, which reports wrong options and shapes by errors of many types."""
    try:
        return action()
    except BridgeError:
        raise
    except Exception as error:
        raise ModelFormatError(f"{what} cannot be rebuilt in Keras: {str(error)[:2000]}", hint=_HINT) from error


def _what(entry: Entry) -> str:
    return f"the layer {entry.name!r} ({entry.class_name})"
