"""A conversion that answers otherwise than its source is not believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybridge as pb
from pybridge.errors import ParityError
from pybridge.loading.reference import Reference, torch_reference
from pybridge.node.proof import prove

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'pybridge[torch]'")


@pytest.fixture
def model(node: pb.Node) -> pb.Model:
    torch.manual_seed(0)
    return node.load_model(torch.nn.Linear(4, 3), input_shape=(4,))


def answering(change: Any) -> Reference:
    torch.manual_seed(0)
    real = torch_reference(torch.nn.Linear(4, 3))
    return Reference("the source", lambda arrays: [change(one) for one in real.run(arrays)])


def test_a_conversion_that_answers_as_its_source_passes(model: pb.Model) -> None:
    prove(model, answering(lambda y: y))


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y + 0.01,
        lambda y: y[::-1].copy(),
        lambda y: np.repeat(y[:1], len(y), axis=0),
        lambda y: y - y.mean(0),
        lambda y: y[0],
        lambda y: np.where(y > 0, y, np.nan),
    ],
    ids=["other numbers", "other order", "one example for all", "examples mixed", "another shape", "no numbers"],
)
def test_a_difference_in_any_batch_is_found(model: pb.Model, change: Any) -> None:
    with pytest.raises(ParityError, match="the source"):
        prove(model, answering(change))


def test_a_source_that_cannot_be_computed_says_nothing(model: pb.Model) -> None:
    def fails(_: Any) -> Any:
        raise RuntimeError("no such kernel")

    prove(model, Reference("the source", fails))


def test_every_module_is_compared_when_it_is_loaded(node: pb.Node) -> None:
    class Moody(torch.nn.Module):
        """Answers by the number of examples, which an export does not see."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            return self.layer(x) + (1.0 if len(x) < 3 else 0.0)

    with pytest.raises(ParityError, match="PyTorch"):
        node.load_model(Moody(), input_shape=(4,))


def test_an_onnx_file_is_compared_when_it_is_loaded(node: pb.Node, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'pybridge[onnx]'")
    pytest.importorskip("onnxruntime")
    from pybridge.loading import find_model

    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Abs", ["x"], ["y"])],
        "graph",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, 4, 5])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    )
    file = tmp_path / "model.onnx"
    file.write_bytes(onnx.helper.make_model(graph, ir_version=9).SerializeToString())
    found = find_model(file)
    assert found.reference is not None and found.reference.name == "ONNX Runtime"
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(found.reference.run([x])[0], np.abs(x))
    np.testing.assert_array_equal(node.load_model(file).predict(x), np.abs(x))
