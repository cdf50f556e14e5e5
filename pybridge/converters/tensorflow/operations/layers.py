"""Convolutions, products, normalizations and poolings of TensorFlow, with what is fused into them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pybridge.converters.building import activations, arithmetic, convolution, dense, normalization, pooling
from pybridge.converters.building.values import Constant, Operand, Value
from pybridge.converters.refusals import Refused
from pybridge.converters.tensorflow.operations.arithmetic import ACTIVATIONS
from pybridge.converters.tensorflow.registry import Node, constant_of, operation, value_of


@operation("Conv2D", "_FusedConv2D")
def _convolution(at: Node, *operands: Operand) -> Value:
    at.check_channels_last()
    x, kernel = value_of(operands[0]), constant_of(operands[1])
    bias, rest = _fused(at, operands)
    groups = x.shape[-1] // kernel.array.shape[2]
    made = convolution.convolution(
        at.builder,
        x,
        kernel,
        bias,
        channels=3,
        strides=at.window("strides"),
        padding=at.padding(),
        dilation=at.window("dilations"),
        groups=groups,
        name=at.name,
    )
    return _activated(at, made, rest, operands)


@operation("DepthwiseConv2dNative", "FusedDepthwiseConv2dNative")
def _depthwise(at: Node, *operands: Operand) -> Value:
    at.check_channels_last()
    bias, rest = _fused(at, operands)
    made = convolution.depthwise(
        at.builder,
        value_of(operands[0]),
        constant_of(operands[1]),
        bias,
        channels=3,
        strides=at.window("strides"),
        padding=at.padding(),
        dilation=at.window("dilations"),
        name=at.name,
    )
    return _activated(at, made, rest, operands)


@operation("MatMul", "_FusedMatMul", "BatchMatMulV2")
def _product(at: Node, *operands: Operand) -> Operand:
    attributes = at.attributes
    if attributes.get("transpose_a") or attributes.get("adj_x") or attributes.get("adj_y"):
        raise Refused("multiplies a transposed matrix")
    x, y = operands[0], operands[1]
    if attributes.get("transpose_b"):
        y = constant_of(y).transpose(1, 0)
    bias, rest = _fused(at, operands)
    if isinstance(x, Value) and isinstance(y, Constant) and y.array.ndim == 2:
        made: Operand = dense.linear(at.builder, x, y, bias, name=at.name)
    else:
        made = dense.matmul(at.builder, x, y, name=at.name)
        if bias is not None:
            made = arithmetic.binary(at.builder, "add", made, bias, name=f"{at.name}_bias")
    return _activated(at, value_of(made), rest, operands) if rest else made


@operation("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def _normalization(at: Node, *operands: Operand) -> Value:
    at.check_channels_last()
    if at.attributes.get("is_training", True):
        raise Refused("normalizes by the statistics of the batch, as in training; export it for inference")
    gamma, beta, mean, variance = (constant_of(operand) for operand in operands[1:5])
    return normalization.batch_normalization(
        at.builder,
        value_of(operands[0]),
        gamma,
        beta,
        mean,
        variance,
        channels=3,
        epsilon=float(at.attributes.get("epsilon", 1e-4)),
        name=at.name,
    )


@operation("AvgPool")
def _average_pool(at: Node, *operands: Operand) -> Value:
    return _pool(at, pooling.average, operands[0])


@operation("MaxPool")
def _max_pool(at: Node, *operands: Operand) -> Value:
    return _pool(at, pooling.maximum, operands[0])


def _pool(at: Node, function: Callable[..., Value], x: Operand) -> Value:
    at.check_channels_last()
    return function(
        at.builder,
        value_of(x),
        channels=3,
        size=at.window("ksize"),
        strides=at.window("strides"),
        padding=at.padding(),
        name=at.name,
    )


def _fused(at: Node, operands: Sequence[Operand]) -> tuple[Constant | None, list[str]]:
    fused = [str(operation) for operation in at.attributes.get("fused_ops") or [] if operation != "NoOp"]
    bias = constant_of(operands[2]) if "BiasAdd" in fused else None
    rest = [operation for operation in fused if operation != "BiasAdd"]
    if len(rest) > 1 or (fused and "BiasAdd" in fused and fused[0] != "BiasAdd"):
        raise Refused(f"fuses {fused}")
    return bias, rest


def _activated(at: Node, x: Value, rest: list[str], operands: Sequence[Operand]) -> Value:
    for operation_name in rest:
        if operation_name == "Prelu":
            return activations.prelu(at.builder, x, constant_of(operands[-1]), x.rank - 1, name=f"{at.name}_prelu")
        if operation_name not in ACTIVATIONS:
            raise Refused(f"fuses {operation_name}")
        options = {"alpha": float(at.attributes.get("leakyrelu_alpha", 0.2))} if operation_name == "LeakyRelu" else {}
        name = f"{at.name}_{operation_name.lower()}"
        x = activations.activation(at.builder, x, ACTIVATIONS[operation_name], name=name, **options)
    return x
