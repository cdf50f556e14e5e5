"""ONNX files give in Node what they give by the reference implementation of ONNX."""

from __future__ import annotations

import warnings
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

SHAPE = (4, 9, 10)


def random(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def written(
    folder: Path,
    nodes: list[Any],
    constants: dict[str, NDArray[Any]],
    shape: tuple[int, ...] = SHAPE,
    opset: int = 17,
    batch: int | str = "n",
) -> Path:
    """Write a model of the input ``x`` and the output ``y``."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    file = folder / "model.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def node_of(kind: str, inputs: str = "x", output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def whole(*numbers: int) -> NDArray[np.int64]:
    return np.asarray(numbers, np.int64)


CASES: dict[str, tuple[list[Any], dict[str, NDArray[Any]]]] = {
    "Conv": ([node_of("Conv", "x w b", strides=[2, 2], pads=[1, 1, 1, 1])], {"w": random(6, 4, 3, 3), "b": random(6)}),
    "Conv SAME_UPPER": ([node_of("Conv", "x w", strides=[2, 2], auto_pad="SAME_UPPER")], {"w": random(6, 4, 3, 3)}),
    "Conv SAME_LOWER": ([node_of("Conv", "x w", strides=[2, 2], auto_pad="SAME_LOWER")], {"w": random(6, 4, 4, 4)}),
    "Conv, one for each channel": ([node_of("Conv", "x w", group=4, pads=[0, 1, 2, 1])], {"w": random(4, 1, 3, 3)}),
    "ConvTranspose": (
        [node_of("ConvTranspose", "x w", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])],
        {"w": random(4, 3, 3, 3)},
    ),
    "MaxPool": ([node_of("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)], {}),
    "AveragePool": ([node_of("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])], {}),
    "Flatten and Gemm": (
        [node_of("Flatten", output="f"), node_of("Gemm", "f w b", transB=1)],
        {"w": random(5, 360), "b": random(5)},
    ),
    "MatMul with its bias": ([node_of("MatMul", "x w", "m"), node_of("Add", "m b")], {"w": random(10, 3), "b": random(3)}),
    "BatchNormalization": (
        [node_of("BatchNormalization", "x g b m v")],
        {"g": random(4), "b": random(4), "m": random(4), "v": np.abs(random(4)) + 0.5},
    ),
    "LayerNormalization": ([node_of("LayerNormalization", "x g b", axis=2)], {"g": random(9, 10), "b": random(9, 10)}),
    "InstanceNormalization": ([node_of("InstanceNormalization", "x g b")], {"g": random(4), "b": random(4)}),
    "HardSwish and HardSigmoid": ([node_of("HardSwish", output="h"), node_of("HardSigmoid", "h", alpha=0.3)], {}),
    "Gelu written out": (
        [
            node_of("Div", "x r", "d"),
            node_of("Erf", "d", "e"),
            node_of("Add", "e one", "a"),
            node_of("Mul", "x a", "m"),
            node_of("Mul", "m half"),
        ],
        {"r": np.float32(np.sqrt(2)).reshape(()), "one": np.float32(1).reshape(()), "half": np.float32(0.5).reshape(())},
    ),
    "Clip": ([node_of("Clip", "x low high")], {"low": np.float32(-0.5).reshape(()), "high": np.float32(0.8).reshape(())}),
    "Softmax over channels": ([node_of("Softmax", axis=1)], {}),
    "reshape by arithmetic on shapes": (
        [
            node_of("Shape", output="s"),
            node_of("Gather", "s zero", "n"),
            node_of("Unsqueeze", "n zeros", "m"),
            node_of("Concat", "m rest", "t", axis=0),
            node_of("Reshape", "x t"),
        ],
        {"zero": np.int64(0).reshape(()), "zeros": whole(0), "rest": whole(36, -1)},
    ),
    "Transpose, Slice and Concat": (
        [
            node_of("Transpose", output="t", perm=[0, 3, 1, 2]),
            node_of("Slice", "t start stop axes steps", "c"),
            node_of("Concat", "c c", axis=1),
        ],
        {"start": whole(1, 0), "stop": whole(-1, 2**62), "axes": whole(1, 3), "steps": whole(1, 2)},
    ),
    "Split": (
        [helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1), node_of("Concat", "b a", axis=1)],
        {"sizes": whole(1, 3)},
    ),
    "Pad": ([node_of("Pad", "x pads value")], {"pads": whole(0, 0, 1, 2, 0, 0, 0, 1), "value": np.float32(0.5).reshape(())}),
    "Pad at the edge": ([node_of("Pad", "x pads", mode="edge")], {"pads": whole(0, 0, 1, 2, 0, 0, 0, 1)}),
    "Resize nearest": (
        [helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest")],
        {"s": np.asarray([1, 1, 2, 3], np.float32)},
    ),
    "Resize linear": (
        [helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear")],
        {"s": np.asarray([1, 1, 2, 1.5], np.float32)},
    ),
    "Resize aligned to a size": (
        [helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode="linear", coordinate_transformation_mode="align_corners")],
        {"s": whole(2, 4, 5, 17)},
    ),
    "ReduceMean": ([node_of("ReduceMean", axes=[1, 3], keepdims=0)], {}),
    "GlobalAveragePool and Mul": ([node_of("GlobalAveragePool", output="g"), node_of("Mul", "x g")], {}),
    "DepthToSpace": ([node_of("DepthToSpace", blocksize=2)], {}),
    "SpaceToDepth after Pad": (
        [node_of("Pad", "x pads", "p"), node_of("SpaceToDepth", "p", blocksize=2)],
        {"pads": whole(0, 0, 0, 0, 0, 0, 1, 0)},
    ),
    "mean and standard deviation": (
        [node_of("Sub", "x m", "c"), node_of("Div", "c s")],
        {"m": random(1, 4, 1, 1), "s": np.abs(random(1, 4, 1, 1)) + 0.5},
    ),
}


@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare"])
@pytest.mark.parametrize("constants", [{}, {"axes": whole()}])
def test_a_reduction_over_all_axes_is_refused(tmp_path: Path, kind: str, constants: dict[str, Any]) -> None:
    node = node_of(kind, " ".join(["x", *constants]))
    with pytest.raises(ModelFormatError, match="it reduces the batch axis"):
        from_onnx(written(tmp_path, [node], constants, opset=18))


def test_a_reduction_over_no_axis_still_squares(tmp_path: Path, node: pb.Node) -> None:
    file = written(tmp_path, [node_of("ReduceSumSquare", "x axes", noop_with_empty_axes=1)], {"axes": whole()}, opset=18)
    x = random(2, *SHAPE)
    np.testing.assert_allclose(
        node.load_model(file).predict(np.transpose(x, (0, 2, 3, 1))), np.transpose(x * x, (0, 2, 3, 1)), rtol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_an_operation_gives_the_same_in_node(node: pb.Node, tmp_path: Path, name: str) -> None:
    from onnx.reference import ReferenceEvaluator

    nodes, constants = CASES[name]
    file = written(tmp_path, nodes, constants)
    x = random(2, *SHAPE)
    expected = np.asarray(ReferenceEvaluator(str(file)).run(None, {"x": x})[0])
    model = node.load_model(from_onnx(file, layout="NCHW"))
    actual = model.predict(x.transpose(0, 2, 3, 1))
    model.dispose()
    wanted = np.moveaxis(expected, 1, -1) if expected.ndim == 4 else expected
    assert actual.shape == wanted.shape
    assert np.abs(actual - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.slow
@pytest.mark.parametrize("fixed", [False, True], ids=["any number of examples", "written for one example"])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3", "densenet", "vision_transformer", "swin"])
def test_a_model_exported_by_pytorch_gives_the_same_in_node(node: pb.Node, tmp_path: Path, name: str, fixed: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'pybridge[torch]'")
    from torch_models import MODELS, perturbed

    torch.manual_seed(0)
    make, size = MODELS[name]
    module = perturbed(make())
    file = tmp_path / "model.onnx"
    axes = {} if fixed else {"dynamic_axes": {"x": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(1, 3, size, size),), str(file), dynamo=False, opset_version=17, input_names=["x"], **axes
        )
    x = random(3, 3, size, size)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    model = node.load_model(from_onnx(file))
    actual = model.predict(x.transpose(0, 2, 3, 1))
    model.dispose()
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_token_that_is_repeated_for_each_example_is_one_constant(node: pb.Node, tmp_path: Path) -> None:
    """As CLIP puts its class token before the others: the token plus zeros of the batch's size."""
    nodes = [
        node_of("Shape", output="s"),
        node_of("Gather", "s zero", "n"),
        node_of("Concat", "n one five", "size", axis=0),
        node_of("ConstantOfShape", "size", "zeros"),
        node_of("Add", "token zeros", "tokens"),
        node_of("Concat", "tokens x", axis=1),
    ]
    token = random(5)
    numbers = {"zero": whole(0), "one": whole(1), "five": whole(5)}
    file = written(tmp_path, nodes, {**numbers, "token": token}, shape=(3, 5))
    x = random(2, 3, 5)
    expected = np.concatenate([np.broadcast_to(token, (2, 1, 5)), x], axis=1)
    np.testing.assert_array_equal(node.load_model(from_onnx(file)).predict(x), expected)


def test_images_with_the_channels_last_stay_as_they_are(tmp_path: Path) -> None:
    nodes = [
        node_of("Transpose", output="t", perm=[0, 3, 1, 2]),
        node_of("Conv", "t w", "c"),
        node_of("Transpose", "c", perm=[0, 2, 3, 1]),
    ]
    model = from_onnx(written(tmp_path, nodes, {"w": random(6, 3, 3, 3)}, shape=(8, 9, 3)))
    assert [layer["class_name"] for layer in model.topology["config"]["layers"]] == ["InputLayer", "Conv2D"]


def test_a_size_left_open_is_asked_for(tmp_path: Path) -> None:
    file = written(tmp_path, [node_of("Relu")], {}, shape=(3, 0, 0))
    graph = onnx.load(file)
    for axis in (2, 3):
        graph.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "size"
    file.write_bytes(graph.SerializeToString())
    with pytest.raises(pb.ModelFormatError, match="input_shape"):
        from_onnx(file)
    config = from_onnx(file, input_shape=(3, 8, 8)).topology["config"]["layers"][0]["config"]
    assert config["batch_input_shape"] == [None, 8, 8, 3]


def test_every_operation_that_cannot_be_converted_is_named(tmp_path: Path) -> None:
    nodes = [node_of("Det", "x", "a"), node_of("Relu", "a", "b"), node_of("NonZero", "b")]
    with pytest.raises(pb.ModelFormatError) as caught:
        from_onnx(written(tmp_path, nodes, {}))
    assert "Det" in str(caught.value) and "NonZero" in str(caught.value)


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    kernel = random(6, 4, 3, 3)
    file = external(tmp_path, kernel, "weights.bin")
    (tmp_path / "weights.bin").write_bytes(b"\0" * 8 + kernel.tobytes())
    (name,) = from_onnx(file, layout="NCHW").weights
    assert np.array_equal(from_onnx(file, layout="NCHW").weights[name], kernel.transpose(2, 3, 1, 0))


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "sub/../../weights.bin", "link.bin", "", "missing.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(2000))
    (folder / "link.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(pb.ModelFormatError, match="not a file of its folder"):
        from_onnx(external(folder, random(6, 4, 3, 3), location))


def test_weights_that_end_too_early_are_refused(tmp_path: Path) -> None:
    file = external(tmp_path, random(6, 4, 3, 3), "weights.bin")
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    with pytest.raises(pb.ModelFormatError, match="do not fit"):
        from_onnx(file)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    content = written(
        tmp_path, [node_of("Conv", "x w b"), node_of("Relu", "y", "z")], {"w": random(6, 4, 3, 3), "b": random(6)}
    ).read_bytes()
    choose = np.random.default_rng(0)
    file = tmp_path / "damaged.onnx"
    for _ in range(300):
        damaged = bytearray(content)
        for place in choose.integers(0, len(content), choose.integers(1, 8)):
            damaged[place] = choose.integers(0, 256)
        file.write_bytes(bytes(damaged[: choose.integers(1, len(content) + 1)]) if choose.random() < 0.3 else bytes(damaged))
        try:
            from_onnx(file)
        except pb.ModelFormatError:
            continue


def external(folder: Path, kernel: NDArray[np.float32], location: str) -> Path:
    file = written(folder, [node_of("Conv", "x w")], {"w": kernel})
    model = onnx.load(file)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "8"), ("length", str(kernel.nbytes))):
        tensor.external_data.add(key=key, value=value)
    file.write_bytes(model.SerializeToString())
    return file
