"""A user's own JavaScript functions work with the TensorFlow.js of the runner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pybridge as pb

COMMON_JS = """
const tf = require('@tensorflow/tfjs-node');
exports.square = (x) => tf.tidy(() => tf.square(x.toTensor(tf)));
exports.isShared = function () { return this.tf === tf && tf.getBackend() === 'tensorflow'; };
"""
ES_MODULE = "export async function norm(x) { return this.tf.norm(x.toTensor(this.tf)); }"


@pytest.fixture(scope="module")
def node() -> pb.Node:
    with pb.Node() as node:
        yield node


def test_a_common_js_file_requires_tensorflow_js_as_usual(node: pb.Node, tmp_path: Path) -> None:
    script = tmp_path / "script.js"
    script.write_text(COMMON_JS)
    x = np.array([[1.0, -2.0], [3.0, 0.5]], np.float32)
    np.testing.assert_array_equal(node.call(script, "square", x), x * x)
    assert node.call(script, "isShared") is True


def test_an_es_module_finds_tensorflow_js_as_this_tf(node: pb.Node, tmp_path: Path) -> None:
    script = tmp_path / "script.mjs"
    script.write_text(ES_MODULE)
    assert node.call(script, "norm", np.array([3.0, 4.0], np.float32)) == pytest.approx(5.0)


def test_a_script_behind_a_link_requires_what_lies_beside_its_target(
    node: pb.Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "beside.js").write_text("exports.answer = 42;")
    (tmp_path / "target" / "script.js").write_text("exports.answer = () => require('./beside').answer;")
    (tmp_path / "link.js").symlink_to(tmp_path / "target" / "script.js")
    monkeypatch.chdir(tmp_path)
    assert node.call("link.js", "answer") == 42


def test_an_es_module_imports_tensorflow_js_as_usual(node: pb.Node, tmp_path: Path) -> None:
    script = tmp_path / "imports.mjs"
    script.write_text(
        "import tf, { tensor } from '@tensorflow/tfjs-node';\n"
        "export const total = (x) => tf.sum(tensor(Array.from(x.data)));\n"
        "export function isShared() { return this.tf === tf; }\n"
    )
    assert node.call(script, "total", np.array([3.0, 4.0], np.float32)) == pytest.approx(7.0)
    assert node.call(script, "isShared") is True


@pytest.mark.parametrize(
    "how", ["setTimeout(() => { throw new Error('too late'); }, 1)", "Promise.reject(new Error('too late'))"]
)
def test_an_error_outside_of_a_call_is_told_to_the_next_one(tmp_path: Path, how: str) -> None:
    script = tmp_path / "late.js"
    script.write_text(f"let count = 0; exports.next = () => ++count; exports.late = () => {{ {how}; return 'started'; }};")
    with pb.Node(console="silent") as node:
        assert node.call(script, "next") == 1
        assert node.call(script, "late") == "started"
        with pytest.raises(pb.NodeCrashedError, match="too late"):
            while True:
                node.call(script, "next")
        assert node.call(script, "next") == 1


def test_arguments_of_bytes_alone_arrive(node: pb.Node, tmp_path: Path) -> None:
    script = tmp_path / "echo.js"
    script.write_text("exports.echo = (value) => value;")
    np.testing.assert_array_equal(node.call(script, "echo", b"\x00\xff"), np.array([0, 255], np.uint8))
