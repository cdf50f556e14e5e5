"""What each operation of ONNX becomes: https://onnx.ai/onnx/operators/."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pybridge.converters.building import arithmetic, convolution, dense, normalization, pooling, shaping
from pybridge.converters.building.activations import activation, prelu, rescale
from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import BATCH, Constant, Operand, Refused, Value, as_constant, as_value
from pybridge.converters.building.windows import same_pads


@dataclass(frozen=True)
class Node:
    """What a conversion is told besides its operands.

    Attributes:
        builder: What layers are added to.
        name: The name wished for its layer.
        kind: The operation.
        attributes: By name.
        opset: The version of the operations.
        outputs: How many results are asked for.
        static_batch: The number of examples where the file fixes one.
    """

    builder: Builder
    name: str
    kind: str
    attributes: dict[str, Any]
    opset: int
    outputs: int
    static_batch: int | None

    def get(self, name: str, default: Any) -> Any:
        """An attribute; texts are bytes in the file."""
        given = self.attributes.get(name, default)
        return given.decode() if isinstance(given, bytes) else given


HANDLERS: dict[str, Callable[..., Any]] = {}
_Function = TypeVar("_Function", bound=Callable[..., Any])


def handles(*names: str) -> Callable[[_Function], _Function]:
    """Register a function for operations."""

    def register(function: _Function) -> _Function:
        HANDLERS.update(dict.fromkeys(names, function))
        return function

    return register


@handles("Conv")
def _conv(at: Node, x: Any, kernel: Any, bias: Any = None) -> Value:
    x, kernel = as_value(x), as_constant(kernel)
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


@handles("ConvTranspose")
def _conv_transposed(at: Node, x: Any, kernel: Any, bias: Any = None) -> Value:
    kernel = as_constant(kernel)
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


@handles("Gemm")
def _gemm(at: Node, x: Any, matrix: Any, bias: Any = None) -> Operand:
    x, matrix = as_value(x), as_constant(matrix)
    if at.get("transA", 0) or at.get("alpha", 1.0) != 1 or at.get("beta", 1.0) != 1:
        raise Refused("a Gemm with transA or factors")
    kernel = matrix.transpose(1, 0) if at.get("transB", 0) else matrix
    if bias is None or (isinstance(bias, Constant) and bias.array.size == kernel.array.shape[1]):
        return dense.linear(at.builder, x, kernel, bias, name=at.name)
    return arithmetic.binary(
        at.builder, "add", dense.linear(at.builder, x, kernel, None, name=at.name), bias, name=f"{at.name}_bias"
    )


@handles("MatMul")
def _matmul(at: Node, x: Any, y: Any, bias: Constant | None = None) -> Any:
    if bias is not None:
        result = dense.linear(at.builder, as_value(x), as_constant(y), bias, name=at.name)
        return [result, result]
    return dense.matmul(at.builder, x, y, name=at.name)


@handles("BatchNormalization")
def _batch_norm(at: Node, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Value:
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


@handles("LayerNormalization")
def _layer_norm(at: Node, x: Any, gamma: Any, beta: Any = None) -> Value:
    x = as_value(x)
    first = x.axis(at.get("axis", -1))
    return normalization.layer_normalization(
        at.builder, x, gamma, beta, axes=range(first, x.rank), epsilon=at.get("epsilon", 1e-5), name=at.name
    )


@handles("GroupNormalization")
def _group_norm(at: Node, x: Any, gamma: Any, beta: Any) -> Value:
    if at.opset < 21:
        raise Refused("its scales are one for each group before opset 21")
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


@handles("InstanceNormalization")
def _instance_norm(at: Node, x: Any, gamma: Any, beta: Any) -> Value:
    value = as_value(x)
    return normalization.group_normalization(
        at.builder, value, gamma, beta, groups=value.shape[1], channels=1, epsilon=at.get("epsilon", 1e-5), name=at.name
    )


@handles("MaxPool")
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


@handles("AveragePool")
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


@handles("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(at: Node, x: Any) -> Value:
    x = as_value(x)
    kind = "mean" if at.kind == "GlobalAveragePool" else "max"
    return arithmetic.reduce(at.builder, kind, x, range(2, x.rank), True, name=at.name)


@handles("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare")
def _reduce(at: Node, x: Any, axes: Any = None) -> Operand:
    b, value = at.builder, as_value(x)
    chosen = _numbers(axes) if axes is not None else at.get("axes", None)
    if not chosen and at.get("noop_with_empty_axes", 0):
        return value
    keepdims = bool(at.get("keepdims", 1))
    kinds = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ReduceMin": "min"}
    if at.kind in kinds:
        return arithmetic.reduce(b, kinds[at.kind], value, chosen, keepdims, name=at.name)
    squares = as_value(arithmetic.unary(b, "square", value, name=f"{at.name}_square"))
    total = arithmetic.reduce(b, "sum", squares, chosen, keepdims, name=f"{at.name}_sum")
    return arithmetic.unary(b, "sqrt", total, name=at.name) if at.kind == "ReduceL2" else total


_ACTIVATIONS = {
    "HardSwish": "hard_swish",
    "Mish": "mish",
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
_UNARY = {
    name: name.lower() for name in ("Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "Log", "Reciprocal", "Sign", "Sin", "Sqrt")
}
_BINARY = {
    "Add": "add",
    "Div": "divide",
    "Max": "maximum",
    "Min": "minimum",
    "Mul": "multiply",
    "Pow": "power",
    "Sub": "subtract",
    "Sum": "add",
}


@handles(*_ACTIVATIONS)
def _activation(at: Node, x: Any) -> Value:
    return activation(at.builder, as_value(x), _ACTIVATIONS[at.kind], name=at.name)


@handles(*_UNARY, "Neg")
def _unary(at: Node, x: Any) -> Operand:
    return arithmetic.unary(at.builder, _UNARY.get(at.kind, "negative"), x, name=at.name)


@handles(*_BINARY)
def _binary(at: Node, *operands: Any) -> Operand:
    result: Operand = operands[0]
    for operand in operands[1:]:
        if at.kind in ("Sub", "Div") and isinstance(operand, Constant):
            # A mean and a deviation of the data, as far as anyone subtracts or divides by constants: settings, not parameters.
            operand = Constant(operand.array, operand.name, False, operand.expanded)
        result = arithmetic.binary(at.builder, _BINARY[at.kind], result, operand, name=at.name)
    return result


@handles("LeakyRelu")
def _leaky_relu(at: Node, x: Any) -> Value:
    return activation(at.builder, as_value(x), "leaky_relu", alpha=at.get("alpha", 0.01), name=at.name)


@handles("Elu")
def _elu(at: Node, x: Any) -> Value:
    return activation(at.builder, as_value(x), "elu", alpha=at.get("alpha", 1.0), name=at.name)


@handles("Selu")
def _selu(at: Node, x: Any) -> Value:
    known = abs(at.get("alpha", 1.6732632) - 1.6732632) < 1e-5 and abs(at.get("gamma", 1.050701) - 1.050701) < 1e-5
    if not known:
        raise Refused("SELU with factors of its own")
    return activation(at.builder, as_value(x), "selu", name=at.name)


@handles("Gelu")
def _gelu(at: Node, x: Any) -> Value:
    return activation(at.builder, as_value(x), "gelu" if at.get("approximate", "none") == "none" else "gelu_tanh", name=at.name)


@handles("HardSigmoid")
def _hard_sigmoid(at: Node, x: Any) -> Value:
    scaled = rescale(at.builder, as_value(x), at.get("alpha", 0.2), at.get("beta", 0.5), name=f"{at.name}_scale")
    return activation(at.builder, scaled, "clip", minimum=0, maximum=1, name=at.name)


@handles("Clip")
def _clip(at: Node, x: Any, minimum: Any = None, maximum: Any = None) -> Value:
    limits = [
        at.get(key, None) if given is None else as_constant(given).array.reshape(-1)[0]
        for key, given in (("min", minimum), ("max", maximum))
    ]
    low, high = (None if limit is None or abs(limit) > 1e38 else float(limit) for limit in limits)
    return activation(at.builder, as_value(x), "clip", minimum=low, maximum=high, name=at.name)


@handles("PRelu")
def _prelu(at: Node, x: Any, slope: Any) -> Value:
    x, slope = as_value(x), as_constant(slope)
    if slope.array.size not in (1, x.shape[1]):
        raise Refused(f"slopes of shape {slope.array.shape}")
    return prelu(at.builder, x, slope.reshape(-1), 1, name=at.name)


@handles("Softmax", "LogSoftmax")
def _softmax(at: Node, x: Any) -> Value:
    x = as_value(x)
    axis = x.axis(at.get("axis", -1 if at.opset >= 13 else 1))
    if at.opset < 13 and axis != x.rank - 1 and math.prod(x.shape[axis + 1 :]) != 1:
        raise Refused("a softmax over several axes, as before opset 13")
    return activation(at.builder, x, "softmax" if at.kind == "Softmax" else "log_softmax", axis=axis, name=at.name)


@handles("Dropout")
def _dropout(at: Node, x: Any, rate: Any = None, *_: Any) -> Any:
    share = float(as_constant(rate).array) if rate is not None else float(at.get("ratio", 0.5))
    x = as_value(x)
    return x if share == 0 else at.builder.layer("Dropout", {"rate": share}, [x], name=at.name, nonnegative=x.nonnegative)


@handles("Identity")
def _identity(_: Node, x: Any) -> Any:
    return x


@handles("Cast")
def _cast(at: Node, x: Any) -> Any:
    # 1, 10 and 11 of TensorProto.DataType are the floating types; all are computed as float32.
    if at.get("to", 1) not in (1, 10, 11):
        raise Refused("a conversion to whole numbers")
    return x


@handles("Reshape")
def _reshape(at: Node, x: Any, shape: Any) -> Value:
    x = as_value(x)
    target = _numbers(shape)
    if not at.get("allowzero", 0):
        target = [x.shape[place] if size == 0 and place < x.rank else size for place, size in enumerate(target)]
    if at.static_batch is not None:
        target = shaping.with_batch(x, target, at.static_batch)
    return shaping.reshape(at.builder, x, target, name=at.name)


@handles("Flatten")
def _flatten(at: Node, x: Any) -> Value:
    x = as_value(x)
    axis = at.get("axis", 1) % x.rank if at.get("axis", 1) != x.rank else x.rank
    return shaping.reshape(at.builder, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])), name=at.name)


@handles("Transpose")
def _transpose(at: Node, x: Any) -> Value:
    x = as_value(x)
    return shaping.transpose(x, at.get("perm", list(reversed(range(x.rank)))))


@handles("Squeeze")
def _squeeze(at: Node, x: Any, axes: Any = None) -> Value:
    x = as_value(x)
    chosen = _numbers(axes) if axes is not None else at.get("axes", None)
    return shaping.squeeze(x, range(x.rank) if chosen is None else chosen)


@handles("Unsqueeze")
def _unsqueeze(at: Node, x: Any, axes: Any = None) -> Value:
    return shaping.unsqueeze(as_value(x), _numbers(axes) if axes is not None else at.get("axes", []))


@handles("Concat")
def _concat(at: Node, *operands: Any) -> Operand:
    return shaping.concatenate(at.builder, list(operands), at.get("axis", 0), name=at.name)


@handles("Split")
def _split(at: Node, x: Any, sizes: Any = None) -> list[Value]:
    x = as_value(x)
    axis = x.axis(at.get("axis", 0))
    given = _numbers(sizes) if sizes is not None else at.get("split", None)
    if given is None:
        count = at.get("num_outputs", at.outputs)
        part = -(-x.shape[axis] // count)
        given = [min(part, x.shape[axis] - start) for start in range(0, x.shape[axis], part)]
    return shaping.split(at.builder, x, given, axis, name=at.name)


@handles("Slice")
def _slice(at: Node, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Value:
    part = as_value(x)
    first = _numbers(starts) if starts is not None else at.get("starts", [])
    last = _numbers(ends) if ends is not None else at.get("ends", [])
    chosen = _numbers(axes) if axes is not None else at.get("axes", list(range(len(first))))
    stride = _numbers(steps) if steps is not None else [1] * len(first)
    for axis, start, stop, step in zip(chosen, first, last, stride, strict=True):
        part = shaping.slice_axis(at.builder, part, axis, start, stop, step, name=at.name)
    return part


@handles("Gather")
def _gather(at: Node, x: Any, indices: Any) -> Operand:
    x, axis = as_value(x), at.get("axis", 0)
    wanted = as_constant(indices).array
    if wanted.ndim == 0:
        return shaping.select(at.builder, x, axis, int(wanted), name=at.name)
    if wanted.ndim != 1 or wanted.size > 64:
        raise Refused(f"it picks {wanted.shape} elements")
    parts = [shaping.slice_axis(at.builder, x, axis, int(i), int(i) + 1 or BATCH, name=at.name) for i in wanted]
    return shaping.concatenate(at.builder, list(parts), axis, name=at.name)


@handles("Expand")
def _expand(at: Node, x: Any, shape: Any) -> Value:
    x, target = as_value(x), _numbers(shape)
    rank = max(x.rank, len(target))
    full = [1] * (rank - len(target)) + target
    have = (1,) * (rank - x.rank) + x.shape
    return shaping.expand(at.builder, x, [max(one, other) for one, other in zip(full, have, strict=True)], name=at.name)


@handles("Pad")
def _pad(at: Node, x: Any, pads: Any = None, number: Any = None, axes: Any = None) -> Value:
    x = as_value(x)
    amounts = _numbers(pads) if pads is not None else at.get("pads", [])
    chosen = [x.axis(axis) for axis in _numbers(axes)] if axes is not None else list(range(x.rank))
    half = len(amounts) // 2
    both = dict(zip(chosen, zip(amounts[:half], amounts[half:], strict=True), strict=True))
    fill = float(as_constant(number).array.reshape(-1)[0]) if number is not None else float(at.get("value", 0.0))
    mode = at.get("mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise Refused(f"padding of the kind {mode}")
    return shaping.pad(at.builder, x, [both.get(axis, (0, 0)) for axis in range(x.rank)], mode=mode, value=fill, name=at.name)


@handles("Resize", "Upsample")
def _resize(at: Node, x: Any, second: Any = None, scales: Any = None, sizes: Any = None) -> Value:
    x = as_value(x)
    if at.kind == "Upsample" or at.opset < 11:
        scales, sizes = second, None
    factors = [float(one) for one in as_constant(scales).array.reshape(-1)] if _filled(scales) else at.get("scales", None)
    chosen = [x.axis(axis) for axis in at.get("axes", range(x.rank))]
    if _filled(sizes):
        wanted, given = dict(zip(chosen, _numbers(sizes), strict=True)), {}
    elif factors:
        given = dict(zip(chosen, factors, strict=True))
        wanted = {axis: math.floor(x.shape[axis] * factor + 1e-6) for axis, factor in given.items() if axis}
    else:
        raise Refused("neither sizes nor scales are constants")
    mode = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear"}.get(at.get("mode", "nearest"))
    if mode is None or at.get("antialias", 0) or at.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Refused(f"resizing by {at.get('mode', 'nearest')} with these options")
    old = at.kind == "Upsample" or at.opset < 11
    # Sizes are written down for some number of examples; that of the batch means nothing.
    wanted = {axis: size for axis, size in wanted.items() if axis != x.batch_axis}
    return shaping.resize(
        at.builder,
        x,
        wanted,
        method=mode,
        coordinates="asymmetric" if old else at.get("coordinate_transformation_mode", "half_pixel"),
        scales={axis: factor for axis, factor in given.items() if axis},
        rounding="floor" if old else at.get("nearest_mode", "round_prefer_floor"),
        channels=1,
        name=at.name,
    )


@handles("DepthToSpace")
def _depth_to_space(at: Node, x: Any) -> Value:
    b, x, size = at.builder, as_value(x), at.get("blocksize", 1)
    count, channels, height, width = x.shape
    if at.get("mode", "DCR") == "CRD":
        parts = shaping.reshape(b, x, (count, channels // size**2, size, size, height, width), name=at.name)
        moved = shaping.transpose(parts, (0, 1, 4, 2, 5, 3))
    else:
        parts = shaping.reshape(b, x, (count, size, size, channels // size**2, height, width), name=at.name)
        moved = shaping.transpose(parts, (0, 3, 4, 1, 5, 2))
    return shaping.reshape(b, moved, (count, channels // size**2, height * size, width * size), name=at.name)


@handles("SpaceToDepth")
def _space_to_depth(at: Node, x: Any) -> Value:
    b, x, size = at.builder, as_value(x), at.get("blocksize", 1)
    count, channels, height, width = x.shape
    parts = shaping.reshape(b, x, (count, channels, height // size, size, width // size, size), name=at.name)
    moved = shaping.transpose(parts, (0, 3, 5, 1, 2, 4))
    return shaping.reshape(b, moved, (count, channels * size**2, height // size, width // size), name=at.name)


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


def _numbers(operand: Any) -> list[int]:
    """A list of whole numbers that the graph knows beforehand."""
    return [int(number) for number in as_constant(operand).array.reshape(-1)]


def _filled(operand: Any) -> bool:
    return isinstance(operand, Constant) and operand.array.size > 0
