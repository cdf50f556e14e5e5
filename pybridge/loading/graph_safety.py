"""What is looked at in the graph of a SavedModel before TensorFlow runs it: which operations it has, and where its saver leads.

A SavedModel is a program; see https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md. One that only has the operations
of the allowlist computes, and reaches no file, address or process. The exception is the saver, by which a model restores its
own variables: TensorFlow gives it the file's name, and it must take that name from nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from pybridge.loading.operations import known_operations
from pybridge.loading.protobuf import fields, merged, messages, text

# The inputs of the saver's operations that name files.
_FILE_NAMES = {"SaveV2": (0,), "RestoreV2": (0,), "MergeV2Checkpoints": (0, 1), "ShardedFilename": (0,)}
_RESTORING = {"RestoreV2"}
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_NESTING_LIMIT = 50

# What TensorFlow's savers append to the name that they are given.
_SUFFIX = re.compile(rb"(_temp(_[0-9a-f]{1,64})?/part|\.part)")

_MISSING = "is a function that the model does not have"


@dataclass
class _Node:
    name: str
    op: str
    inputs: list[str]
    functions: list[str]
    message: memoryview

    @cached_property
    def data(self) -> list[str]:
        return [tensor for tensor in self.inputs if not tensor.startswith("^")]


@dataclass
class _Scope:
    """The main graph, or a function of its library."""

    name: str
    arguments: list[str] = field(default_factory=list)
    nodes: dict[str, _Node] = field(default_factory=dict)

    def add(self, message: memoryview) -> None:
        node = _read_node(message)
        if node.name in self.nodes:
            raise ValueError(f"two nodes are called {node.name!r}")
        self.nodes[node.name] = node

    def producer(self, tensor: str) -> _Node | None:
        return self.nodes.get(tensor.lstrip("^").partition(":")[0])


def entries(message: memoryview, number: int) -> Iterator[tuple[str, memoryview]]:
    """The entries of a map from strings to messages; of equal keys the last one counts."""
    for entry in messages(message, number):
        yield text(entry, 1), merged(entry, 2)


def refused_operations(graph: memoryview, allowed: Collection[str] = ()) -> dict[str, str]:
    """Look through a graph with all functions of its library, whether or not something calls them.

    Args:
        graph: A ``MetaGraphDef``.
        allowed: Further operations that are let through, unchecked.

    Returns:
        The operations that it may not have, each with the reason.

    Raises:
        ValueError: The bytes are no graph.
    """
    main, functions, gradients = _read_scopes(merged(graph, 2))
    known = known_operations()
    harmless = known.computing | set(allowed)
    refused = {name: "is the name of an operation and of a function" for name in functions if name in known.known}
    refused |= {name: _MISSING for name in gradients if name not in functions and name not in harmless}
    saver = False
    for scope in (main, *functions.values()):
        for node in scope.nodes.values():
            if node.op in known.saver and node.op not in allowed:
                saver = True
            elif node.op not in harmless and node.op not in functions:
                refused[node.op] = known.reason(node.op)
            for name in node.functions:
                if name not in functions and name not in harmless:
                    refused[name] = known.refused.get(name, _MISSING)
    if saver:
        refused |= _Saver(graph, main, functions, known.saver - set(allowed)).refused()
    return refused


class _Saver:
    """Follows the file names of the saver's operations back to where they come from."""

    def __init__(self, graph: memoryview, main: _Scope, functions: dict[str, _Scope], operations: frozenset[str]) -> None:
        definition = merged(graph, 3)
        self._graph, self._main, self._functions, self._operations = graph, main, functions, operations
        self._file_name = text(definition, 1).removesuffix(":0")
        self._restore = text(definition, 3)
        self._derived: dict[tuple[str, str], bool] = {}
        self._uses = self._used_by_functions()
        self._calls = self._found_calls()

    def refused(self) -> dict[str, str]:
        found = {}
        for scope in (self._main, *self._functions.values()):
            for node in scope.nodes.values():
                if node.op in self._operations and not all(
                    position < len(node.data) and self._from_file_name(scope, node.data[position])
                    for position in _FILE_NAMES[node.op]
                ):
                    found[node.op] = "takes the name of a file that is not the one the saver is given"
        outside = self._reached(self._roots()) | (self._reached([self._restore]) - _RESTORING)
        objects = bytes(merged(self._graph, 7))
        for name, used in self._uses.items():
            if used and name.encode() in objects:
                outside |= used
        return dict.fromkeys(outside, "reads or writes checkpoints outside of the model's saver") | found

    def _used_by_functions(self) -> dict[str, set[str]]:
        """For each function the saver's operations in it and in the functions that it names."""
        uses = {name: {node.op for node in scope.nodes.values()} & self._operations for name, scope in self._functions.items()}
        named = {
            name: {found for node in scope.nodes.values() for found in (node.op, *node.functions) if found in uses}
            for name, scope in self._functions.items()
        }
        changed = True
        while changed:
            changed = False
            for name, others in named.items():
                wider = uses[name].union(*(uses[other] for other in others))
                changed |= wider != uses[name]
                uses[name] = wider
        return uses

    def _found_calls(self) -> dict[str, list[tuple[_Scope, _Node] | None]]:
        """For each function that uses the saver's operations where it is called; None where something else names it."""
        calls: dict[str, list[tuple[_Scope, _Node] | None]] = {name: [] for name, used in self._uses.items() if used}
        for scope in (self._main, *self._functions.values()):
            for node in scope.nodes.values():
                if node.op in calls:
                    calls[node.op].append((scope, node))
                for name in node.functions:
                    if name in calls:
                        calls[name].append((scope, node) if node.op in _CALLS and len(node.functions) == 1 else None)
        return calls

    def _from_file_name(self, scope: _Scope, tensor: str) -> bool:
        """Whether a tensor is the file name that the saver is given, or that with an ending."""
        if scope is self._main and self._file_name and tensor.removesuffix(":0") == self._file_name:
            return True
        key = (scope.name, tensor)
        if key not in self._derived:
            self._derived[key] = False  # what depends on itself is none
            self._derived[key] = self._is_derived(scope, tensor)
        return self._derived[key]

    def _is_derived(self, scope: _Scope, tensor: str) -> bool:
        if tensor in scope.arguments:
            position, calls = scope.arguments.index(tensor), self._calls.get(scope.name, [])
            return bool(calls) and all(
                call is not None and position < len(call[1].data) and self._from_file_name(call[0], call[1].data[position])
                for call in calls
            )
        node = scope.producer(tensor)
        if node is None or not node.data:
            return False
        if node.op in ("Identity", "PlaceholderWithDefault", "ShardedFilename"):
            return self._from_file_name(scope, node.data[0])
        if node.op == "Pack":
            return all(self._from_file_name(scope, part) for part in node.data)
        if node.op == "StringJoin" and not text(_attribute(node, "separator"), 2):
            name, *endings = node.data
            return self._from_file_name(scope, name) and all(_is_ending(scope, ending) for ending in endings)
        return False

    def _roots(self) -> list[str]:
        """What is run or read besides the saver: the signatures, and what TensorFlow runs after loading."""
        found = []
        for _, signature in entries(self._graph, 5):
            found += [text(info, 1) for number in (1, 2) for _, info in entries(signature, number)]
        for _, collection in entries(self._graph, 4):
            found += [bytes(name).decode() for nodes in messages(collection, 1) for name in messages(nodes, 1)]
        return found

    def _reached(self, tensors: list[str]) -> set[str]:
        """The saver's operations that run where one of these tensors is computed."""
        found: set[str] = set()
        seen: set[str] = set()
        waiting = list(tensors)
        while waiting:
            node = self._main.producer(waiting.pop())
            if node is None or node.name in seen:
                continue
            seen.add(node.name)
            waiting += node.inputs
            found |= {node.op} & self._operations
            for name in (node.op, *node.functions):
                found |= self._uses.get(name, set())
        return found


def _is_ending(scope: _Scope, tensor: str) -> bool:
    node = scope.producer(tensor)
    if node is None or tensor in scope.arguments:
        return False
    if node.op in ("Select", "SelectV2"):
        return len(node.data) == 3 and all(_is_constant_ending(scope, part) for part in node.data[1:])
    return _is_constant_ending(scope, tensor)


def _is_constant_ending(scope: _Scope, tensor: str) -> bool:
    node = scope.producer(tensor)
    if node is None or tensor in scope.arguments or node.op != "Const":
        return False
    values = [bytes(value) for value in messages(merged(_attribute(node, "value"), 8), 8)]
    return len(values) == 1 and _SUFFIX.fullmatch(values[0]) is not None


def _attribute(node: _Node, name: str) -> memoryview:
    return dict(entries(node.message, 5)).get(name, memoryview(b""))


def _read_scopes(definition: memoryview) -> tuple[_Scope, dict[str, _Scope], set[str]]:
    """A graph's nodes, its functions, and the functions that it names as gradients."""
    main, functions = _Scope(""), dict[str, _Scope]()
    gradients: set[str] = set()
    for node in messages(definition, 1):
        main.add(node)
    for number, message in fields(merged(definition, 2)):
        if not isinstance(message, memoryview):
            continue
        if number == 1:
            signature = merged(message, 1)
            scope = _Scope(text(signature, 1), _arguments(signature))
            for node in messages(message, 3):
                scope.add(node)
            if twice := scope.nodes.keys() & set(scope.arguments):
                raise ValueError(f"an argument and a node are called {min(twice)!r}")
            for entry in messages(message, 7):
                _functions_in_attributes(merged(entry, 2), 1, gradients)
            _functions_in_attributes(message, 5, gradients)
            if not scope.name or scope.name in functions:
                raise ValueError(f"two functions are called {scope.name!r}")
            functions[scope.name] = scope
        elif number == 2:
            gradients |= {text(message, 1), text(message, 2)}
    return main, functions, gradients


def _arguments(signature: memoryview) -> list[str]:
    """The names of a function's arguments; none where one of them is a list, behind which positions say nothing."""
    arguments = list(messages(signature, 2))
    if any(text(argument, number) for argument in arguments for number in (5, 6)):
        return []
    return [text(argument, 1) for argument in arguments]


def _read_node(message: memoryview) -> _Node:
    name = op = b""
    inputs: list[str] = []
    functions: set[str] = set()
    attributes = False
    for number, value in fields(message):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            name = bytes(value)
        elif number == 2:
            op = bytes(value)
        elif number == 3:
            inputs.append(bytes(value).decode())
        elif number == 5 and not attributes:
            attributes = _may_name_functions(value)
    if attributes:
        _functions_in_attributes(message, 5, functions)
    return _Node(name.decode(), op.decode(), inputs, sorted(functions), message)


def _may_name_functions(entry: memoryview) -> bool:
    # The keys of functions in attributes are the bytes 0x52 and 0x4A, or begin with one above 0x7F. Most attributes are
    # short and hold none of them, which is found out much faster than their fields are walked.
    if len(entry) > 4096:
        return True
    data = bytes(entry)
    return not data.isascii() or b"\x52" in data or b"\x4a" in data


def _functions_in_attributes(message: memoryview, number: int, found: set[str], depth: int = 0) -> None:
    """Gather the names of functions in a map from names to ``AttrValue``, and in the attributes that these are given."""
    if depth > _NESTING_LIMIT:
        raise ValueError(f"attributes within attributes, more than {_NESTING_LIMIT} deep")
    for _, value in entries(message, number):
        given = list(messages(value, 10))
        for values in messages(value, 1):
            given += messages(values, 9)
        for function in given:
            found.add(text(function, 1))
            _functions_in_attributes(function, 2, found, depth + 1)
    found.discard("")
