"""Reads a topology, all nested models included, as TF.js would load it.

TF.js trusts what it reads: references that never resolve make ``tf.loadLayersModel`` loop for ever, and some options
make it count to 2**31. Such things are found here first. The reading follows the loading of TF.js step by step
(``Container.fromConfig`` and ``Sequential.fromConfig`` of tfjs-layers), so that a layer that is used several times has
its uses in the order in which TF.js numbers them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.tfjs.topology.checks import check_input, check_names, check_values, is_name
from pybridge.tfjs.topology.layers import CONTAINERS, DAMAGED, LAYER_LIMIT, LayerNode, Reference, Topology, Use
from pybridge.tfjs.topology.names import snake
from pybridge.tfjs.topology.uses import check_reach, order_uses, read_ends, read_uses, resolved

NESTING_LIMIT = 16
"""How deep models may lie inside models; those of Keras applications need 2."""


def parse_topology(topology: dict[str, Any]) -> Topology:
    """Read and check a topology.

    Args:
        topology: ``{"class_name": ..., "config": ...}`` in the style of Keras 2.

    Raises:
        ModelFormatError: If a part is missing, of the wrong type or repeated, if a reference leads nowhere or into a
            cycle, or if a number is outside of what the layers can take.

    Example:
        >>> parsed = parse_topology(LayersModel.read(Path("mobilenet")).topology)
        >>> [node.class_name for node in parsed.layers.values()][:2]
        ['InputLayer', 'ZeroPadding2D']
    """
    return _Parser().model(topology, ())


def check_topology(topology: dict[str, Any]) -> None:
    """Refuse a topology on which TF.js would loop for ever, or that it cannot load for a structural reason.

    Raises:
        ModelFormatError: As `parse_topology`; also where an entry and its config have different names.
    """
    _Parser(strict=True).model(topology, ())


def keeps_state(topology: dict[str, Any]) -> bool:
    """Whether a layer carries its state from one batch to the next, so that answers depend on what was asked before."""
    stack: list[Any] = [topology]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if value.get("stateful") is True:
                return True
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return False


class _Parser:
    def __init__(self, *, strict: bool = False) -> None:
        self.count = 0
        self.strict = strict

    def model(self, topology: dict[str, Any], path: tuple[str, ...]) -> Topology:
        if len(path) > NESTING_LIMIT:
            raise ModelFormatError(f"models are nested more than {NESTING_LIMIT} deep", hint=DAMAGED)
        if topology.get("class_name") == "Sequential":
            return self._sequential(topology, path)
        return self._functional(topology, path)

    def _sequential(self, topology: dict[str, Any], path: tuple[str, ...]) -> Topology:
        config = topology.get("config")
        options = config if isinstance(config, dict) else {}
        where = "/".join(path) or "model"
        listed = config if isinstance(config, list) else options.get("layers")
        if not isinstance(listed, list) or not listed:
            raise ModelFormatError(f"the Sequential model {where!r} has no layers", hint=DAMAGED)
        layers: dict[str, LayerNode] = {}
        inputs: list[Reference] = []
        last: Reference | None = None
        for position, raw in enumerate(listed):
            # The name of a Sequential inside another is not always written; its position stands in.
            entry = self._entry(raw, path, default=f"{position}")
            if entry.name in layers:
                raise ModelFormatError(f"two layers of {where!r} have the name {entry.name!r}", hint=DAMAGED)
            if entry.class_name == "InputLayer":
                if last is not None:
                    raise ModelFormatError(f"{where!r} has an input layer behind other layers: {entry.name!r}", hint=DAMAGED)
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
        return Topology(_model_name(name), True, options.get("trainable") is not False, layers, inputs, [last], steps)

    def _implied_input(self, first: LayerNode, options: dict[str, Any], where: str) -> LayerNode:
        """The input that a Sequential model makes for its first layer."""
        name = f"{first.name}_input"
        if first.model is not None:
            if len(first.model.inputs) != 1:
                raise ModelFormatError(f"{where!r} begins with a model of {len(first.model.inputs)} inputs", hint=DAMAGED)
            inner = first.model.layers[first.model.inputs[0].layer]
            return LayerNode(name, "InputLayer", {**inner.config, "name": name}, implied=True)
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
        check_input(config, name)
        return LayerNode(name, "InputLayer", config, implied=True)

    def _functional(self, topology: dict[str, Any], path: tuple[str, ...]) -> Topology:
        where = "/".join(path) or "model"
        config = topology.get("config")
        listed = config.get("layers") if isinstance(config, dict) else None
        if not isinstance(config, dict) or not isinstance(listed, list) or not listed:
            raise ModelFormatError(f"the model {where!r} has no layers", hint=DAMAGED)
        layers: dict[str, LayerNode] = {}
        for raw in listed:
            entry = self._entry(raw, path)
            if self.strict:
                check_names(raw, entry.name, where)
            if entry.name in layers:
                raise ModelFormatError(f"two layers of {where!r} have the name {entry.name!r}", hint=DAMAGED)
            entry.uses = read_uses(raw, entry)
            layers[entry.name] = entry
        steps = order_uses(layers, where)
        ends = {}
        for key in ("input_layers", "output_layers"):
            value = config.get(key, config.get("inputLayers" if key == "input_layers" else "outputLayers"))
            ends[key] = [resolved(end, layers, f"the {key} of {where!r}") for end in read_ends(value, key, where)]
        for reference in ends["input_layers"]:
            if layers[reference.layer].class_name != "InputLayer":
                raise ModelFormatError(f"the input {reference.layer!r} of {where!r} is no InputLayer", hint=DAMAGED)
        check_reach(layers, ends["input_layers"], ends["output_layers"], where)
        trainable = config.get("trainable") is not False
        return Topology(
            _model_name(config.get("name")), False, trainable, layers, ends["input_layers"], ends["output_layers"], steps
        )

    def _entry(self, raw: object, path: tuple[str, ...], default: str | None = None) -> LayerNode:
        where = "/".join(path) or "model"
        self.count += 1
        if self.count > LAYER_LIMIT:
            raise ModelFormatError(f"the model has more than {LAYER_LIMIT} layers", hint=DAMAGED)
        if not isinstance(raw, dict):
            raise ModelFormatError(f"a layer of {where!r} is not described by an object", hint=DAMAGED)
        class_name = raw.get("class_name", raw.get("className"))
        if not isinstance(class_name, str) or not class_name:
            raise ModelFormatError(f"a layer of {where!r} has no class_name", hint=DAMAGED)
        config = raw.get("config")
        inner = config if isinstance(config, dict) else {}
        name = raw.get("name") or inner.get("name")
        if name is None and default is not None:
            name = f"{snake(class_name)}_{default}"
        if not is_name(name):
            raise ModelFormatError(f"a layer of {where!r} has no valid name: {str(name)[:80]!r}", hint=DAMAGED)
        assert isinstance(name, str)
        if class_name in CONTAINERS:
            model = self.model({"class_name": class_name, "config": config}, (*path, name))
            if not inner.get("name"):
                model.name = name
            return LayerNode(name, class_name, {}, model=model)
        if not isinstance(config, dict):
            raise ModelFormatError(f"the layer {name[:80]!r} has no config", hint=DAMAGED)
        check_values(config, name)
        entry = LayerNode(name, class_name, dict(config) if "name" in config else {"name": name, **config})
        if class_name == "InputLayer":
            check_input(entry.config, name)
        for wrapped in _models_within(config):
            entry.inner.append(self.model(wrapped, (*path, name)))
        return entry


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


def _model_name(name: object) -> str:
    return str(name) if is_name(name) else "model"
