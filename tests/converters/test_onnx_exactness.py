"""What a layer cannot mean exactly is refused, or computed with the sizes of the file; it is never meant a little differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pybridge as pb
from pybridge.converters.onnx.conversion import from_onnx
from pybridge.errors import ModelFormatError

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'pybridge[onnx]'")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

Constants = dict[str, NDArray[Any]]


def numbers(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def whole(*values: int) -> NDArray[np.int64]:
    return np.asarray(values, np.int64)


def written(
    folder: Path,
    nodes: list[Any],
    constants: Constants,
    *shapes: tuple[int | str, ...],
    output: int = TensorProto.FLOAT,
    opset: int = 17,
) -> Path:
    """Write a model of the inputs ``x``, ``x1``, ... and the output ``y``."""
    names = ["x", *(f"x{place}" for place in range(1, len(shapes)))]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in zip(names, shapes, strict=True)],
        [helper.make_tensor_value_info("y", output, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    file = folder / "model.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    file.write_bytes(model.SerializeToString())
    return file


def node_of(kind: str, inputs: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), ["y"], **attributes)


FREE: dict[str, tuple[list[Any], Constants, tuple[int | str, ...]]] = {
    "a constant with a row for each example": ([node_of("Concat", "x c", axis=1)], {"c": numbers(3, 2)}, ("n", 4)),
    "an axis dropped because it has size 1": ([node_of("Squeeze", "x")], {}, ("n", 1, 4)),
    "the axis of the examples dropped": ([node_of("Squeeze", "x a")], {"a": whole(0)}, ("n", 4)),
    "a mask of dropout": ([node_of("Dropout", "x r t")], {"r": np.float32(0.5), "t": np.bool_(True)}, ("n", 4)),
    "numbers beyond float32": ([node_of("Add", "x c")], {"c": np.asarray([1e300])}, ("n", 4)),
    "a sum over the examples": ([node_of("ReduceSum", "x a")], {"a": whole(0)}, ("n", 4)),
    "the mean by the number of examples": (
        [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Gather", ["s", "zero"], ["count"]),
            helper.make_node("Cast", ["count"], ["real"], to=1),
            node_of("Div", "x real"),
        ],
        {"zero": np.int64(0)},
        ("n", 4),
    ),
    "a range over the examples": (
        [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Gather", ["s", "zero"], ["count"]),
            helper.make_node("Cast", ["count"], ["real"], to=1),
            helper.make_node("Sqrt", ["real"], ["root"]),
            node_of("Mul", "x root"),
        ],
        {"zero": np.int64(0)},
        ("n", 4),
    ),
}


@pytest.mark.parametrize("name", FREE)
def test_what_depends_on_other_examples_is_refused(tmp_path: Path, name: str) -> None:
    nodes, constants, shape = FREE[name]
    arrays = {key: np.asarray(value) for key, value in constants.items()}
    with pytest.raises(ModelFormatError) as caught:
        from_onnx(written(tmp_path, nodes, arrays, shape))
    assert "1000003" not in str(caught.value) and "numpy" not in str(caught.value)


FIXED: dict[str, tuple[list[Any], Constants, list[tuple[int, ...]]]] = {
    "a sum over everything": ([node_of("ReduceSum", "x")], {}, [(3, 4)]),
    "a mean over the first axis": ([node_of("ReduceMean", "x", axes=[0], keepdims=0)], {}, [(3, 4)]),
    "rows of their own beside the input": ([node_of("Concat", "x c", axis=1)], {"c": numbers(3, 2)}, [(3, 4)]),
    "the first axis dropped": ([node_of("Squeeze", "x a")], {"a": whole(0)}, [(1, 4)]),
    "the first axis moved": ([node_of("Transpose", "x", perm=[1, 0])], {}, [(3, 4)]),
    "examples merged": ([node_of("Reshape", "x s")], {"s": whole(2, 6)}, [(3, 4)]),
    "a vector beside a matrix": ([node_of("Add", "x x1")], {}, [(3, 4), (4,)]),
    "two matrices": ([node_of("MatMul", "x x1")], {}, [(3, 4), (4, 2)]),
    "a number as an input": ([node_of("Mul", "x x1")], {}, [(3, 4), ()]),
    "images, several at once": ([node_of("Conv", "x w", pads=[1, 1, 1, 1])], {"w": numbers(5, 2, 3, 3)}, [(3, 2, 6, 7)]),
    "places of the largest, over the first axis": ([node_of("ArgMax", "x", axis=0, keepdims=0)], {}, [(3, 4)]),
}


@pytest.mark.parametrize("name", FIXED)
def test_a_file_that_fixes_all_sizes_may_compute_along_the_first_axis(node: pb.Node, tmp_path: Path, name: str) -> None:
    nodes, constants, shapes = FIXED[name]
    output = TensorProto.INT64 if "places" in name else TensorProto.FLOAT
    file = written(tmp_path, nodes, constants, *shapes, output=output, opset=12 if "ReduceMean" in str(nodes) else 17)
    inputs = {f"x{place or ''}": numbers(*shape, seed=place) for place, shape in enumerate(shapes)}
    (expected,) = ReferenceEvaluator(str(file)).run(None, inputs)
    given = [np.moveaxis(value, 1, -1) if value.ndim == 4 else value for value in inputs.values()]
    actual = node.load_model(from_onnx(file, layout="NCHW")).predict(given)
    wanted = np.moveaxis(expected, 1, -1) if np.ndim(expected) == 4 else expected
    assert actual.shape == np.shape(wanted)
    np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_space_to_depth_follows_its_mode(node: pb.Node, tmp_path: Path, mode: str) -> None:
    file = written(tmp_path, [node_of("SpaceToDepth", "x", blocksize=2)], {}, ("n", 3, 4, 6))
    model = onnx.load(file)
    model.graph.node[0].attribute.append(helper.make_attribute("mode", mode))
    file.write_bytes(model.SerializeToString())
    x = numbers(2, 3, 4, 6)
    parts = x.reshape(2, 3, 2, 2, 3, 2).transpose((0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4))
    actual = node.load_model(from_onnx(file, layout="NCHW")).predict(x.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(actual, parts.reshape(2, 12, 2, 3).transpose(0, 2, 3, 1))


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize(
    "coordinates", ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]
)
def test_resizing_by_scales_follows_its_coordinates(node: pb.Node, tmp_path: Path, mode: str, coordinates: str) -> None:
    scales = np.asarray([1, 1, 0.6, 1.7], np.float32)
    resize = helper.make_node("Resize", ["x", "", "s"], ["y"], mode=mode, coordinate_transformation_mode=coordinates)
    file = written(tmp_path, [resize], {"s": scales}, ("n", 3, 7, 6), opset=19)
    x = numbers(2, 3, 7, 6)
    (expected,) = ReferenceEvaluator(str(file)).run(None, {"x": x})
    actual = node.load_model(from_onnx(file, layout="NCHW")).predict(x.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(actual, expected.transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-5)


def test_a_whole_number_beyond_32_bits_is_no_input(node: pb.Node, tmp_path: Path) -> None:
    file = written(tmp_path, [node_of("Abs", "x")], {}, ("n", 4))
    model = onnx.load(file)
    for entry in (model.graph.input[0], model.graph.output[0]):
        entry.type.tensor_type.elem_type = TensorProto.INT64
    file.write_bytes(model.SerializeToString())
    loaded = node.load_model(file)
    np.testing.assert_array_equal(loaded.predict(whole(1, -2, 3, -4)[None]), [[1, 2, 3, 4]])
    with pytest.raises(pb.DataError, match="32 bits"):
        loaded.predict(whole(2**40, 0, 0, 0)[None])


def test_several_inputs_are_given_by_name(node: pb.Node, tmp_path: Path) -> None:
    file = written(tmp_path, [node_of("Sub", "x x1")], {}, ("n", 4), ("n", 4))
    first, second = numbers(3, 4), numbers(3, 4, seed=1)
    model = node.load_model(file)
    np.testing.assert_array_equal(model.predict({"x1": second, "x": first}), first - second)


def test_an_operation_that_onnx_itself_writes_out_as_others_is_converted(node: pb.Node, tmp_path: Path) -> None:
    center = helper.make_node("CenterCropPad", ["x", "size"], ["y"], axes=[1])
    file = written(tmp_path, [center], {"size": whole(2)}, (2, 4), opset=18)
    x = numbers(2, 4)
    np.testing.assert_array_equal(node.load_model(file).predict(x), x[:, 1:3])
