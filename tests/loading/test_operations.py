"""The list of operations that a SavedModel may have, against the registry of the TensorFlow that is installed."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from pybridge.loading.graph_safety import refused_operations
from pybridge.loading.operations import known_operations, read_groups

# What an argument is called that names something outside of the graph.
_OUTSIDE = re.compile(
    "file|path|url|addr|prefix|(^|_)dir(_|$)|host|port|socket|shell|command|token|descriptor|memory_region|stream|server|service|program|module"
)


@pytest.fixture(scope="module")
def registry() -> dict[str, Any]:
    """For each operation of TensorFlow its definition."""
    import tensorflow as tf
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    del tf
    listed = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return {definition.name: definition for definition in listed.op}


def test_every_operation_of_this_tensorflow_is_in_a_group_of_the_list(registry: dict[str, Any]) -> None:
    new = sorted(registry.keys() - known_operations().known)
    assert not new, f"new in TensorFlow: put each into a group of pybridge/loading/operations.txt: {new}"


def test_no_operation_is_in_two_groups_and_every_group_says_why() -> None:
    groups = read_groups()
    counts = Counter(name for _, names in groups.values() for name in names)
    assert [name for name, count in counts.items() if count > 1] == []
    assert all(reason and names for reason, names in groups.values())


def test_no_operation_that_may_compute_has_an_argument_that_names_a_file_an_address_or_code(registry: dict[str, Any]) -> None:
    suspicious = {
        name: named
        for name, definition in registry.items()
        if name in known_operations().computing and (named := _named_outside(definition))
    }
    assert suspicious == {}


def test_operations_that_name_files_addresses_and_code_are_found_by_their_arguments(registry: dict[str, Any]) -> None:
    for name in (
        "ReadFile",
        "DataServiceDatasetV4",
        "ImmutableConst",
        "PyFunc",
        "DebugIdentity",
        "RpcClient",
        "DumpTensor",
        "PrintV2",
    ):
        assert _named_outside(registry[name]), name


def test_a_graph_with_any_other_operation_is_refused_by_its_name(registry: dict[str, Any]) -> None:
    from tensorflow.core.protobuf import meta_graph_pb2

    known = known_operations()
    for name in [*sorted(registry.keys() - known.computing - known.saver), "SomeOperationOfTheFuture"]:
        graph = meta_graph_pb2.MetaGraphDef()
        graph.graph_def.node.add(name="first", op="Const")
        function = graph.graph_def.library.function.add()
        function.signature.name = "never_called"
        function.node_def.add(name="other", op=name)
        assert refused_operations(memoryview(graph.SerializeToString())) == {name: known.reason(name)}


def test_a_graph_with_any_operation_that_computes_is_not_refused() -> None:
    from tensorflow.core.protobuf import meta_graph_pb2

    graph = meta_graph_pb2.MetaGraphDef()
    for name in known_operations().computing:
        graph.graph_def.node.add(name=name, op=name)
    assert refused_operations(memoryview(graph.SerializeToString())) == {}


def _named_outside(definition: Any) -> list[str]:
    from tensorflow.core.framework import types_pb2

    inputs = [argument.name for argument in definition.input_arg if argument.type == types_pb2.DT_STRING]
    attributes = [attribute.name for attribute in definition.attr if attribute.type in ("string", "list(string)")]
    return [name for name in inputs + attributes if _OUTSIDE.search(name)]
