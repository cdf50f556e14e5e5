"""Computes the parts of an ONNX graph that do not depend on the input, such as arithmetic on shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pybridge.converters.building.values import BATCH, Constant, Operand
from pybridge.converters.refusals import Refused

_LIMIT = 2**27

# Another prime in the place of BATCH; as a size it divides as little.
_TWIN = 1_000_033

# Their results are not larger than their inputs by more than broadcasting makes them.
_SAFE = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "Cast",
        "CastLike",
        "Ceil",
        "Clip",
        "Concat",
        "Cos",
        "CumSum",
        "Div",
        "Equal",
        "Erf",
        "Exp",
        "Flatten",
        "Floor",
        "Gather",
        "GatherElements",
        "GatherND",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Less",
        "LessOrEqual",
        "Log",
        "MatMul",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "Pow",
        "Reciprocal",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Relu",
        "Reshape",
        "ScatterND",
        "Shape",
        "Sigmoid",
        "Sign",
        "Sin",
        "Size",
        "Slice",
        "Softmax",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tanh",
        "Transpose",
        "Trilu",
        "Unsqueeze",
        "Where",
    ]
)


def is_foldable(operation: str) -> bool:
    """Whether nodes of this kind can be computed from constants."""
    return operation in _SAFE or operation in ("ConstantOfShape", "Expand", "Tile", "Range")


class Folding:
    """Computes nodes whose inputs are all constants.

    Constants that come of shapes may hold `BATCH`. Each of them has a twin, in which the number of examples is another: where the
    two differ by more than that number, something is computed with it that holds for no other.

    Args:
        opset: The version of the operator set.
        title: The name of the graph.
    """

    def __init__(self, opset: int, title: str) -> None:
        self.opset = opset
        self.title = title
        # By identity; the constant itself is kept so that its number stays its own.
        self.twins: dict[int, tuple[Constant, Constant]] = {}

    def note(self, shape: Constant) -> None:
        """Remember the result of a Shape."""
        array = np.asarray(shape.array)
        if any(int(size) and int(size) % BATCH == 0 for size in array.reshape(-1)):
            self.twins[id(shape)] = (shape, Constant(np.where(array % BATCH == 0, array // BATCH * _TWIN, array)))

    def refuse_batch(self, operands: Iterable[Constant]) -> None:
        """Expect constants that do not come of the number of examples.

        Raises:
            Refused: One of them does.
        """
        if any(id(operand) in self.twins for operand in operands):
            raise Refused("it computes with the number of examples")

    def fold(self, node: Any, operands: Sequence[Operand | None]) -> list[Constant]:
        """Compute a node.

        Raises:
            Refused: It is not known, its result would be too large, or it computes with the number of examples.
        """
        results = fold(node, operands, self.opset, self.title)
        if not any(id(operand) in self.twins for operand in operands):
            return results
        others = [self.twins[id(operand)][1] if id(operand) in self.twins else operand for operand in operands]
        for result, twin in zip(results, fold(node, others, self.opset, self.title), strict=True):
            one, other = np.asarray(result.array), np.asarray(twin.array)
            if one.shape != other.shape or result.rank != twin.rank:
                raise Refused("it computes with the number of examples")
            if not np.array_equal(one, other):
                counts = one.astype(np.float64) / BATCH
                if not np.array_equal(np.where(one == other, counts, other / _TWIN), counts) or np.any(
                    counts % 1 * (one != other)
                ):
                    raise Refused("it computes with the number of examples")
                self.twins[id(result)] = (result, twin)
        return results


def fold(node: Any, operands: Sequence[Operand | None], opset: int, title: str) -> list[Constant]:
    """Compute a node whose inputs are all constants.

    Raises:
        Refused: It is not known, or its result would be too large.
    """
    constants = [operand for operand in operands if isinstance(operand, Constant)]
    if node.op_type == "ConstantOfShape":
        return [_filled(node, constants)]
    if node.op_type in ("Expand", "Tile"):
        return [_repeated(node, constants)]
    if node.op_type == "Range":
        start, limit, delta = (one.array.reshape(-1)[0] for one in constants)
        if delta == 0 or abs((limit - start) / delta) > _LIMIT:
            raise Refused("a range that is too long")
        return [Constant(np.arange(start, limit, delta))]
    if node.op_type not in _SAFE:
        raise Refused("this operation on constants is not known")
    if any(one.shape != tuple(one.array.shape) for one in constants):
        return _of_repeated(node, constants, opset, title)
    largest = (
        math.prod(np.broadcast_shapes(*(one.array.shape for one in constants)))
        if node.op_type in ("Add", "Mul", "Sub", "Div", "Where")
        else 0
    )
    if largest > _LIMIT:
        raise Refused(f"a constant of {largest} elements")
    trained = [one for one in constants if one.trainable]
    results = _evaluate(node, operands, opset, title)
    return [Constant(result, trained[0].name if trained else "", bool(trained)) for result in results]


def _evaluate(node: Any, operands: Sequence[Operand | None], opset: int, title: str) -> list[Any]:
    import onnx
    from onnx.reference import ReferenceEvaluator

    alone = onnx.helper.make_graph(
        [node],
        title or "constants",
        [onnx.helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(node.input) if name],
        [onnx.helper.make_empty_tensor_value_info(name) for name in node.output],
    )
    model = onnx.helper.make_model(alone, opset_imports=[onnx.helper.make_opsetid("", opset)])
    feeds = {
        name: operand.array for name, operand in zip(node.input, operands, strict=True) if name and isinstance(operand, Constant)
    }
    try:
        results = ReferenceEvaluator(model).run(None, feeds)
    # The reference implementation reports wrong arguments by errors of many types.
    except Exception as error:
        raise Refused(f"it cannot be computed ({type(error).__name__})") from error
    return [np.asarray(result) for result in results]


def _filled(node: Any, constants: Sequence[Constant]) -> Constant:
    import onnx

    shape = [int(size) for size in constants[0].array.reshape(-1)]
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    number = onnx.numpy_helper.to_array(attributes["value"]).reshape(-1)[0] if "value" in attributes else np.float32(0)
    return _expanded(np.full([1] * len(shape), number), shape, Constant(np.zeros(1)))


def _repeated(node: Any, constants: Sequence[Constant]) -> Constant:
    source, shape = constants[0], [int(size) for size in constants[1].array.reshape(-1)]
    if node.op_type == "Tile":
        if len(shape) != source.rank or any(size != 1 and have != 1 for size, have in zip(shape, source.shape, strict=True)):
            raise Refused("a constant that is repeated")
        shape = [max(size, have) for size, have in zip(shape, source.shape, strict=True)]
    rank = max(len(shape), source.rank)
    full = [1] * (rank - len(shape)) + shape
    have = [1] * (rank - source.rank) + list(source.shape)
    if any(1 not in (one, other) and one != other for one, other in zip(full, have, strict=True)):
        raise Refused("a constant whose shape does not fit")
    array = source.array.reshape([1] * (rank - source.array.ndim) + list(source.array.shape))
    return _expanded(array, [max(one, other) for one, other in zip(full, have, strict=True)], source)


def _expanded(array: Any, shape: Sequence[int], source: Constant) -> Constant:
    """Broadcast, but for the axis of the batch, which is only remembered."""
    if any(size < 0 for size in shape):
        raise Refused(f"a constant of shape {list(shape)}")
    kept = [1 if size and (size % BATCH == 0 or size % _TWIN == 0) else size for size in shape]
    if math.prod(kept) > _LIMIT:
        raise Refused(f"a constant of {math.prod(kept)} elements")
    real = np.ascontiguousarray(np.broadcast_to(array, kept))
    return Constant(real, source.name, source.trainable, tuple(shape) if list(shape) != kept else None)


def _of_repeated(node: Any, constants: Sequence[Constant], opset: int, title: str) -> list[Constant]:
    """Compute with a constant that is the same for each example: once, for all of them."""
    if node.op_type in ("Identity", "Cast", "CastLike"):
        first = constants[0]
        return [Constant(_evaluate(node, constants, opset, title)[0], first.name, first.trainable, first.expanded)]
    if node.op_type not in ("Add", "Div", "Mul", "Sub"):
        raise Refused("a constant that is computed for each example")
    shape = np.broadcast_shapes(*(one.shape for one in constants))
    if math.prod(1 if size % BATCH == 0 else size for size in shape) > _LIMIT:
        raise Refused("a constant that is too large")
    trained = next((one for one in constants if one.trainable), constants[0])
    return [_expanded(_evaluate(node, constants, opset, title)[0], shape, trained)]
