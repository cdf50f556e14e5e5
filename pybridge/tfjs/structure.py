"""The graph of a TF.js layers model, checked: which layer takes what from which, through all nested models.

TF.js trusts what it reads: references that never resolve make ``tf.loadLayersModel`` loop for ever, and some options
make it count to 2**31. This module finds such things first. It follows the loading of TF.js step by step
(``Container.fromConfig`` and ``Sequential.fromConfig`` of tfjs-layers), so that a layer that is used several times has
its uses in the order in which TF.js numbers them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.text import listed

CONTAINERS = ("Functional", "Model", "Sequential")
NESTING_LIMIT = 16
"""How deep models may lie inside models; those of Keras applications need 2."""
LAYER_LIMIT = 20_000
"""How many layers a model may have; the largest of Keras applications has 1,000."""

_DAMAGED = "The model is damaged: export or download it again."
_FORBIDDEN_NAMES = ("__proto__",)
_AXIS_KEYS = ("axis", "axes", "shared_axes", "dims")
_CONFIG_NESTING_LIMIT = 40
# Recurrent layers with state make room for so many sequences while they are built.
_BATCH_LIMIT = 65_536


@dataclass(frozen=True)
class Reference:
    """One output of one use of a layer."""

    layer: str
    use: int = 0
    output: int = 0


@dataclass(frozen=True)
class Use:
    """One call of a layer: what flows in, and further arguments of the call."""

    inputs: tuple[Reference, ...]
    arguments: dict[str, Any]


@dataclass
class Entry:
    """A layer as the file describes it.

    Attributes:
        name: Unique within its model.
        class_name: As TF.js names it, such as ``Conv2D``.
        config: Its options, keys as in the file.
        uses: Its calls, in the order of TF.js; none for an InputLayer.
        model: The parsed content where the layer is itself a model.
        inner: The parsed models in its config, such as the one that a TimeDistributed wraps.
    """

    name: str
    class_name: str
    config: dict[str, Any]
    uses: list[Use] = field(default_factory=list)
    model: Structure | None = None
    inner: list[Structure] = field(default_factory=list)


@dataclass
class Structure:
    """A model: its layers, and what goes in and out.

    Attributes:
        name: Of the model; ``model`` where the file gives none.
        sequential: Whether it is a plain chain of layers.
        trainable: False where the file freezes the whole model.
        layers: In the order of the file.
        inputs: Outputs of input layers.
        outputs: What the model returns.
        steps: ``(layer, use)`` in an order in which every use follows what it needs.
    """

    name: str
    sequential: bool
    trainable: bool
    layers: dict[str, Entry]
    inputs: list[Reference]
    outputs: list[Reference]
    steps: list[tuple[str, int]]

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Entry]]:
        """All layers with their paths, those of nested models behind their container."""
        for entry in self.layers.values():
            yield (*path, entry.name), entry
            if entry.model is not None:
                yield from entry.model.walk((*path, entry.name))
            for inner in entry.inner:
                yield from inner.walk((*path, entry.name))


def parse_structure(topology: dict[str, Any]) -> Structure:
    """Read and check a topology.

    Args:
        topology: ``{"class_name": ..., "config": ...}`` in the style of Keras 2.

    Raises:
        ModelFormatError: If a part is missing, of the wrong type or repeated, if a reference leads nowhere or into a
            cycle, or if a number is outside of what the layers can take.

    Example:
        >>> structure = parse_structure(LayersModel.read(Path("mobilenet")).topology)
        >>> [entry.class_name for entry in structure.layers.values()][:2]
        ['InputLayer', 'ZeroPadding2D']
    """
    return _Parser().model(topology, ())


def check_topology(topology: dict[str, Any]) -> None:
    """Refuse a topology on which TF.js would loop for ever, or that it cannot load for a structural reason.

    Raises:
        ModelFormatError: As `parse_structure`; also where an entry and its config have different names.
    """
    _Parser(strict=True).model(topology, ())


@lru_cache(maxsize=4096)
def snake(key: str) -> str:
    """``poolSize`` and ``pool_size`` are the same key for TF.js; this is the latter."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()


class _Parser:
    def __init__(self, *, strict: bool = False) -> None:
        self.count = 0
        self.strict = strict

    def model(self, topology: dict[str, Any], path: tuple[str, ...]) -> Structure:
        if len(path) > NESTING_LIMIT:
            raise ModelFormatError(f"models are nested more than {NESTING_LIMIT} deep", hint=_DAMAGED)
        if topology.get("class_name") == "Sequential":
            return self._sequential(topology, path)
        return self._functional(topology, path)

    def _sequential(self, topology: dict[str, Any], path: tuple[str, ...]) -> Structure:
        config = topology.get("config")
        options = config if isinstance(config, dict) else {}
        where = "/".join(path) or "model"
        listed = config if isinstance(config, list) else options.get("layers")
        if not isinstance(listed, list) or not listed:
            raise ModelFormatError(f"the Sequential model {where!r} has no layers", hint=_DAMAGED)
        layers: dict[str, Entry] = {}
        inputs: list[Reference] = []
        last: Reference | None = None
        for position, raw in enumerate(listed):
            # The name of a Sequential inside another is not always written; its position stands in.
            entry = self._entry(raw, path, default=f"{position}")
            if entry.name in layers:
                raise ModelFormatError(f"two layers of {where!r} have the name {entry.name!r}", hint=_DAMAGED)
            if entry.class_name == "InputLayer":
                if last is not None:
                    raise ModelFormatError(f"{where!r} has an input layer behind other layers: {entry.name!r}", hint=_DAMAGED)
            elif last is None:
                implied = self._implied_input(entry, options, where)
                layers[implied.name] = implied
                last = Reference(implied.name)
                inputs = [last]
            layers[entry.name] = entry
            if entry.class_name == "InputLayer":
                inputs = [Reference(entry.name)]
            else:
                assert last is not None
                entry.uses = [Use((last,), {})]
            last = Reference(entry.name)
        assert last is not None
        steps = [(name, 0) for name in layers]
        name = options.get("name")
        return Structure(_model_name(name), True, options.get("trainable") is not False, layers, inputs, [last], steps)

    def _implied_input(self, first: Entry, options: dict[str, Any], where: str) -> Entry:
        """The input that a Sequential model makes for its first layer."""
        name = f"{first.name}_input"
        if first.model is not None:
            if len(first.model.inputs) != 1:
                raise ModelFormatError(f"{where!r} begins with a model of {len(first.model.inputs)} inputs", hint=_DAMAGED)
            inner = first.model.layers[first.model.inputs[0].layer]
            return Entry(name, "InputLayer", {**inner.config, "name": name})
        given = {snake(key): value for key, value in first.config.items()}
        shape = given.get("batch_input_shape") or options.get("build_input_shape")
        if shape is None and isinstance(given.get("input_shape"), list):
            shape = [given.get("batch_size"), *given["input_shape"]]
        if shape is None and first.class_name == "Embedding":
            length = given.get("input_length")
            shape = [None, *(length if isinstance(length, list) else [length])]
        if shape is None and first.class_name == "Dense" and given.get("input_dim") is not None:
            shape = [None, given["input_dim"]]
        if shape is None:
            raise ModelFormatError(
                f"the Sequential model {where!r} does not say its input shape",
                hint="Build the model before saving it, or give its first layer an input shape.",
            )
        dtype = given.get("dtype") if given.get("dtype") in ("int32", "bool") else "float32"
        config = {"name": name, "batch_input_shape": shape, "dtype": dtype}
        _check_input(config, name)
        return Entry(name, "InputLayer", config)

    def _functional(self, topology: dict[str, Any], path: tuple[str, ...]) -> Structure:
        where = "/".join(path) or "model"
        config = topology.get("config")
        listed = config.get("layers") if isinstance(config, dict) else None
        if not isinstance(config, dict) or not isinstance(listed, list) or not listed:
            raise ModelFormatError(f"the model {where!r} has no layers", hint=_DAMAGED)
        layers: dict[str, Entry] = {}
        for raw in listed:
            entry = self._entry(raw, path)
            if self.strict:
                _check_names(raw, entry.name, where)
            if entry.name in layers:
                raise ModelFormatError(f"two layers of {where!r} have the name {entry.name!r}", hint=_DAMAGED)
            entry.uses = _uses(raw, entry)
            layers[entry.name] = entry
        steps = _order(layers, where)
        ends = {}
        for key in ("input_layers", "output_layers"):
            value = config.get(key, config.get("inputLayers" if key == "input_layers" else "outputLayers"))
            ends[key] = [_resolved(end, layers, f"the {key} of {where!r}") for end in _ends(value, key, where)]
        for reference in ends["input_layers"]:
            if layers[reference.layer].class_name != "InputLayer":
                raise ModelFormatError(f"the input {reference.layer!r} of {where!r} is no InputLayer", hint=_DAMAGED)
        _check_reach(layers, ends["input_layers"], ends["output_layers"], where)
        trainable = config.get("trainable") is not False
        return Structure(
            _model_name(config.get("name")), False, trainable, layers, ends["input_layers"], ends["output_layers"], steps
        )

    def _entry(self, raw: object, path: tuple[str, ...], default: str | None = None) -> Entry:
        where = "/".join(path) or "model"
        self.count += 1
        if self.count > LAYER_LIMIT:
            raise ModelFormatError(f"the model has more than {LAYER_LIMIT} layers", hint=_DAMAGED)
        if not isinstance(raw, dict):
            raise ModelFormatError(f"a layer of {where!r} is not described by an object", hint=_DAMAGED)
        class_name = raw.get("class_name", raw.get("className"))
        if not isinstance(class_name, str) or not class_name:
            raise ModelFormatError(f"a layer of {where!r} has no class_name", hint=_DAMAGED)
        config = raw.get("config")
        inner = config if isinstance(config, dict) else {}
        name = raw.get("name") or inner.get("name")
        if name is None and default is not None:
            name = f"{snake(class_name)}_{default}"
        if not _is_name(name):
            raise ModelFormatError(f"a layer of {where!r} has no valid name: {str(name)[:80]!r}", hint=_DAMAGED)
        assert isinstance(name, str)
        if class_name in CONTAINERS:
            model = self.model({"class_name": class_name, "config": config}, (*path, name))
            if not inner.get("name"):
                model.name = name
            return Entry(name, class_name, {}, model=model)
        if not isinstance(config, dict):
            raise ModelFormatError(f"the layer {name[:80]!r} has no config", hint=_DAMAGED)
        _check_values(config, name)
        entry = Entry(name, class_name, {"name": name, **config})
        if class_name == "InputLayer":
            _check_input(entry.config, name)
        for wrapped in _models_within(config):
            entry.inner.append(self.model(wrapped, (*path, name)))
        return entry


def _check_names(raw: dict[str, Any], name: str, where: str) -> None:
    config = raw["config"] if isinstance(raw.get("config"), dict) else {}
    for written, place in ((raw.get("name"), "beside its class"), (config.get("name"), "in its config")):
        if written != name:
            raise ModelFormatError(
                f"the layer {name!r} of {where!r} is called {str(written)[:80]!r} {place}",
                hint="Both names must be there and be the same; TF.js would search for the layer for ever.",
            )


def _models_within(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        written = value.get("class_name", value.get("className"))
        if written in CONTAINERS:
            yield {"class_name": written, "config": value.get("config")}
            return
        for item in value.values():
            yield from _models_within(item)
    elif isinstance(value, list):
        for item in value:
            yield from _models_within(item)


def _is_name(name: object) -> bool:
    whole = isinstance(name, str) and 0 < len(name) <= 512 and name not in _FORBIDDEN_NAMES
    return whole and not any("\ud800" <= one <= "\udfff" for one in str(name))


def _model_name(name: object) -> str:
    return str(name) if _is_name(name) else "model"


def _uses(raw: dict[str, Any], entry: Entry) -> list[Use]:
    nodes = raw.get("inbound_nodes", raw.get("inboundNodes", []))
    damaged = ModelFormatError(f"the layer {entry.name!r} has no valid inbound_nodes", hint=_DAMAGED)
    if not isinstance(nodes, list) or len(nodes) > LAYER_LIMIT:
        raise damaged
    uses = []
    for node in nodes:
        if isinstance(node, dict):
            raise ModelFormatError(
                f"the layer {entry.name!r} is described in the style of Keras 3, which TF.js does not read",
                hint="Load the model in Keras 3 and give it to pybridge as a Keras model.",
            )
        if not isinstance(node, list) or not node or len(node) > LAYER_LIMIT:
            raise damaged
        if isinstance(node[0], str):
            node = [node]
        inputs = []
        arguments: dict[str, Any] = {}
        for tensor in node:
            inputs.append(_reference(tensor, f"the input of {entry.name!r}"))
            extra = tensor[3] if len(tensor) > 3 else None
            if extra is not None and not isinstance(extra, dict):
                raise damaged
            _check_values(extra or {}, entry.name)
            arguments = extra or arguments
        uses.append(Use(tuple(inputs), arguments))
    if entry.class_name == "InputLayer" and uses:
        raise ModelFormatError(f"the input layer {entry.name!r} has an input", hint=_DAMAGED)
    return uses


def _reference(value: object, what: str) -> Reference:
    whole = isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)
    if not whole or not all(type(index) is int and 0 <= index < LAYER_LIMIT for index in value[1:3]):  # type: ignore[index]
        raise ModelFormatError(f"{what} is not [layer, node, tensor]: {str(value)[:80]}", hint=_DAMAGED)
    assert isinstance(value, list)
    return Reference(value[0], value[1], value[2])


def _ends(value: object, key: str, where: str) -> list[Reference]:
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        value = [value]
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list) or not value:
        raise ModelFormatError(f"{where!r} has no valid {key}", hint=_DAMAGED)
    return [_reference(end, f"an entry of the {key} of {where!r}") for end in value]


def _resolved(reference: Reference, layers: dict[str, Entry], what: str) -> Reference:
    """The same with the use counted from 0, after checking that there is such a use."""
    entry = layers.get(reference.layer)
    if entry is None:
        raise ModelFormatError(f"{what}: there is no layer {reference.layer[:80]!r}", hint=_DAMAGED)
    # A nested model's own graph is its node 0, so that its first use is node 1; some converters count from 0 all the same.
    use = reference.use - 1 if entry.model is not None and reference.use > 0 else reference.use
    known = 1 if entry.class_name == "InputLayer" else len(entry.uses)
    if use >= known:
        raise ModelFormatError(f"{what}: the layer {entry.name!r} is used {known} times, not {use + 1}", hint=_DAMAGED)
    if entry.model is not None and reference.output >= len(entry.model.outputs):
        raise ModelFormatError(f"{what}: the model {entry.name!r} has no output {reference.output}", hint=_DAMAGED)
    if entry.class_name == "InputLayer" and reference.output:
        raise ModelFormatError(f"{what}: the input layer {entry.name!r} has one output only", hint=_DAMAGED)
    return Reference(reference.layer, use, reference.output)


def _order(layers: dict[str, Entry], where: str) -> list[tuple[str, int]]:
    """Make the uses of all layers as TF.js does, pass by pass, until none is left; renumber them in this order."""
    for entry in layers.values():
        entry.uses = [
            Use(tuple(_resolved(one, layers, f"the input of {entry.name!r}") for one in use.inputs), use.arguments)
            for use in entry.uses
        ]
        if not entry.uses and entry.class_name != "InputLayer":
            raise ModelFormatError(f"the layer {entry.name!r} of {where!r} has no input", hint=_DAMAGED)
    made = {name: int(entry.class_name == "InputLayer") for name, entry in layers.items()}
    done: dict[str, list[Use]] = {name: [] for name in layers}
    waiting = {name: entry.uses for name, entry in layers.items() if entry.uses}
    steps = [(name, 0) for name, entry in layers.items() if entry.class_name == "InputLayer"]
    budget = 20_000_000
    while waiting:
        progress = False
        for name in list(waiting):
            left = []
            for use in waiting[name]:
                budget -= len(use.inputs)
                if budget < 0:
                    raise ModelFormatError(f"the layers of {where!r} are listed in too bad an order", hint=_DAMAGED)
                if any(made[one.layer] <= one.use for one in use.inputs):
                    left.append(use)
                    continue
                steps.append((name, made[name]))
                done[name].append(use)
                made[name] += 1
                progress = True
            waiting[name] = left
            if not left:
                del waiting[name]
        if not progress:
            raise ModelFormatError(f"the layers of {where!r} form a cycle: {listed(list(waiting)[:5])}", hint=_DAMAGED)
    for name, entry in layers.items():
        entry.uses = done[name]
    return steps


def _check_reach(layers: dict[str, Entry], inputs: list[Reference], outputs: list[Reference], where: str) -> None:
    """Every input that an output needs must be among the inputs of the model."""
    if len(set(inputs)) < len(inputs):
        raise ModelFormatError(f"{where!r} names an input twice", hint=_DAMAGED)
    fed = {reference.layer for reference in inputs}
    seen: set[tuple[str, int]] = set()
    waiting = [(reference.layer, reference.use) for reference in outputs]
    while waiting:
        step = waiting.pop()
        if step in seen:
            continue
        seen.add(step)
        entry = layers[step[0]]
        if entry.class_name == "InputLayer":
            if entry.name not in fed:
                raise ModelFormatError(f"{where!r} needs the input {entry.name!r}, but does not list it", hint=_DAMAGED)
            continue
        waiting += [(one.layer, one.use) for one in entry.uses[step[1]].inputs]


def _check_input(config: dict[str, Any], name: str) -> None:
    given = {snake(key): value for key, value in config.items()}
    shape = given.get("batch_input_shape") or given.get("batch_shape")
    if shape is None and isinstance(given.get("input_shape"), list):
        shape = [None, *given["input_shape"]]
    if not isinstance(shape, list) or not 1 <= len(shape) <= 8 or not all(_is_size(size) for size in shape):
        raise ModelFormatError(f"the input {name!r} has no valid shape: {str(shape)[:80]}", hint=_DAMAGED)
    if (shape[0] or 0) > _BATCH_LIMIT or math.prod(size or 1 for size in shape) >= 2**40:
        raise ModelFormatError(f"the input {name!r} is too large: {str(shape)[:80]}", hint=_DAMAGED)
    config["batch_input_shape"] = shape
    dtype = config.get("dtype") or "float32"
    if not isinstance(dtype, str):
        raise ModelFormatError(f"the input {name!r} has no valid type: {str(dtype)[:80]}", hint=_DAMAGED)
    config["dtype"] = dtype


def _is_size(value: object) -> bool:
    return value is None or (type(value) is int and 0 < value < 2**31)


def _is_drawable(initializer: dict[str, Any]) -> bool:
    """Whether random numbers can be drawn: TF.js draws until one lies within two standard deviations."""
    config = initializer.get("config")
    amounts = {snake(key): value for key, value in config.items()} if isinstance(config, dict) else {}
    for key in ("gain", "maxval", "mean", "minval", "scale", "stddev", "value"):
        if not isinstance(amounts.get(key), (int, float, type(None))):
            return False
    return all((amounts.get(key) or 0) >= 0 for key in ("scale", "stddev"))


def _check_values(config: dict[str, Any], name: str) -> None:
    """Numbers must be finite and axes small: TF.js counts loops with them."""
    waiting: list[tuple[str, object, int]] = [(key, value, 0) for key, value in config.items()]
    while waiting:
        key, value, depth = waiting.pop()
        if depth > _CONFIG_NESTING_LIMIT:
            raise ModelFormatError(f"the config of {name!r} is nested too deeply", hint=_DAMAGED)
        if isinstance(value, dict):
            if any(not isinstance(inner, str) or inner in _FORBIDDEN_NAMES for inner in value):
                raise ModelFormatError(f"the config of {name!r} has a forbidden key", hint=_DAMAGED)
            if snake(key).endswith("_initializer") and not _is_drawable(value):
                raise ModelFormatError(f"the layer {name!r} has an invalid {key}: {str(value)[:80]}", hint=_DAMAGED)
            waiting += [(inner, item, depth + 1) for inner, item in value.items()]
        elif isinstance(value, list):
            waiting += [(key, item, depth + 1) for item in value]
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            if not math.isfinite(value) or abs(value) > 1e38:
                raise ModelFormatError(f"the layer {name!r} has {key}={str(value)[:40]}, not a usable number", hint=_DAMAGED)
            if snake(key) in _AXIS_KEYS and not (isinstance(value, int) and abs(value) <= 16):
                raise ModelFormatError(f"the layer {name!r} has {key}={str(value)[:40]}, no axis", hint=_DAMAGED)
        elif isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value):
            raise ModelFormatError(f"the config of {name!r} holds half a character in {key!r}", hint=_DAMAGED)
        elif isinstance(value, str) and snake(key) in _AXIS_KEYS:
            raise ModelFormatError(f"the layer {name!r} has {key}={value[:40]!r}, no axis", hint=_DAMAGED)
    if any(key in _FORBIDDEN_NAMES for key in config):
        raise ModelFormatError(f"the config of {name!r} has a forbidden key", hint=_DAMAGED)
