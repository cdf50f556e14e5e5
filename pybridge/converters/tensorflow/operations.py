"""What each operation of a TensorFlow graph is in layers, and those that are computed at once where all is constant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pybridge.converters.building import activations, arithmetic, convolution, dense, normalization, pooling, shaping
from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import Constant, Operand, Refused, Value
from pybridge.converters.tensorflow.nodes import GraphNode

_DTYPES = {
    "DT_FLOAT": np.float32,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_BOOL": np.bool_,
}

Operation = Callable[[Builder, GraphNode, list[Operand]], "Operand | list[Operand]"]


def _value(operand: Operand) -> Value:
    if isinstance(operand, Value):
        return operand
    raise Refused("it works on a constant where a tensor is expected")


def _constant(operand: Operand) -> Constant:
    if isinstance(operand, Constant):
        return operand
    raise Refused("it takes from the model's input what only a constant can be converted from")


def _integers(operand: Operand) -> list[int]:
    return [int(size) for size in _constant(operand).array.reshape(-1)]


def _nhwc(node: GraphNode) -> None:
    if node.attributes.get("data_format", "NHWC") != "NHWC":
        raise Refused(f"has the data format {node.attributes['data_format']}; export the model with channels last")


def _wish(node: GraphNode) -> str:
    """A layer's name: TensorFlow writes ``model/layer/Operation``, whose layer is what people know."""
    parts = [part for part in str(node.attributes.get("_original", node.name)).split("/") if part]
    if len(parts) > 1:
        parts.pop()
    if len(parts) > 1 and parts[-1] == "batchnorm":
        parts.pop()
    return parts[-1]


def _window(node: GraphNode, key: str) -> tuple[int, int]:
    values = node.attributes.get(key) or [1, 1, 1, 1]
    if len(values) != 4 or values[0] != 1 or values[3] != 1:
        raise Refused(f"{key} {values} reach over examples or channels")
    return values[1], values[2]


def _padding(node: GraphNode) -> Any:
    padding = str(node.attributes.get("padding", "VALID"))
    if padding != "EXPLICIT":
        return padding.lower()
    amounts = node.attributes["explicit_paddings"]
    return ((amounts[2], amounts[3]), (amounts[4], amounts[5]))


def _fused(node: GraphNode, operands: list[Operand]) -> tuple[Constant | None, list[str]]:
    fused = [str(operation) for operation in node.attributes.get("fused_ops") or [] if operation != "NoOp"]
    bias = _constant(operands[2]) if "BiasAdd" in fused else None
    rest = [operation for operation in fused if operation != "BiasAdd"]
    if len(rest) > 1 or (fused and "BiasAdd" in fused and fused[0] != "BiasAdd"):
        raise Refused(f"fuses {fused}")
    return bias, rest


def _activated(b: Builder, node: GraphNode, x: Value, rest: list[str], operands: list[Operand]) -> Value:
    for operation in rest:
        if operation == "Prelu":
            return activations.prelu(b, x, _constant(operands[-1]), x.rank - 1, name=f"{_wish(node)}_prelu")
        if operation not in _ACTIVATIONS:
            raise Refused(f"fuses {operation}")
        kind, options = _ACTIVATIONS[operation]
        given = dict(options)
        if operation == "LeakyRelu":
            given["alpha"] = float(node.attributes.get("leakyrelu_alpha", 0.2))
        x = activations.activation(b, x, kind, name=f"{_wish(node)}_{operation.lower()}", **given)
    return x


_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "Elu": ("elu", {}),
    "LeakyRelu": ("leaky_relu", {"alpha": 0.2}),
    "LogSoftmax": ("log_softmax", {}),
    "Relu": ("relu", {}),
    "Relu6": ("relu6", {}),
    "Selu": ("selu", {}),
    "Sigmoid": ("sigmoid", {}),
    "Softmax": ("softmax", {}),
    "Softplus": ("softplus", {}),
    "Softsign": ("softsign", {}),
    "Tanh": ("tanh", {}),
}


def _convolution(b: Builder, node: GraphNode, operands: list[Operand]) -> Value:
    _nhwc(node)
    x, kernel = _value(operands[0]), _constant(operands[1])
    bias, rest = _fused(node, operands)
    groups = x.shape[-1] // kernel.array.shape[2]
    made = convolution.convolution(
        b,
        x,
        kernel,
        bias,
        channels=3,
        strides=_window(node, "strides"),
        padding=_padding(node),
        dilation=_window(node, "dilations"),
        groups=groups,
        name=_wish(node),
    )
    return _activated(b, node, made, rest, operands)


def _depthwise(b: Builder, node: GraphNode, operands: list[Operand]) -> Value:
    _nhwc(node)
    bias, rest = _fused(node, operands)
    made = convolution.depthwise(
        b,
        _value(operands[0]),
        _constant(operands[1]),
        bias,
        channels=3,
        strides=_window(node, "strides"),
        padding=_padding(node),
        dilation=_window(node, "dilations"),
        name=_wish(node),
    )
    return _activated(b, node, made, rest, operands)


def _product(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
    attributes = node.attributes
    if attributes.get("transpose_a") or attributes.get("adj_x") or attributes.get("adj_y"):
        raise Refused("multiplies a transposed matrix")
    x, y = operands[0], operands[1]
    if attributes.get("transpose_b"):
        y = _constant(y).transpose(1, 0)
    bias, rest = _fused(node, operands)
    if isinstance(x, Value) and isinstance(y, Constant) and y.array.ndim == 2:
        made: Operand = dense.linear(b, x, y, bias, name=_wish(node))
    else:
        made = dense.matmul(b, x, y, name=_wish(node))
        if bias is not None:
            made = arithmetic.binary(b, "add", made, bias, name=f"{_wish(node)}_bias")
    return _activated(b, node, _value(made), rest, operands) if rest else made


def _normalization(b: Builder, node: GraphNode, operands: list[Operand]) -> Value:
    _nhwc(node)
    if node.attributes.get("is_training", True):
        raise Refused("normalizes by the statistics of the batch, as in training; export it for inference")
    gamma, beta, mean, variance = (_constant(operand) for operand in operands[1:5])
    return normalization.batch_normalization(
        b,
        _value(operands[0]),
        gamma,
        beta,
        mean,
        variance,
        channels=3,
        epsilon=float(node.attributes.get("epsilon", 1e-4)),
        name=_wish(node),
    )


def _pool(function: Callable[..., Value]) -> Operation:
    def convert(b: Builder, node: GraphNode, operands: list[Operand]) -> Value:
        _nhwc(node)
        return function(
            b,
            _value(operands[0]),
            channels=3,
            size=_window(node, "ksize"),
            strides=_window(node, "strides"),
            padding=_padding(node),
            name=_wish(node),
        )

    return convert


def _binary(kind: str) -> Operation:
    def convert(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
        return arithmetic.binary(b, kind, operands[0], operands[1], name=_wish(node))

    return convert


def _division(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
    divisor = operands[1]
    if isinstance(divisor, Constant):
        # What a graph divides by are statistics or scales, which training does not move.
        divisor = replace(divisor, trainable=False)
    return arithmetic.binary(b, "divide", operands[0], divisor, name=_wish(node))


def _same_all(_b: Builder, _node: GraphNode, operands: list[Operand]) -> list[Operand]:
    return operands


def _unary(kind: str) -> Operation:
    def convert(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
        return arithmetic.unary(b, kind, operands[0], name=_wish(node))

    return convert


def _squared_difference(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
    difference = arithmetic.binary(b, "subtract", operands[0], operands[1], name=f"{_wish(node)}_difference")
    return arithmetic.unary(b, "square", difference, name=_wish(node))


def _activation(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
    kind, options = _ACTIVATIONS[node.op]
    given = dict(options)
    if node.op == "LeakyRelu":
        given["alpha"] = float(node.attributes.get("alpha", 0.2))
    return activations.activation(b, _value(operands[0]), kind, name=_wish(node), **given)


def _reduction(kind: str) -> Operation:
    def convert(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
        keep = bool(node.attributes.get("keep_dims", node.attributes.get("keepdims", False)))
        return arithmetic.reduce(b, kind, _value(operands[0]), _integers(operands[1]), keep, name=_wish(node))

    return convert


def _same(_b: Builder, _node: GraphNode, operands: list[Operand]) -> Operand:
    return operands[0]


def _shape(_b: Builder, _node: GraphNode, operands: list[Operand]) -> Operand:
    return Constant(np.asarray(operands[0].shape, np.int64))


def _reshape(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
    x, shape = operands[0], _integers(operands[1])
    total = int(np.prod(x.shape, dtype=object))
    known = int(np.prod([size for size in shape if size != -1], dtype=object))
    solved = [size if size != -1 else total // max(known, 1) for size in shape]
    if isinstance(x, Constant):
        return x.reshape(*solved)
    return shaping.reshape(b, x, solved, name=_wish(node))


def _squeeze(_b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
    x = _value(operands[0])
    axes = (
        node.attributes.get("squeeze_dims") or node.attributes.get("axis") or [i for i, size in enumerate(x.shape) if size == 1]
    )
    return shaping.squeeze(x, axes)


def _expand_dims(_b: Builder, _node: GraphNode, operands: list[Operand]) -> Operand:
    x, axis = operands[0], _integers(operands[1])[0]
    if isinstance(x, Constant):
        return x.with_array(np.expand_dims(x.array, axis))
    return shaping.unsqueeze(x, [axis])


def _transpose(_b: Builder, _node: GraphNode, operands: list[Operand]) -> Operand:
    order = _integers(operands[1])
    return operands[0].transpose(*order) if isinstance(operands[0], Constant) else shaping.transpose(operands[0], order)


def _concatenation(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
    return shaping.concatenate(b, operands[:-1], _integers(operands[-1])[0], name=_wish(node))


def _split(b: Builder, node: GraphNode, operands: list[Operand]) -> list[Operand]:
    axis, x = _integers(operands[0])[0], _value(operands[1])
    count = int(node.attributes["num_split"])
    return list(shaping.split(b, x, [x.shape[axis] // count] * count, axis, name=_wish(node)))


def _pad(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
    amounts = _constant(operands[1]).array.reshape(-1, 2).tolist()
    value = float(_constant(operands[2]).array) if len(operands) > 2 else 0.0
    mode = {"REFLECT": "reflect"}.get(str(node.attributes.get("mode", "")), "constant")
    if node.op == "MirrorPad" and mode != "reflect":
        raise Refused(f"mirrors in the mode {node.attributes.get('mode')}")
    return shaping.pad(b, _value(operands[0]), amounts, mode=mode, value=value, name=_wish(node))


def _resize(method: str) -> Operation:
    def convert(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
        height, width = _integers(operands[1])
        half, corners = bool(node.attributes.get("half_pixel_centers")), bool(node.attributes.get("align_corners"))
        if method == "nearest" and (corners or half):
            raise Refused("takes the nearest pixel by another rule than rounding down")
        coordinates = "align_corners" if corners else "half_pixel" if half else "asymmetric"
        return shaping.resize(
            b,
            _value(operands[0]),
            {1: height, 2: width},
            method=method,
            coordinates=coordinates,
            channels=3,
            name=_wish(node),
        )

    return convert


def _strided_slice(b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
    x = _value(operands[0])
    begin, end, step = (_integers(operand) for operand in operands[1:4])
    mask = {key: int(node.attributes.get(f"{key}_mask", 0)) for key in ("begin", "end", "shrink_axis", "ellipsis", "new_axis")}
    if mask["ellipsis"] or mask["new_axis"]:
        raise Refused("uses ... or a new axis")
    dropped: list[int] = []
    for axis, (first, last, by) in enumerate(zip(begin, end, step, strict=True)):
        size = x.shape[axis]
        if mask["shrink_axis"] >> axis & 1:
            first, last, by = first % size, first % size + 1, 1
            dropped.append(axis)
        start = 0 if mask["begin"] >> axis & 1 else first
        stop = size if mask["end"] >> axis & 1 and axis not in dropped else last
        x = shaping.slice_axis(b, x, axis, start, stop, by, name=_wish(node))
    return shaping.squeeze(x, dropped)


def _cast(_b: Builder, node: GraphNode, operands: list[Operand]) -> Operand:
    if node.attributes.get("DstT") != "DT_FLOAT" or node.attributes.get("SrcT") != "DT_FLOAT":
        raise Refused(f"casts {node.attributes.get('SrcT')} to {node.attributes.get('DstT')}")
    return operands[0]


OPERATIONS: dict[str, Operation] = {
    **dict.fromkeys(("Conv2D", "_FusedConv2D"), _convolution),
    **dict.fromkeys(("DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"), _depthwise),
    **dict.fromkeys(("MatMul", "_FusedMatMul", "BatchMatMulV2"), _product),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _normalization),
    **dict.fromkeys(_ACTIVATIONS, _activation),
    **dict.fromkeys(("Identity", "StopGradient", "PreventGradient", "NoOp", "CheckNumerics"), _same),
    **dict.fromkeys(("Add", "AddV2", "BiasAdd"), _binary("add")),
    "AvgPool": _pool(pooling.average),
    "Cast": _cast,
    "ConcatV2": _concatenation,
    "Erf": _unary("erf"),
    "Exp": _unary("exp"),
    "ExpandDims": _expand_dims,
    "IdentityN": _same_all,
    "Log": _unary("log"),
    "Max": _reduction("max"),
    "MaxPool": _pool(pooling.maximum),
    "Maximum": _binary("maximum"),
    "Mean": _reduction("mean"),
    "Min": _reduction("min"),
    "Minimum": _binary("minimum"),
    "MirrorPad": _pad,
    "Mul": _binary("multiply"),
    "Neg": _unary("negative"),
    "Pad": _pad,
    "PadV2": _pad,
    "Pow": _binary("power"),
    "RealDiv": _division,
    "Reciprocal": _unary("reciprocal"),
    "Reshape": _reshape,
    "ResizeBilinear": _resize("bilinear"),
    "ResizeNearestNeighbor": _resize("nearest"),
    "Rsqrt": _unary("rsqrt"),
    "Shape": _shape,
    "Split": _split,
    "Sqrt": _unary("sqrt"),
    "Square": _unary("square"),
    "SquaredDifference": _squared_difference,
    "Squeeze": _squeeze,
    "StridedSlice": _strided_slice,
    "Sub": _binary("subtract"),
    "Sum": _reduction("sum"),
    "Transpose": _transpose,
}
"""How each operation becomes layers, by its name in a GraphDef."""


def _sliced(node: GraphNode, array: Any, begin: Any, end: Any, step: Any) -> Any:
    masks = {key: int(node.attributes.get(f"{key}_mask", 0)) for key in ("begin", "end", "shrink_axis")}
    places: list[Any] = []
    for axis, (first, last, by) in enumerate(zip(begin.tolist(), end.tolist(), step.tolist(), strict=True)):
        if masks["shrink_axis"] >> axis & 1:
            places.append(first)
        else:
            places.append(slice(None if masks["begin"] >> axis & 1 else first, None if masks["end"] >> axis & 1 else last, by))
    return array[tuple(places)]


def _axes(array: Any) -> tuple[int, ...]:
    return tuple(int(axis) for axis in array.reshape(-1))


# What graphs compute from shapes and weights alone.
FOLDED: dict[str, Callable[..., Any]] = {
    "Cast": lambda node, x: x.astype(_DTYPES[node.attributes["DstT"]]),
    "ConcatV2": lambda _node, *parts: np.concatenate(parts[:-1], int(parts[-1])),
    "Fill": lambda _node, shape, value: np.full(_small(shape), value),
    "FloorDiv": lambda _node, x, y: x // y,
    "GatherV2": lambda _node, x, places, axis: np.take(x, places, int(axis)),
    "Pack": lambda node, *parts: np.stack(parts, int(node.attributes.get("axis", 0))),
    "Prod": lambda _node, x, axes: np.prod(x, axis=_axes(axes)),
    "Range": lambda _node, start, stop, step: np.arange(int(start), min(int(stop), int(start) + 10**6 * int(step)), int(step)),
    "Rsqrt": lambda _node, x: (1 / np.sqrt(x)).astype(x.dtype),
    "Sqrt": lambda _node, x: np.sqrt(x),
    "Square": lambda _node, x: np.square(x),
    "Squeeze": lambda node, x: np.squeeze(x, tuple(node.attributes.get("squeeze_dims") or []) or None),
    "StridedSlice": _sliced,
}
"""How operations are computed whose inputs are all constant."""


def _small(shape: Any) -> tuple[int, ...]:
    sizes = _axes(shape)
    if int(np.prod(sizes, dtype=object)) > 10**8:
        raise Refused(f"fills a tensor of shape {sizes}")
    return sizes
