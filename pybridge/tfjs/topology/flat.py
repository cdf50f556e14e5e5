"""A flat model as a list of layers in the order in which data flow, those of nested models lifted to the top."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.text import suggest
from pybridge.tfjs.topology.layers import DAMAGED, LayerNode, Topology
from pybridge.tfjs.topology.names import first_free, underscored
from pybridge.tfjs.topology.parse import parse_topology
from pybridge.tfjs.topology.write import functional, layer_entry

_SIMPLIFY = "Only models with one input and one output, whose inner models are used once each, can be a base."


@dataclass(frozen=True)
class FlatLayer:
    """One layer: its class, its config and the names of the layers that feed it."""

    name: str
    class_name: str
    config: dict[str, Any]
    inputs: tuple[str, ...] = ()


@dataclass
class FlatTopology:
    """Layers in topological order; the first is the only InputLayer, the last is the only output.

    A layer that a model uses several times is here once for each use; ``copies`` names the first of them by the others, which
    have the same weights.
    """

    name: str
    layers: list[FlatLayer] = field(default_factory=list)
    copies: dict[str, str] = field(default_factory=dict)

    def index(self, layer: str) -> int:
        """Find a layer's position.

        Raises:
            ModelFormatError: If there is no such layer.
        """
        for position, candidate in enumerate(self.layers):
            if candidate.name == layer:
                return position
        raise ModelFormatError(f"the model {self.name!r} has no layer {layer!r}", hint=suggest(layer, self.names))

    @property
    def names(self) -> list[str]:
        """The names of all layers, in order."""
        return [layer.name for layer in self.layers]

    def up_to(self, layer: str) -> list[FlatLayer]:
        """What a layer depends on, in order, itself last."""
        return _needed({candidate.name: candidate for candidate in self.layers}, layer)

    def cut_positions(self) -> list[int]:
        """List the positions whose output is the only thing that later layers use of all that came before."""
        last_use = {layer.name: position for position, layer in enumerate(self.layers)}
        for position, layer in enumerate(self.layers):
            for source in layer.inputs:
                last_use[source] = position
        positions: list[int] = []
        reach = 0
        for position, layer in enumerate(self.layers):
            if reach <= position:
                positions.append(position)
            reach = max(reach, last_use[layer.name])
        return positions

    def to_dict(self) -> dict[str, Any]:
        """The topology of a ``Functional`` model."""
        entries = [
            layer_entry(
                layer.name,
                layer.class_name,
                {**layer.config, "name": layer.name},
                [[(source, 0, 0) for source in layer.inputs]] if layer.inputs else [],
            )
            for layer in self.layers
        ]
        return functional(self.name, entries, [(self.layers[0].name, 0, 0)], [(self.layers[-1].name, 0, 0)])


def parse_flat(topology: dict[str, Any]) -> FlatTopology:
    """Read the topology of a flat model.

    Raises:
        ModelFormatError: If it is damaged, has nested models, several inputs or outputs, or shared layers.
    """
    flat, renamed = parse_nested(topology)
    if any(path != (name,) for path, name in renamed.items()):
        raise ModelFormatError(f"the model {flat.name!r} holds models inside", hint="Flatten it first: surgery.flatten.")
    if flat.copies:
        shared = next(iter(flat.copies.values()))
        raise ModelFormatError(f"the layer {shared!r} is used several times", hint="Flatten the model first: surgery.flatten.")
    return flat


def parse_nested(topology: dict[str, Any]) -> tuple[FlatTopology, dict[tuple[str, ...], str]]:
    """Read a topology, with the layers of nested models lifted to the top under unique names.

    Returns:
        The flat topology, and the name of each layer by its path ``(container, ..., layer)`` without the outermost container.

    Raises:
        ModelFormatError: If it is damaged, has several inputs or outputs, or a nested model that is used several times.
    """
    parsed = parse_topology(topology)
    lifting = _Lifting()
    output = lifting.add_model(parsed, (), None)
    layers = _needed(lifting.layers, output)
    copies = {layer.name: lifting.copies[layer.name] for layer in layers if layer.name in lifting.copies}
    return FlatTopology(parsed.name, layers, copies), lifting.renamed


_Step = tuple[str, int]
"""A layer's name, and which of its uses, from 0 on."""


class _Lifting:
    """Collects the layers of a model and of the models inside it."""

    def __init__(self) -> None:
        self.layers: dict[str, FlatLayer] = {}
        self.renamed: dict[tuple[str, ...], str] = {}
        self.copies: dict[str, str] = {}

    def add_model(self, model: Topology, path: tuple[str, ...], feed: str | None) -> str:
        """Add all layers of a model that ``feed`` flows into, or its input layer; return the name of its output layer."""
        _check_ends(model, path)
        produced: dict[_Step, str] = {}
        behind_implied = False
        for name, use in _ordered(model):
            node = model.layers[name]
            if node.class_name == "InputLayer":
                behind_implied = node.implied and feed is None
                entrance = self._enter(model, node, path, feed)
                if entrance is not None:
                    produced[name, use] = entrance
                continue
            inputs = tuple(produced[source] for source in _sources(node, use) if source in produced)
            if behind_implied:
                # The shape that the input was made of is that input's now.
                options = {key: value for key, value in node.config.items() if key != "batch_input_shape"}
                node = LayerNode(node.name, node.class_name, options, node.uses, node.model)
                behind_implied = False
            produced[name, use] = self._add(node, (*path, name), inputs)
        [end] = model.outputs
        return produced[end.layer, end.use]

    def _enter(self, model: Topology, node: LayerNode, path: tuple[str, ...], feed: str | None) -> str | None:
        if feed is not None:
            if not node.implied:
                self.renamed[(*path, node.name)] = feed
            return feed
        if node.implied and any(other.model is not None for other in list(model.layers.values())[1:2]):
            # The model that comes first has an input of its own.
            return None
        return self._add(node, (*path, node.name), ())

    def _add(self, node: LayerNode, path: tuple[str, ...], inputs: tuple[str, ...]) -> str:
        if node.model is not None:
            if len(node.uses) > 1:
                raise ModelFormatError(f"the inner model {node.name!r} is used {len(node.uses)} times", hint=_SIMPLIFY)
            if len(inputs) > 1:
                raise ModelFormatError(f"the model {_path(path)!r} has {len(inputs)} inputs", hint=_SIMPLIFY)
            return self.add_model(node.model, path, inputs[0] if inputs else None)
        name = first_free(chain([path[-1]], underscored("_".join(path))), self.layers)
        if path in self.renamed:
            self.copies[name] = self.renamed[path]
        else:
            self.renamed[path] = name
        config = _input_config(node) if node.class_name == "InputLayer" else node.config
        self.layers[name] = FlatLayer(name, node.class_name, {**config, "name": name}, inputs)
        return name


def _check_ends(model: Topology, path: tuple[str, ...]) -> None:
    for ends, what in ((model.inputs, "inputs"), (model.outputs, "outputs")):
        if len(ends) != 1:
            raise ModelFormatError(f"{_path(path)!r} has {len(ends)} {what}", hint=_SIMPLIFY)
    entrances = [node.name for node in model.layers.values() if node.class_name == "InputLayer"]
    if entrances != [model.inputs[0].layer]:
        raise ModelFormatError(f"{_path(path)!r} has {len(entrances)} layers without input: {entrances[:5]}", hint=_SIMPLIFY)
    if model.outputs[0].output:
        raise ModelFormatError(
            f"the output of {_path(path)!r} is not the first of {model.outputs[0].layer!r}, but one more of it", hint=_SIMPLIFY
        )


def _sources(node: LayerNode, use: int) -> list[_Step]:
    """What feeds a use of a layer; an InputLayer has one use, and nothing feeds it."""
    if not node.uses:
        return []
    call = node.uses[use]
    for source in call.inputs:
        if source.output:
            raise ModelFormatError(
                f"the layer {node.name!r} takes output {source.output} of {source.layer!r}, which has several", hint=_SIMPLIFY
            )
    extra = call.arguments.keys() - {"training", "mask"}
    if extra:
        raise ModelFormatError(
            f"the layer {node.name!r} is called with extra arguments: {str(call.arguments)[:80]}", hint="Use layers without them."
        )
    return [(source.layer, source.use) for source in call.inputs]


def _ordered(model: Topology) -> list[_Step]:
    """Sort the uses of all layers so that each follows its inputs, the nearest to the input first."""
    missing: dict[_Step, int] = {}
    sources: dict[_Step, list[_Step]] = {}
    for node in model.layers.values():
        for use in range(max(1, len(node.uses))):
            sources[node.name, use] = _sources(node, use)
    users: dict[_Step, list[_Step]] = {step: [] for step in sources}
    for step, needed in sources.items():
        missing[step] = len(needed)
        for source in needed:
            users[source].append(step)
    order = [step for step, number in missing.items() if number == 0]
    for step in order:
        for user in users[step]:
            missing[user] -= 1
            if missing[user] == 0:
                order.append(user)
    return order


def _input_config(node: LayerNode) -> dict[str, Any]:
    sizes = node.config["batch_input_shape"][1:]
    if not sizes:
        raise ModelFormatError(f"the input {node.name!r} has no valid shape: its examples are single numbers", hint=DAMAGED)
    return {"batch_input_shape": [None, *sizes], "dtype": node.config["dtype"], "sparse": False}


def _path(path: tuple[str, ...]) -> str:
    return "/".join(path) or "model"


def _needed(layers: dict[str, FlatLayer], output: str) -> list[FlatLayer]:
    """Keep what the output depends on, in order, the output last."""
    needed: set[str] = set()
    stack = [output]
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack.extend(layers[name].inputs)
    return [layer for name, layer in layers.items() if name in needed]
