"""Activations, arithmetic and reductions of TensorFlow."""

from __future__ import annotations

from dataclasses import replace

from pybridge.converters.building import activations, arithmetic
from pybridge.converters.building.values import Constant, Operand
from pybridge.converters.refusals import Refused
from pybridge.converters.tensorflow.registry import Node, operation, value_of, whole_numbers

ACTIVATIONS = {
    "Elu": "elu",
    "LeakyRelu": "leaky_relu",
    "LogSoftmax": "log_softmax",
    "Relu": "relu",
    "Relu6": "relu6",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
"""Operations that are activations, also where they are fused into another, with their names in the building of layers."""
_UNARY = {
    "Erf": "erf",
    "Exp": "exp",
    "Log": "log",
    "Neg": "negative",
    "Reciprocal": "reciprocal",
    "Rsqrt": "rsqrt",
    "Sqrt": "sqrt",
    "Square": "square",
}
_BINARY = {
    "Add": "add",
    "AddV2": "add",
    "BiasAdd": "add",
    "Maximum": "maximum",
    "Minimum": "minimum",
    "Mul": "multiply",
    "Pow": "power",
    "Sub": "subtract",
}
_REDUCTIONS = {"Max": "max", "Mean": "mean", "Min": "min", "Sum": "sum"}


@operation(*ACTIVATIONS)
def _activation(at: Node, *operands: Operand) -> Operand:
    options = {"alpha": float(at.attributes.get("alpha", 0.2))} if at.kind == "LeakyRelu" else {}
    return activations.activation(at.builder, value_of(operands[0]), ACTIVATIONS[at.kind], name=at.name, **options)


@operation(*_UNARY)
def _unary(at: Node, *operands: Operand) -> Operand:
    return arithmetic.unary(at.builder, _UNARY[at.kind], operands[0], name=at.name)


@operation(*_BINARY)
def _binary(at: Node, *operands: Operand) -> Operand:
    return arithmetic.binary(at.builder, _BINARY[at.kind], operands[0], operands[1], name=at.name)


@operation("RealDiv")
def _division(at: Node, *operands: Operand) -> Operand:
    divisor = operands[1]
    if isinstance(divisor, Constant):
        # What a graph divides by are statistics or scales, which training does not move.
        divisor = replace(divisor, trainable=False)
    return arithmetic.binary(at.builder, "divide", operands[0], divisor, name=at.name)


@operation("SquaredDifference")
def _squared_difference(at: Node, *operands: Operand) -> Operand:
    difference = arithmetic.binary(at.builder, "subtract", operands[0], operands[1], name=f"{at.name}_difference")
    return arithmetic.unary(at.builder, "square", difference, name=at.name)


@operation(*_REDUCTIONS)
def _reduction(at: Node, *operands: Operand) -> Operand:
    keep = bool(at.attributes.get("keep_dims", at.attributes.get("keepdims", False)))
    x, axes = value_of(operands[0]), whole_numbers(operands[1])
    return arithmetic.reduce(at.builder, _REDUCTIONS[at.kind], x, axes, keep, name=at.name)


@operation("Identity", "StopGradient", "PreventGradient", "NoOp", "CheckNumerics")
def _same(_: Node, *operands: Operand) -> Operand:
    return operands[0]


@operation("IdentityN")
def _same_all(_: Node, *operands: Operand) -> list[Operand]:
    return list(operands)


@operation("Cast")
def _cast(at: Node, *operands: Operand) -> Operand:
    if at.attributes.get("DstT") != "DT_FLOAT" or at.attributes.get("SrcT") != "DT_FLOAT":
        raise Refused(f"casts {at.attributes.get('SrcT')} to {at.attributes.get('DstT')}")
    return operands[0]
