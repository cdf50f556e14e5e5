"""Who takes what from whom: the uses of each layer, numbered as TF.js numbers them while it loads a model."""

from __future__ import annotations

from typing import Any

from pybridge.errors import ModelFormatError
from pybridge.text import listed
from pybridge.tfjs.topology.checks import check_values
from pybridge.tfjs.topology.layers import DAMAGED, LAYER_LIMIT, LayerNode, Reference, Use


def read_uses(raw: dict[str, Any], entry: LayerNode) -> list[Use]:
    """Read the ``inbound_nodes`` of a layer, numbered as the file has them.

    Raises:
        ModelFormatError: They are damaged, or in the style of Keras 3.
    """
    nodes = raw.get("inbound_nodes", raw.get("inboundNodes", []))
    damaged = ModelFormatError(f"the layer {entry.name!r} has no valid inbound_nodes", hint=DAMAGED)
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
            check_values(extra or {}, entry.name)
            arguments = extra or arguments
        uses.append(Use(tuple(inputs), arguments))
    if entry.class_name == "InputLayer" and uses:
        raise ModelFormatError(f"the input layer {entry.name!r} has an input", hint=DAMAGED)
    return uses


def _reference(value: object, what: str) -> Reference:
    whole = isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)
    if not whole or not all(type(index) is int and 0 <= index < LAYER_LIMIT for index in value[1:3]):  # type: ignore[index]
        raise ModelFormatError(f"{what} is not [layer, node, tensor]: {str(value)[:80]}", hint=DAMAGED)
    assert isinstance(value, list)
    return Reference(value[0], value[1], value[2])


def read_ends(value: object, key: str, where: str) -> list[Reference]:
    """Read the ``input_layers`` or ``output_layers`` of a model, numbered as the file has them.

    Raises:
        ModelFormatError: They are damaged.
    """
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        value = [value]
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list) or not value:
        raise ModelFormatError(f"{where!r} has no valid {key}", hint=DAMAGED)
    return [_reference(end, f"an entry of the {key} of {where!r}") for end in value]


def resolved(reference: Reference, layers: dict[str, LayerNode], what: str) -> Reference:
    """The same reference with the use counted from 0, after checking that there is such a use.

    Raises:
        ModelFormatError: There is none.
    """
    entry = layers.get(reference.layer)
    if entry is None:
        raise ModelFormatError(f"{what}: there is no layer {reference.layer[:80]!r}", hint=DAMAGED)
    # A nested model's own graph is its node 0, so that its first use is node 1; some converters count from 0 all the same.
    use = reference.use - 1 if entry.model is not None and reference.use > 0 else reference.use
    known = 1 if entry.class_name == "InputLayer" else len(entry.uses)
    if use >= known:
        raise ModelFormatError(f"{what}: the layer {entry.name!r} is used {known} times, not {use + 1}", hint=DAMAGED)
    if entry.model is not None and reference.output >= len(entry.model.outputs):
        raise ModelFormatError(f"{what}: the model {entry.name!r} has no output {reference.output}", hint=DAMAGED)
    if entry.class_name == "InputLayer" and reference.output:
        raise ModelFormatError(f"{what}: the input layer {entry.name!r} has one output only", hint=DAMAGED)
    return Reference(reference.layer, use, reference.output)


def order_uses(layers: dict[str, LayerNode], where: str) -> list[tuple[str, int]]:
    """Make the uses of all layers as TF.js does, pass by pass, until none is left; renumber them in this order.

    Returns:
        ``(layer, use)`` in that order.

    Raises:
        ModelFormatError: A reference leads nowhere, or the layers form a cycle.
    """
    for entry in layers.values():
        entry.uses = [
            Use(tuple(resolved(one, layers, f"the input of {entry.name!r}") for one in use.inputs), use.arguments)
            for use in entry.uses
        ]
        if not entry.uses and entry.class_name != "InputLayer":
            raise ModelFormatError(f"the layer {entry.name!r} of {where!r} has no input", hint=DAMAGED)
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
                    raise ModelFormatError(f"the layers of {where!r} are listed in too bad an order", hint=DAMAGED)
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
            raise ModelFormatError(f"the layers of {where!r} form a cycle: {listed(list(waiting)[:5])}", hint=DAMAGED)
    for name, entry in layers.items():
        entry.uses = done[name]
    return steps


def check_reach(layers: dict[str, LayerNode], inputs: list[Reference], outputs: list[Reference], where: str) -> None:
    """Refuse a model that does not list every input that its outputs need.

    Raises:
        ModelFormatError: An input is missing or listed twice.
    """
    if len(set(inputs)) < len(inputs):
        raise ModelFormatError(f"{where!r} names an input twice", hint=DAMAGED)
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
                raise ModelFormatError(f"{where!r} needs the input {entry.name!r}, but does not list it", hint=DAMAGED)
            continue
        waiting += [(one.layer, one.use) for one in entry.uses[step[1]].inputs]
