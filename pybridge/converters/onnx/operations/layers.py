"""Convolutions, products, normalizations, poolings and dropout of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pybridge.converters.building import arithmetic, convolution, dense, normalization, pooling, reshaping, slicing
from pybridge.converters.building.activations import rescale
from pybridge.converters.building.layout import padded_rank
from pybridge.converters.building.pointwise import pointwise
from pybridge.converters.building.values import Constant, Operand, Value, as_constant, as_value, broadcast_shape, constant
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
    b, at = at.builder, at.named_after(matrix)
    alpha, beta = at.get("alpha", 1.0), at.get("beta", 1.0)
    left = _turned(x) if at.get("transA", 0) else x
    kernel = _turned(matrix) if at.get("transB", 0) else matrix
    if isinstance(left, Value) and isinstance(kernel, Constant) and isinstance(bias, Constant) and alpha == beta == 1:
        columns = kernel.array.shape[1]
        if bias.array.size == columns and bias.array.shape[-1:] == (columns,):
            return dense.linear(b, left, kernel, bias, name=at.name)
    product: Operand = dense.matmul(b, left, kernel, name=at.name)
    if alpha != 1:
        product = rescale(b, as_value(product), alpha, 0.0, name=f"{at.name}_alpha")
    if bias is None or beta == 0:
        return product
    if beta != 1:
        number = Constant(np.asarray(beta, np.float32))
        bias = arithmetic.binary(b, "multiply", bias, number, name=f"{at.name}_beta")
    return arithmetic.binary(b, "add", product, bias, name=f"{at.name}_bias")


def _turned(x: Any) -> Operand:
    return x.transpose(1, 0) if isinstance(x, Constant) else reshaping.transpose(as_value(x), (1, 0))


@operation("MatMul")
def _matmul(at: Node, x: Any, y: Any, bias: Constant | None = None) -> Any:
    b, at = at.builder, at.named_after(y)
    if bias is not None:
        result = dense.linear(b, as_value(x), as_constant(y), bias, name=at.name)
        return [result, result]
    if isinstance(x, Value) and isinstance(y, Constant) and y.rank in (1, 2):
        return dense.matmul(b, x, y, name=at.name)
    # Vectors become matrices, and those in front are spread as numpy.matmul does.
    row, column = x.rank == 1, y.rank == 1
    left, right = (_with_axis(x, 0) if row else x), (_with_axis(y, 1) if column else y)
    if not (isinstance(left, Constant) and left.rank == 2):
        like = left if isinstance(left, Value) else as_value(right)
        left, right = (
            slicing.as_tensor(b, _ranked(one, like.rank), like, name=f"{at.name}_constant") if isinstance(one, Constant) else one
            for one in (left, right)
        )
        rank = max(left.rank, right.rank)
        left, right = padded_rank(as_value(left), rank), padded_rank(as_value(right), rank)
        front = broadcast_shape(left.shape[:-2], right.shape[:-2])
        left = slicing.expand(b, left, (*front, *left.shape[-2:]), name=f"{at.name}_left")
        right = slicing.expand(b, right, (*front, *right.shape[-2:]), name=f"{at.name}_right")
    product = dense.matmul(b, left, right, name=at.name)
    dropped = [*([product.rank - 2] if row else []), *([product.rank - 1] if column else [])]
    return reshaping.squeeze(product, dropped) if dropped else product


def _with_axis(x: Operand, place: int) -> Operand:
    return x.with_array(np.expand_dims(x.array, place)) if isinstance(x, Constant) else reshaping.unsqueeze(x, [place])


def _ranked(x: Constant, rank: int) -> Constant:
    return x.reshape(*((1,) * (rank - x.rank)), *x.array.shape) if x.rank < rank and x.expanded is None else x


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
def _layer_norm(at: Node, x: Any, gamma: Any, beta: Any = None) -> Any:
    b, at, x = at.builder, at.named_after(gamma), as_value(x)
    first, epsilon = x.axis(at.get("axis", -1)), at.get("epsilon", 1e-5)
    axes = range(first, x.rank)
    is_constant = all(one is None or isinstance(one, Constant) for one in (gamma, beta))
    if at.outputs == 1 and is_constant:
        return normalization.layer_normalization(b, x, gamma, beta, axes=axes, epsilon=epsilon, name=at.name)
    mean = arithmetic.reduce(b, "mean", x, axes, True, name=f"{at.name}_mean")
    centred = as_value(arithmetic.binary(b, "subtract", x, mean, name=f"{at.name}_centred"))
    inverse = _inverse_deviation(at, centred, axes, epsilon)
    result = arithmetic.binary(b, "multiply", centred, inverse, name=f"{at.name}_normalized")
    result = arithmetic.binary(b, "multiply", result, gamma, name=f"{at.name}_scaled")
    if beta is not None:
        result = arithmetic.binary(b, "add", result, beta, name=at.name)
    return [result, mean, inverse]


@operation("RMSNormalization")
def _rms_norm(at: Node, x: Any, gamma: Any) -> Operand:
    b, at, x = at.builder, at.named_after(gamma), as_value(x)
    inverse = _inverse_deviation(at, x, range(x.axis(at.get("axis", -1)), x.rank), at.get("epsilon", 1e-5))
    normalized = arithmetic.binary(b, "multiply", x, inverse, name=f"{at.name}_normalized")
    return arithmetic.binary(b, "multiply", normalized, gamma, name=at.name)


def _inverse_deviation(at: Node, x: Value, axes: Sequence[int], epsilon: float) -> Value:
    squares = as_value(arithmetic.unary(at.builder, "square", x, name=f"{at.name}_square"))
    variance = arithmetic.reduce(at.builder, "mean", squares, axes, True, name=f"{at.name}_variance")
    raised = rescale(at.builder, variance, 1.0, epsilon, name=f"{at.name}_epsilon")
    return as_value(arithmetic.unary(at.builder, "rsqrt", raised, name=f"{at.name}_inverse"))


@operation("MeanVarianceNormalization")
def _mean_variance_norm(at: Node, x: Any) -> Operand:
    b, x = at.builder, as_value(x)
    axes = at.get("axes", [0, 2, 3])
    mean = arithmetic.reduce(b, "mean", x, axes, True, name=f"{at.name}_mean")
    centred = as_value(arithmetic.binary(b, "subtract", x, mean, name=f"{at.name}_centred"))
    # The function that defines the operation adds this number to the deviation.
    squares = as_value(arithmetic.unary(b, "square", centred, name=f"{at.name}_square"))
    variance = arithmetic.reduce(b, "mean", squares, axes, True, name=f"{at.name}_variance")
    deviation = as_value(arithmetic.unary(b, "sqrt", variance, name=f"{at.name}_deviation"))
    raised = rescale(b, deviation, 1.0, 1e-9, name=f"{at.name}_epsilon")
    return arithmetic.binary(b, "divide", centred, raised, name=at.name)


@operation("LRN")
def _local_response_norm(at: Node, x: Any) -> Operand:
    b, x = at.builder, as_value(x)
    size, channels = at.get("size", 1), x.shape[1]
    # The sum over channels near each other is a product with a band matrix.
    places = np.arange(channels)
    apart = places[:, None] - places[None, :]
    band = (apart >= -((size - 1) // 2)) & (apart <= -(-(size - 1) // 2))
    squares = as_value(arithmetic.unary(b, "square", x, name=f"{at.name}_square"))
    total = dense.axis_product(b, squares, 1, band.astype(np.float64) * (at.get("alpha", 1e-4) / size), name=f"{at.name}_band")
    base = rescale(b, total, 1.0, at.get("bias", 1.0), name=f"{at.name}_bias")
    factor = b.operation("power", {"x1": base}, {"x2": -at.get("beta", 0.75)}, name=f"{at.name}_power")
    return arithmetic.binary(b, "multiply", x, factor, name=at.name)


@operation("LpNormalization")
def _lp_norm(at: Node, x: Any) -> Operand:
    b, x = at.builder, as_value(x)
    axis, order = at.get("axis", -1), at.get("p", 2)
    before = as_value(arithmetic.unary(b, "square" if order == 2 else "abs", x, name=f"{at.name}_power"))
    total = arithmetic.reduce(b, "sum", before, [axis], True, name=f"{at.name}_sum")
    norm = as_value(arithmetic.unary(b, "sqrt", total, name=f"{at.name}_norm")) if order == 2 else total
    # Where all elements are zero, zero is the answer.
    safe = pointwise(b, "maximum", {"x1": norm, "x2": constant(1e-30, dtype="float32")}, dtype="float32", name=f"{at.name}_safe")
    return arithmetic.binary(b, "divide", x, safe, name=at.name)


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


@operation("LpPool", since=2)
def _lp_pool(at: Node, x: Any) -> Value:
    b, x, size = at.builder, as_value(x), at.get("kernel_shape", [])
    if max(at.get("dilations", [1])) > 1 or at.get("ceil_mode", 0):
        raise Refused("a pooling with dilation, or with windows that reach over the end")
    order, strides = at.get("p", 2), at.get("strides", [1] * len(size))
    powers = _powers(at, x, order)
    padding = _padding(at, x, size, strides, [1] * len(size))
    mean = pooling.average(
        b, powers, channels=1, size=size, strides=strides, padding=padding, count_include_pad=True, name=f"{at.name}_mean"
    )
    total = rescale(b, mean, float(np.prod(size)), 0.0, name=f"{at.name}_sum")
    return total if order == 1 else b.operation("power", {"x1": total}, {"x2": 1 / order}, name=at.name)


@operation("GlobalLpPool", since=2)
def _global_lp_pool(at: Node, x: Any) -> Value:
    b, x, order = at.builder, as_value(x), at.get("p", 2)
    total = arithmetic.reduce(b, "sum", _powers(at, x, order), range(2, x.rank), True, name=f"{at.name}_sum")
    return total if order == 1 else b.operation("power", {"x1": total}, {"x2": 1 / order}, name=at.name)


def _powers(at: Node, x: Value, order: int) -> Value:
    size = as_value(arithmetic.unary(at.builder, "abs", x, name=f"{at.name}_abs"))
    if order == 1:
        return size
    return at.builder.operation("power", {"x1": size}, {"x2": float(order)}, name=f"{at.name}_power", nonnegative=True)


@operation("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(at: Node, x: Any) -> Value:
    x = as_value(x)
    kind = "mean" if at.kind == "GlobalAveragePool" else "max"
    return arithmetic.reduce(at.builder, kind, x, range(2, x.rank), True, name=at.name)


@operation("Dropout")
def _dropout(at: Node, x: Any, rate: Any = None, training: Any = None) -> Any:
    if at.outputs > 1:
        raise Refused("its mask is asked for")
    if (
        training is not None
        and bool(as_constant(training).array.reshape(-1)[0])
        and not (isinstance(rate, Constant) and float(rate.array) == 0)
    ):
        raise Refused("it drops elements at random, in use as in training")
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
