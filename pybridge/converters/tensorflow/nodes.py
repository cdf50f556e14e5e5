"""The nodes of a TensorFlow graph as JSON writes them: in a TF.js graph model, or in a GraphDef turned into JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pybridge.errors import ModelFormatError

_DAMAGED = "The model is damaged or incomplete: export or download it again."
_NODE_LIMIT = 200_000


@dataclass(frozen=True)
class GraphNode:
    """One operation.

    Attributes:
        name: Unique in its graph.
        op: Its kind, such as ``Conv2D``.
        inputs: The tensors it takes, as (node, index of its output).
        attributes: Plain values: bools, numbers, strings, shapes and types by name, and lists of them.
    """

    name: str
    op: str
    inputs: tuple[tuple[str, int], ...]
    attributes: Mapping[str, Any]


def parse_nodes(written: object, where: str) -> dict[str, GraphNode]:
    """Check the nodes of a graph and give them types.

    Args:
        written: The list ``node`` of the graph's JSON.
        where: What to call it in errors.

    Returns:
        The nodes by name, each behind those that it takes from.

    Raises:
        ModelFormatError: It is no graph, or has a cycle.
    """
    if not isinstance(written, list) or len(written) > _NODE_LIMIT:
        raise ModelFormatError(f"{where}: has no list of nodes", hint=_DAMAGED)
    nodes: dict[str, GraphNode] = {}
    for entry in written:
        node = _parse_node(entry, where)
        if node.name in nodes:
            raise ModelFormatError(f"{where}: the node {node.name!r} is listed twice", hint=_DAMAGED)
        nodes[node.name] = node
    return _sorted(nodes, where)


def tensor_name(written: str) -> tuple[str, int]:
    """Split ``node:1`` into the node's name and the index of its output."""
    name, _, index = written.partition(":")
    return name, int(index) if index.isdigit() else 0


def _parse_node(entry: object, where: str) -> GraphNode:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not isinstance(entry.get("op"), str):
        raise ModelFormatError(f"{where}: a node has no name or no op", hint=_DAMAGED)
    inputs, attributes = entry.get("input") or [], entry.get("attr") or {}
    if not isinstance(inputs, list) or not all(isinstance(name, str) for name in inputs) or not isinstance(attributes, dict):
        raise ModelFormatError(f"{where}: the node {entry['name']!r} is malformed", hint=_DAMAGED)
    try:
        values = {str(name): _attribute(value) for name, value in attributes.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelFormatError(
            f"{where}: the node {entry['name']!r} has a malformed attribute ({error})", hint=_DAMAGED
        ) from error
    data = tuple(tensor_name(name) for name in inputs if not name.startswith("^"))
    return GraphNode(entry["name"], entry["op"], data, values)


def _attribute(value: Mapping[str, Any]) -> Any:
    for kind, content in value.items():
        if kind == "list":
            return [_plain(inner, item) for inner, items in content.items() for item in items]
        return _plain(kind, content)
    return None


def _plain(kind: str, content: Any) -> Any:
    if kind == "i":
        return int(content)
    if kind == "f":
        return float(content)
    if kind == "s":
        return base64.b64decode(content, validate=True).decode("utf-8", "replace")
    if kind == "shape":
        if content.get("unknownRank"):
            return None
        return [int(dimension.get("size", 0)) for dimension in content.get("dim") or []]
    return content


def _sorted(nodes: dict[str, GraphNode], where: str) -> dict[str, GraphNode]:
    ordered: dict[str, GraphNode] = {}
    pending: set[str] = set()
    for start in nodes:
        stack = [start]
        while stack:
            name = stack[-1]
            if name in ordered:
                stack.pop()
                continue
            if name not in nodes:
                raise ModelFormatError(f"{where}: there is no node {name!r}", hint=_DAMAGED)
            missing = [source for source, _ in nodes[name].inputs if source not in ordered]
            if not missing:
                ordered[name] = nodes[name]
                pending.discard(name)
                stack.pop()
            elif name in pending:
                raise ModelFormatError(f"{where}: the node {name!r} depends on itself", hint="Loops cannot be converted.")
            else:
                pending.add(name)
                stack.extend(missing)
    return ordered
