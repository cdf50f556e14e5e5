"""SavedModels that would reach files or run code of those who open them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybridge as pb
from pybridge.errors import ModelFormatError
from pybridge.loading import resolve
from pybridge.loading.operations import known_operations
from pybridge.loading.saved_model import GRAPH_FILE, read_saved_model
from pybridge.runtime import ensure

Change = Callable[[Any], None]


@pytest.fixture
def changed(exported: Path, tmp_path: Path) -> Callable[[Change], Path]:
    """Copies the exported model with its protocol buffer changed."""
    from tensorflow.core.protobuf import saved_model_pb2

    def change(edit: Change) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(exported, folder)
        model = saved_model_pb2.SavedModel.FromString((folder / GRAPH_FILE).read_bytes())
        edit(model)
        (folder / GRAPH_FILE).write_bytes(model.SerializeToString())
        return folder

    return change


def _saved(folder: Path, compute: Callable[[Any], Any]) -> Path:
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2], name="x")])
        def call(self, x: Any) -> Any:
            return {"y": compute(x)}

    module = Module()
    tf.saved_model.save(module, str(folder), signatures=module.call)
    return folder


def _prints_to(target: Path) -> Callable[[Any], Any]:
    import tensorflow as tf

    def compute(x: Any) -> Any:
        printed = tf.raw_ops.PrintV2(input=tf.constant("text"), output_stream=f"file://{target}", end="\n")
        with tf.control_dependencies([printed]):
            return x * 2.0

    return compute


def test_an_operation_that_its_user_allows_runs(node: pb.Node, tmp_path: Path) -> None:
    folder = _saved(tmp_path / "model", _prints_to(tmp_path / "target"))
    with pytest.raises(ModelFormatError, match=r"contains PrintV2 \(takes the name of a file\)") as error:
        node.load_model(folder)
    assert "allow_operations=['PrintV2'] (--allow-operation NAME)" in str(error.value)
    assert not (tmp_path / "target").exists()
    model = node.load_model(folder, allow_operations=["PrintV2"])
    np.testing.assert_array_equal(model.predict(np.ones((1, 2))), [[2, 2]])
    assert (tmp_path / "target").read_text() == "text\n"


def test_a_base_is_not_offered_what_training_has_no_word_for(tmp_path: Path) -> None:
    folder = _saved(tmp_path / "model", _prints_to(tmp_path / "target"))
    with pytest.raises(ModelFormatError, match=r"contains PrintV2 \(takes the name of a file\)") as error:
        resolve(folder)
    assert "allow" not in str(error.value)


def test_an_operation_deep_in_the_functions_of_a_model_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    def compute(x: Any) -> Any:
        def body(i: Any, total: Any) -> Any:
            words = tf.cond(i > 100, lambda: tf.io.read_file("secret"), lambda: tf.constant(""))
            return i + 1, total + tf.cast(tf.strings.length(words), tf.float32)

        return tf.while_loop(lambda i, _: i < 2, body, [0, x])[1]

    with pytest.raises(ModelFormatError, match="contains ReadFile"):
        read_saved_model(_saved(tmp_path / "model", compute))


def test_a_function_that_an_attribute_names_must_be_one_of_the_model(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        node = model.meta_graphs[0].graph_def.node.add(name="other", op="PartitionedCall")
        node.attr["f"].func.name = "Identity"
        node.attr["f"].func.attr["g"].list.func.add(name="WriteFile")

    with pytest.raises(ModelFormatError, match="contains WriteFile"):
        read_saved_model(changed(edit))


def test_a_function_with_the_name_of_an_operation_is_refused(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        graph = model.meta_graphs[0].graph_def
        graph.library.function.add().signature.name = "ReadFile"
        graph.node.add(name="other", op="ReadFile")

    with pytest.raises(ModelFormatError, match=r"ReadFile .*an operation and of a function"):
        read_saved_model(changed(edit))


def test_gradients_name_functions_of_the_model(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        model.meta_graphs[0].graph_def.library.gradient.add(function_name="ReadFile", gradient_func="PyFunc")

    with pytest.raises(ModelFormatError, match="PyFunc, ReadFile"):
        read_saved_model(changed(edit))


def test_the_graph_that_is_run_has_the_tag_serve_and_no_other(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        model.meta_graphs[0].meta_info_def.tags.append("gpu")

    with pytest.raises(ModelFormatError, match=r"tag 'serve' alone, only \[\['gpu', 'serve'\]\]"):
        read_saved_model(changed(edit))


def test_every_graph_of_the_file_is_looked_at(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        other = model.meta_graphs.add()
        other.CopyFrom(model.meta_graphs[0])
        other.meta_info_def.tags[:] = ["train"]
        other.graph_def.node.add(name="other", op="ReadFile")

    with pytest.raises(ModelFormatError, match="contains ReadFile"):
        read_saved_model(changed(edit))


def test_what_is_loaded_is_what_was_checked(node: pb.Node, tmp_path: Path) -> None:
    folder = _saved(tmp_path / "model", lambda x: x * 3.0)
    hostile = _saved(tmp_path / "hostile", _prints_to(tmp_path / "target"))
    checked = read_saved_model(folder)
    shutil.copyfile(hostile / GRAPH_FILE, folder / GRAPH_FILE)
    assert checked.source == folder
    model = pb.Model(node.runner, checked)
    np.testing.assert_array_equal(model.predict(np.ones((1, 2))), [[3, 3]])
    assert not (tmp_path / "target").exists()


def test_the_copy_goes_with_the_model(exported: Path) -> None:
    model = read_saved_model(exported)
    folder = model.folder
    assert (folder / GRAPH_FILE).is_file()
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    del model
    assert not folder.exists()


def test_another_file_with_the_graph_is_not_copied(exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "model")
    for name in ("saved_model.pbtxt", "saved_model.cpb"):
        (tmp_path / "model" / name).write_text("")
    model = read_saved_model(tmp_path / "model")
    assert sorted(file.name for file in model.folder.glob("saved_model*")) == [GRAPH_FILE]


def _saver_nodes(model: Any, op: str) -> list[tuple[Any, Any]]:
    graph = model.meta_graphs[0].graph_def
    scopes = [(function, function.node_def) for function in graph.library.function]
    return [(scope, node) for scope, nodes in scopes for node in nodes if node.op == op]


def _constant(function: Any, name: str, value: bytes) -> None:
    import tensorflow as tf

    node = function.node_def.add(name=name, op="Const")
    node.attr["dtype"].type = tf.string.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))


@pytest.mark.parametrize("op", ["SaveV2", "RestoreV2", "MergeV2Checkpoints"])
def test_a_saver_that_names_its_own_file_is_refused(op: str, changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        ((function, node),) = _saver_nodes(model, op)
        _constant(function, "elsewhere", b"/tmp/elsewhere")
        node.input[0] = "elsewhere:output:0"

    with pytest.raises(ModelFormatError, match=f"contains {op} .takes the name of a file that is not the one"):
        read_saved_model(changed(edit))


def test_a_saver_that_leads_out_of_the_folder_it_is_given_is_refused(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        ((function, node),) = _saver_nodes(model, "StringJoin")
        _constant(function, "up", b"/../../elsewhere")
        node.input[1] = "up:output:0"

    with pytest.raises(ModelFormatError, match=r"MergeV2Checkpoints, SaveV2, .*takes the name of a file that is not"):
        read_saved_model(changed(edit))


def test_a_saver_that_is_called_with_another_name_is_refused(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        import tensorflow as tf

        graph = model.meta_graphs[0]
        name = graph.graph_def.node.add(name="elsewhere", op="Const")
        name.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(b"/tmp/elsewhere"))
        for node in graph.graph_def.node:
            if node.name == graph.saver_def.restore_op_name:
                node.input[0] = "elsewhere"

    with pytest.raises(ModelFormatError, match=r"contains RestoreV2 .takes the name"):
        read_saved_model(changed(edit))


def test_a_list_before_the_name_does_not_hide_which_argument_it_is(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        ((function, _),) = _saver_nodes(model, "RestoreV2")
        function.signature.input_arg[1].number_attr = "N"

    with pytest.raises(ModelFormatError, match="contains RestoreV2"):
        read_saved_model(changed(edit))


def test_a_signature_that_saves_is_refused(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        graph = model.meta_graphs[0]
        served = graph.signature_def["serving_default"].outputs
        producer = next(iter(served.values())).name.partition(":")[0]
        node = next(node for node in graph.graph_def.node if node.name == producer)
        node.input.append("^" + graph.saver_def.save_tensor_name.partition(":")[0])

    with pytest.raises(ModelFormatError, match=r"MergeV2Checkpoints, .*SaveV2.* outside of the model's saver"):
        read_saved_model(changed(edit))


def test_a_restore_that_saves_is_refused(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        definition = model.meta_graphs[0].saver_def
        definition.restore_op_name = definition.save_tensor_name.partition(":")[0]

    with pytest.raises(ModelFormatError, match=r"SaveV2.* outside of the model's saver"):
        read_saved_model(changed(edit))


def test_a_saver_that_the_objects_of_the_model_name_is_refused(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        ((function, _),) = _saver_nodes(model, "SaveV2")
        model.meta_graphs[0].object_graph_def.concrete_functions[function.signature.name].bound_inputs.append(0)

    with pytest.raises(ModelFormatError, match=r"SaveV2.* outside of the model's saver"):
        read_saved_model(changed(edit))


@pytest.mark.parametrize(
    "disguise",
    [
        b"\x15Add\0",  # the field again, as a fixed32, which TensorFlow skips
        b"\x11Identity",  # as a fixed64
        b"\x92\x80\x80\x80\x10\x03Add",  # with a key of which TensorFlow drops the high bits
        b"\x92\x00\x03Add",  # with a longer key
        b"\x12\x83\x00Add",  # with a longer length
    ],
)
def test_an_operation_cannot_be_disguised_by_the_encoding(disguise: bytes, exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "model")
    node = b"\x0a\x05other\x12\x08ReadFile" + disguise
    definition = b"\x0a" + bytes([len(node)]) + node
    graph = b"\x12" + bytes([len(definition)]) + definition
    with (tmp_path / "model" / GRAPH_FILE).open("ab") as file:
        file.write(b"\x12" + bytes([len(graph)]) + graph)
    with pytest.raises(ModelFormatError, match=r"contains ReadFile|longer than it need be|more than 32 bits"):
        read_saved_model(tmp_path / "model")


def test_the_name_of_an_unknown_operation_is_shown_as_plain_text(changed: Callable[[Change], Path]) -> None:
    def edit(model: Any) -> None:
        model.meta_graphs[0].graph_def.node.add(name="other", op="\x1b[31mred\n")

    with pytest.raises(ModelFormatError) as error:
        read_saved_model(changed(edit))
    assert r"\x1b[31mred\n (is no operation that pybridge knows)" in error.value.message
    assert "\x1b" not in str(error.value)


def test_what_was_allowed_stays_allowed_when_the_model_is_saved(node: pb.Node, tmp_path: Path) -> None:
    folder = _saved(tmp_path / "model", _prints_to(tmp_path / "target"))
    model = node.load_model(folder, allow_operations=["PrintV2"])
    model.save(tmp_path / "copy", format="saved_model")
    with pytest.raises(ModelFormatError, match="contains PrintV2"):
        read_saved_model(tmp_path / "copy")


def test_a_graph_model_of_tfjs_cannot_reach_out(node: pb.Node, tmp_path: Path) -> None:
    """The operations that TensorFlow.js knows for a graph, and one that it does not."""
    import graph_files

    operations = Path(ensure().node_modules) / "@tensorflow" / "tfjs-converter" / "dist" / "operations" / "op_list"
    names = {name for file in operations.glob("*.js") for name in re.findall(r"'tfOpName': '(\w+)'", file.read_text())}
    assert len(names) > 200
    # Print writes to the console, and the fused ones compute.
    assert names & known_operations().refused.keys() == {"Print", "_FusedConv2D", "_FusedMatMul"}
    secret = tmp_path / "secret"
    secret.write_text("secret")
    graph_files.write_graph_model(
        tmp_path / "model",
        [graph_files.operation("read", "ReadFile", "x"), graph_files.operation("y", "Identity", "read")],
        {},
        {"x": [-1, 2]},
        ["y"],
    )
    with pytest.raises(pb.BridgeError, match="ReadFile"):
        node.load_model(tmp_path / "model").predict(np.ones((1, 2)))
