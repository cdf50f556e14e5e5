"""A flat model as a list of layers in the order in which data flow, without any JSON around it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.text import printable

_SIMPLIFY = "Only models with one input and one output, whose inner models are used once each, can be a base."
_DAMAGED = "The model is damaged: export or download it again."
_NESTING_LIMIT = 16


@dataclass(frozen=True)
class Layer:
    """One layer: its class, its config and the names of the layers that feed it."""

    name: str
    class_name: str
    config: dict[str, Any]
    inputs: tuple[str, ...] = ()


@dataclass
class Graph:
    """Layers in topological order; the first is the only InputLayer, the last is the only output.

    A layer that a model uses several times is here once for each use; ``copies`` names the first of them by the others, which
    have the same weights.
    """

    name: str
    layers: list[Layer] = field(default_factory=list)
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


def parse_flat(topology: dict[str, Any]) -> Graph:
    """Read the topology of a flat model.

    Raises:
        ModelFormatError: If it is damaged, has nested models, several inputs or outputs, or shared layers.
    """
    graph, renamed = parse_nested(topology)
    if any(path != (name,) for path, name in renamed.items()):
        raise ModelFormatError(f"the model {graph.name!r} holds models inside", hint="Flatten it first: topology.flatten.")
    if graph.copies:
        shared = next(iter(graph.copies.values()))
        raise ModelFormatError(f"the layer {shared!r} is used several times", hint="Flatten the model first: topology.flatten.")
    return graph


def parse_nested(topology: dict[str, Any]) -> tuple[Graph, dict[tuple[str, ...], str]]:
    """Read a topology, with the layers of nested models lifted to the top under unique names.

    Returns:
        The graph, and the name of each layer by its path ``(container, ..., layer)`` without the outermost container.

    Raises:
        ModelFormatError: If it is damaged, has several inputs or outputs, or a nested model that is used several times.
    """
    builder = _Builder()
    output = builder.add_model(topology, (), None)
    layers = _reachable(builder.layers, output)
    copies = {layer.name: builder.copies[layer.name] for layer in layers if layer.name in builder.copies}
    return Graph(builder.model_name(topology), layers, copies), builder.renamed


def write_topology(graph: Graph) -> dict[str, Any]:
    """Turn a graph into the topology of a ``Functional`` model in the style of Keras 2."""
    layers: list[dict[str, Any]] = [
        {
            "class_name": layer.class_name,
            "name": layer.name,
            "config": {**layer.config, "name": layer.name},
            "inbound_nodes": [[[source, 0, 0, {}] for source in layer.inputs]] if layer.inputs else [],
        }
        for layer in graph.layers
    ]
    config: dict[str, Any] = {
        "name": graph.name,
        "layers": layers,
        "input_layers": [[graph.layers[0].name, 0, 0]],
        "output_layers": [[graph.layers[-1].name, 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def weights_by_layer(weights: Iterable[str], layers: Iterable[str]) -> dict[str, list[str]]:
    """Group weight names by the layer that owns them.

    A weight belongs to the layer whose name it starts with, the longest such name first (Keras allows slashes in the
    names of layers); where none matches, enclosing scopes are dropped from the front one by one. Weights of no layer,
    such as an optimizer's, are left out.
    """
    known = set(layers)
    owned: dict[str, list[str]] = {}
    for weight in weights:
        owner, _ = owner_of(weight, known)
        if owner is not None:
            owned.setdefault(owner, []).append(weight)
    return owned


def owner_of(weight: str, known: Container[str]) -> tuple[str | None, str]:
    """Split a weight's name into the layer that owns it, or None, and its name within the layer."""
    parts = weight.split("/")
    for start in range(len(parts) - 1):
        for end in range(len(parts) - 1, start, -1):
            name = "/".join(parts[start:end])
            if name in known:
                return name, "/".join(parts[end:])
    return None, weight


def suggest(word: str, known: Iterable[str]) -> str:
    """Write a hint that names what is closest to a mistyped word."""
    import difflib

    names = [printable(name) for name in known]
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"There are: {', '.join(names[:10])}" + (f" and {len(names) - 10} more." if len(names) > 10 else ".")


_Use = tuple[str, int]
"""A layer's name, and which of its uses, from 0 on."""


class _Builder:
    """Collects the layers of a model and of the models inside it."""

    def __init__(self) -> None:
        self.layers: dict[str, Layer] = {}
        self.renamed: dict[tuple[str, ...], str] = {}
        self.copies: dict[str, str] = {}

    def model_name(self, topology: dict[str, Any]) -> str:
        config = topology.get("config")
        name = config.get("name") if isinstance(config, dict) else None
        return name if isinstance(name, str) and name else "model"

    def add_model(self, topology: dict[str, Any], path: tuple[str, ...], feed: str | None) -> str:
        """Add all layers of a model that ``feed`` flows into; return the name of its output layer."""
        if len(path) > _NESTING_LIMIT:
            raise ModelFormatError(f"models are nested more than {_NESTING_LIMIT} deep", hint=_DAMAGED)
        if topology["class_name"] == "Sequential":
            return self._add_sequential(topology, path, feed)
        return self._add_functional(topology, path, feed)

    def _add_sequential(self, topology: dict[str, Any], path: tuple[str, ...], feed: str | None) -> str:
        config = topology.get("config")
        entries = config.get("layers") if isinstance(config, dict) else config
        if not isinstance(entries, list) or not entries:
            raise ModelFormatError(f"the Sequential model {_path(path)!r} has no layers", hint=_DAMAGED)
        seen: set[str] = set()
        for entry in entries:
            layer = _checked(entry, path)
            # The name of a Sequential inside another is not always written; its position stands in.
            name = _name_of(layer) or f"{layer['class_name'].lower()}_{len(seen)}"
            if name in seen:
                raise ModelFormatError(f"two layers of {_path(path)!r} have the name {name!r}", hint=_DAMAGED)
            seen.add(name)
            if layer["class_name"] == "InputLayer" and feed is not None:
                self.renamed[(*path, name)] = feed
                continue
            if feed is None and not _is_model(layer) and layer["class_name"] != "InputLayer":
                feed = self._add_implied_input(layer, name, config, path)
            feed = self._add_entry(layer, (*path, name), (feed,) if feed is not None else ())
        assert feed is not None
        return feed

    def _add_implied_input(self, layer: dict[str, Any], name: str, config: object, path: tuple[str, ...]) -> str:
        shape = layer["config"].pop("batch_input_shape", None)
        if shape is None and isinstance(config, dict):
            shape = config.get("build_input_shape")
        if shape is None:
            raise ModelFormatError(
                f"the Sequential model {_path(path)!r} does not say its input shape",
                hint="Build the model before saving it, or give its first layer an input shape.",
            )
        entry = {"class_name": "InputLayer", "config": {"batch_input_shape": shape, "dtype": "float32"}}
        return self._add_entry(entry, (*path, f"{name}_input"), ())

    def _add_functional(self, topology: dict[str, Any], path: tuple[str, ...], feed: str | None) -> str:
        config = topology.get("config")
        entries = config.get("layers") if isinstance(config, dict) else None
        if not isinstance(config, dict) or not isinstance(entries, list) or not entries:
            raise ModelFormatError(f"the model {_path(path)!r} has no layers", hint=_DAMAGED)
        waiting: dict[_Use, tuple[dict[str, Any], tuple[_Use, ...]]] = {}
        for entry in entries:
            layer = _checked(entry, path)
            name = _name_of(layer)
            if not name or (name, 0) in waiting:
                raise ModelFormatError(f"two layers of {_path(path)!r} have the name {name!r}, or it is missing", hint=_DAMAGED)
            for number, sources in enumerate(_sources(layer, name)):
                waiting[(name, number)] = (layer, sources)
        waiting = {use: (layer, _settled(sources, waiting)) for use, (layer, sources) in waiting.items()}
        (entrance, _), exit_use = _single_end(config, "input_layers", path), _single_end(config, "output_layers", path)
        [exit_use] = _settled([exit_use], waiting)
        inputs = [name for (name, _), (_, sources) in waiting.items() if not sources]
        if inputs != [entrance]:
            raise ModelFormatError(f"{_path(path)!r} has {len(inputs)} layers without input: {inputs[:5]}", hint=_SIMPLIFY)
        if exit_use not in waiting:
            raise ModelFormatError(f"the output {exit_use[0]!r} of {_path(path)!r} is not one of its layers", hint=_DAMAGED)
        produced: dict[_Use, str] = {}
        for use in _ordered(waiting, path):
            layer, sources = waiting[use]
            name = use[0]
            if name == entrance and feed is not None:
                produced[use] = self.renamed[(*path, name)] = feed
                continue
            produced[use] = self._add_entry(layer, (*path, name), tuple(produced[source] for source in sources))
        return produced[exit_use]

    def _add_entry(self, layer: dict[str, Any], path: tuple[str, ...], inputs: tuple[str, ...]) -> str:
        if _is_model(layer):
            if len(inputs) > 1:
                raise ModelFormatError(f"the model {_path(path)!r} has {len(inputs)} inputs", hint=_SIMPLIFY)
            return self.add_model(layer, path, inputs[0] if inputs else None)
        name = self._unique(path)
        if path in self.renamed:
            self.copies[name] = self.renamed[path]
        else:
            self.renamed[path] = name
        is_input = layer["class_name"] == "InputLayer"
        config: dict[str, Any] = _input_config(layer["config"], name) if is_input else layer["config"]
        self.layers[name] = Layer(name, layer["class_name"], {**config, "name": name}, inputs)
        return name

    def _unique(self, path: tuple[str, ...]) -> str:
        if path[-1] not in self.layers:
            return path[-1]
        name = "_".join(path)
        while name in self.layers:
            name += "_"
        return name


def _checked(entry: object, path: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
        raise ModelFormatError(f"a layer of {_path(path)!r} has no class_name", hint=_DAMAGED)
    if _is_model(entry):
        return entry
    if not isinstance(entry.get("config"), dict):
        raise ModelFormatError(f"the layer {str(entry.get('name'))[:80]!r} has no config", hint=_DAMAGED)
    return {**entry, "config": dict(entry["config"])}


def _is_model(entry: dict[str, Any]) -> bool:
    return entry["class_name"] in ("Functional", "Model", "Sequential")


def _name_of(entry: dict[str, Any]) -> str:
    config = entry.get("config")
    name = entry.get("name") or (config.get("name") if isinstance(config, dict) else None)
    return name if isinstance(name, str) else ""


def _path(path: tuple[str, ...]) -> str:
    return "/".join(path) or "model"


def _input_config(config: dict[str, Any], name: str) -> dict[str, Any]:
    shape = config.get("batch_input_shape", config.get("batch_shape"))
    sizes = shape[1:] if isinstance(shape, list) else []
    if not sizes or not all(size is None or (type(size) is int and 0 < size < 2**31) for size in sizes):
        raise ModelFormatError(f"the input {name!r} has no valid shape: {str(shape)[:80]}", hint=_DAMAGED)
    dtype = config.get("dtype") or "float32"
    if not isinstance(dtype, str):
        raise ModelFormatError(f"the input {name!r} has no valid type: {str(dtype)[:80]}", hint=_DAMAGED)
    return {"batch_input_shape": [None, *sizes], "dtype": dtype, "sparse": False}


def _single_end(config: dict[str, Any], key: str, path: tuple[str, ...]) -> _Use:
    ends = config.get(key)
    if isinstance(ends, list) and len(ends) == 3 and isinstance(ends[0], str):
        ends = [ends]
    if not isinstance(ends, list) or not all(isinstance(end, list) and end and isinstance(end[0], str) for end in ends):
        raise ModelFormatError(f"{_path(path)!r} has no valid {key}", hint=_DAMAGED)
    if len(ends) != 1:
        raise ModelFormatError(f"{_path(path)!r} has {len(ends)} {key.replace('_layers', 's')}", hint=_SIMPLIFY)
    use = ends[0][1] if len(ends[0]) > 1 else 0
    return str(ends[0][0]), use if type(use) is int else 0


def _sources(layer: dict[str, Any], name: str) -> list[tuple[_Use, ...]]:
    """What feeds a layer, for each of its uses."""
    nodes = layer.get("inbound_nodes", [])
    if not isinstance(nodes, list):
        raise ModelFormatError(f"the layer {name!r} has no valid inbound_nodes", hint=_DAMAGED)
    if not nodes:
        if layer["class_name"] != "InputLayer":
            raise ModelFormatError(f"the layer {name!r} has no input", hint=_DAMAGED)
        return [()]
    if len(nodes) > 1 and _is_model(layer):
        raise ModelFormatError(f"the inner model {name!r} is used {len(nodes)} times", hint=_SIMPLIFY)
    return [_node_sources(node, name) for node in nodes]


def _node_sources(node: object, name: str) -> tuple[_Use, ...]:
    if isinstance(node, dict):
        raise ModelFormatError(
            f"the layer {name!r} is described in the style of Keras 3, which TF.js does not read",
            hint="Load the model in Keras 3 and give it to pybridge as a Keras model.",
        )
    if not isinstance(node, list) or not node:
        raise ModelFormatError(f"the layer {name!r} has no valid inbound_nodes", hint=_DAMAGED)
    return tuple(_source(tensor, name) for tensor in node)


def _source(tensor: object, name: str) -> _Use:
    if not isinstance(tensor, list) or len(tensor) < 3 or not isinstance(tensor[0], str):
        raise ModelFormatError(f"the layer {name!r} has no valid inbound_nodes", hint=_DAMAGED)
    if type(tensor[1]) is not int or tensor[1] < 0 or tensor[2] != 0:
        raise ModelFormatError(f"the layer {name!r} takes output {tensor[1:3]} of {tensor[0]!r}", hint=_SIMPLIFY)
    arguments = tensor[3] if len(tensor) > 3 else None
    if arguments and (not isinstance(arguments, dict) or set(arguments) - {"training", "mask"}):
        raise ModelFormatError(
            f"the layer {name!r} is called with extra arguments: {str(arguments)[:80]}", hint="Use layers without them."
        )
    return tensor[0], tensor[1]


def _settled(sources: Sequence[_Use], known: Container[_Use]) -> tuple[_Use, ...]:
    # In TF.js and Keras 2 a nested model's own graph is its node 0, so that its first use is node 1.
    return tuple((name, 0) if use == 1 and (name, 1) not in known else (name, use) for name, use in sources)


def _ordered(waiting: dict[_Use, tuple[dict[str, Any], tuple[_Use, ...]]], path: tuple[str, ...]) -> list[_Use]:
    """Sort layers so that each follows its inputs, otherwise in the order of the file."""
    missing: dict[_Use, int] = {}
    users: dict[_Use, list[_Use]] = {use: [] for use in waiting}
    for use, (_, sources) in waiting.items():
        missing[use] = len(sources)
        for source in sources:
            if source not in waiting:
                raise ModelFormatError(
                    f"the layer {use[0]!r} of {_path(path)!r} uses {source[0]!r}, which is not there", hint=_DAMAGED
                )
            users[source].append(use)
    order = [use for use, count in missing.items() if count == 0]
    for use in order:
        for user in users[use]:
            missing[user] -= 1
            if missing[user] == 0:
                order.append(user)
    if len(order) != len(waiting):
        stuck = next(use[0] for use, count in missing.items() if count > 0)
        raise ModelFormatError(f"the layers of {_path(path)!r} form a circle at {stuck!r}", hint=_DAMAGED)
    return order


def _reachable(layers: dict[str, Layer], output: str) -> list[Layer]:
    """Keep what the output depends on, the output last."""
    needed: set[str] = set()
    stack = [output]
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack.extend(layers[name].inputs)
    return [layer for name, layer in layers.items() if name in needed]
