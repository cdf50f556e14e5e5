"""Convolutions, products, normalizations, poolings and dropout of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pybridge.converters.building import arithmetic, convolution, dense, normalization, pooling
from pybridge.converters.building.values import Constant, Operand, Value, as_constant, as_value
from pybridge.converters.building.windows import same_pads
from pybridge.converters.onnx.registry import Node, operation
from pybridge.converters.refusals import Refused


@operation("Conv")
def _conv(at: Node, x: Any, kernel: Any, bias: Any = None) -> Value:
    at, x, kernel = at.named_after(kernel), as_value(x), as_constant(kernel)
    spatial = kernel.rank - 2
    strides, dilation = at.get("strides", [1] * spatial), at.get("dilations", [1] * spatial)
    return convolution.convolution(
        at.builder,
        x,
        kernel.transpose(*range(2, kernel.rank), 1, 0),
        as_constant(bias) if bias is not None else None,
        channels=1,
        strides=strides,
        padding=_padding(at, x, kernel.array.shape[2:], strides, dilation),
        dilation=dilation,
        groups=at.get("group", 1),
        name=at.name,
    )


@operation("ConvTranspose")
def _conv_transposed(at: Node, x: Any, kernel: Any, bias: Any = None) -> Value:
    at, kernel = at.named_after(kernel), as_constant(kernel)
    spatial = kernel.rank - 2
    if at.get("group", 1) != 1 or max(at.get("dilations", [1])) > 1 or "output_shape" in at.attributes:
        raise Refused("a transposed convolution with groups, dilation or a given output shape")
    if at.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise Refused("a transposed convolution with automatic padding")
    pads = at.get("pads", [0] * 2 * spatial)
    return convolution.transposed(
        at.builder,
        as_value(x),
        kernel.transpose(*range(2, kernel.rank), 1, 0),
        as_constant(bias) if bias is not None else None,
        channels=1,
        strides=at.get("strides", [1] * spatial),
        padding=[(pads[axis], pads[axis + spatial]) for axis in range(spatial)],
        output_padding=at.get("output_padding", [0] * spatial),
        name=at.name,
    )


@operation("Gemm")
def _gemm(at: Node, x: Any, matrix: Any, bias: Any = None) -> Operand:
    at, x, matrix = at.named_after(matrix), as_value(x), as_constant(matrix)
    if at.get("transA", 0) or at.get("alpha", 1.0) != 1 or at.get("beta", 1.0) != 1:
        raise Refused("a Gemm with transA or factors")
    kernel = matrix.transpose(1, 0) if at.get("transB", 0) else matrix
    if bias is None or (isinstance(bias, Constant) and bias.array.size == kernel.array.shape[1]):
        return dense.linear(at.builder, x, kernel, bias, name=at.name)
    return arithmetic.binary(
        at.builder, "add", dense.linear(at.builder, x, kernel, None, name=at.name), bias, name=f"{at.name}_bias"
    )


@operation("MatMul")
def _matmul(at: Node, x: Any, y: Any, bias: Constant | None = None) -> Any:
    at = at.named_after(y)
    if bias is not None:
        result = dense.linear(at.builder, as_value(x), as_constant(y), bias, name=at.name)
        return [result, result]
    return dense.matmul(at.builder, x, y, name=at.name)


@operation("BatchNormalization")
def _batch_norm(at: Node, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Value:
    at = at.named_after(gamma)
    if at.get("training_mode", 0) or not at.get("spatial", 1):
        raise Refused("a batch normalization that trains, or is not spatial")
    return normalization.batch_normalization(
        at.builder,
        as_value(x),
        as_constant(gamma),
        as_constant(beta),
        as_constant(mean),
        as_constant(variance),
        channels=1,
        epsilon=at.get("epsilon", 1e-5),
        momentum=at.get("momentum", 0.9),
        name=at.name,
    )


@operation("LayerNormalization")
def _layer_norm(at: Node, x: Any, gamma: Any, beta: Any = None) -> Value:
    at, x = at.named_after(gamma), as_value(x)
    first = x.axis(at.get("axis", -1))
    return normalization.layer_normalization(
        at.builder, x, gamma, beta, axes=range(first, x.rank), epsilon=at.get("epsilon", 1e-5), name=at.name
    )


@operation("GroupNormalization", until=20)
def _group_norm_with_scales_of_groups(*_: Any) -> Value:
    raise Refused("its scales are one for each group before opset 21")


@operation("GroupNormalization", since=21)
def _group_norm(at: Node, x: Any, gamma: Any, beta: Any) -> Value:
    return normalization.group_normalization(
        at.builder,
        as_value(x),
        gamma,
        beta,
        groups=at.get("num_groups", 1),
        channels=1,
        epsilon=at.get("epsilon", 1e-5),
        name=at.name,
    )


@operation("InstanceNormalization")
def _instance_norm(at: Node, x: Any, gamma: Any, beta: Any) -> Value:
    value = as_value(x)
    return normalization.group_normalization(
        at.builder, value, gamma, beta, groups=value.shape[1], channels=1, epsilon=at.get("epsilon", 1e-5), name=at.name
    )


@operation("MaxPool")
def _max_pool(at: Node, x: Any) -> Value:
    x = as_value(x)
    size = at.get("kernel_shape", [])
    if max(at.get("dilations", [1])) > 1 or at.outputs > 1:
        raise Refused("a pooling with dilation or with indices")
    strides = at.get("strides", [1] * len(size))
    padding = _padding(at, x, size, strides, [1] * len(size))
    ceil_mode = bool(at.get("ceil_mode", 0))
    return pooling.maximum(
        at.builder, x, channels=1, size=size, strides=strides, padding=padding, ceil_mode=ceil_mode, name=at.name
    )


@operation("AveragePool")
def _average_pool(at: Node, x: Any) -> Value:
    x = as_value(x)
    size = at.get("kernel_shape", [])
    if max(at.get("dilations", [1])) > 1:
        raise Refused("a pooling with dilation")
    strides = at.get("strides", [1] * len(size))
    return pooling.average(
        at.builder,
        x,
        channels=1,
        size=size,
        strides=strides,
        padding=_padding(at, x, size, strides, [1] * len(size)),
        ceil_mode=bool(at.get("ceil_mode", 0)),
        count_include_pad=bool(at.get("count_include_pad", 0)),
        name=at.name,
    )


@operation("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(at: Node, x: Any) -> Value:
    x = as_value(x)
    kind = "mean" if at.kind == "GlobalAveragePool" else "max"
    return arithmetic.reduce(at.builder, kind, x, range(2, x.rank), True, name=at.name)


@operation("Dropout")
def _dropout(at: Node, x: Any, rate: Any = None, *_: Any) -> Any:
    share = float(as_constant(rate).array) if rate is not None else float(at.get("ratio", 0.5))
    x = as_value(x)
    return x if share == 0 else at.builder.layer("Dropout", {"rate": share}, [x], name=at.name, nonnegative=x.nonnegative)


def _padding(at: Node, x: Value, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Any:
    auto, spatial = at.get("auto_pad", "NOTSET"), len(size)
    if auto == "SAME_UPPER":
        return "same"
    if auto == "SAME_LOWER":
        reach = [(k - 1) * rate + 1 for k, rate in zip(size, dilation, strict=True)]
        return [same_pads(n, k, s)[::-1] for n, k, s in zip(x.shape[2:], reach, strides, strict=True)]
    if auto == "VALID":
        return "valid"
    pads = at.get("pads", [0] * 2 * spatial)
    return [(pads[axis], pads[axis + spatial]) for axis in range(spatial)]
