"""Where the conversions of ONNX's operations are declared, and what each of them is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import Constant, as_constant
from pybridge.converters.registry import Registry

OPERATIONS: Registry[Callable[..., Any]] = Registry("operation of ONNX")
"""By the operation's name. A function takes a `Node` and the operands, None for those left out, and gives one result or a list.

Where the meaning of an operation changed, ``since`` and ``until`` are the first and last version of the operator set (opset) that
a function means.
"""

operation = OPERATIONS.handles

WHOLE_NUMBERS = frozenset(
    {
        "Abs",
        "Add",
        "And",
        "ArgMax",
        "ArgMin",
        "Cast",
        "CastLike",
        "Clip",
        "Concat",
        "CumSum",
        "Div",
        "Equal",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "OneHot",
        "Or",
        "Pow",
        "Range",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Reshape",
        "Shape",
        "Sign",
        "Size",
        "Slice",
        "Split",
        "Squeeze",
        "Sub",
        "Sum",
        "Tile",
        "Transpose",
        "Trilu",
        "Unsqueeze",
        "Where",
        "Xor",
    }
)
"""Operations that are converted for whole numbers and truth values too."""

OVERFLOWING = frozenset(
    {
        "Abs",
        "Add",
        "CumSum",
        "Mul",
        "Neg",
        "Pow",
        "ReduceProd",
        "ReduceSum",
        "Sub",
        "Sum",
    }
)
"""Operations whose results may be larger than their operands, and then depend on how many bits the type has."""

WIDENING = frozenset(
    {
        "And",
        "ArgMax",
        "ArgMin",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Not",
        "Or",
        "Shape",
        "Size",
        "Xor",
    }
)
"""Operations whose results are of another type than their operands."""

TAKING_SHAPES = frozenset(
    {
        "ConstantOfShape",
        "Expand",
        "Reshape",
        "Resize",
        "Slice",
        "Split",
        "Tile",
        "Upsample",
    }
)
"""Operations of which an operand is a shape, and so may hold the number of examples."""

OF_EXAMPLES = frozenset(
    {
        "AveragePool",
        "BatchNormalization",
        "Conv",
        "ConvTranspose",
        "DepthToSpace",
        "GlobalAveragePool",
        "GlobalLpPool",
        "GlobalMaxPool",
        "GroupNormalization",
        "InstanceNormalization",
        "LpPool",
        "LRN",
        "MaxPool",
        "PRelu",
        "Resize",
        "SpaceToDepth",
        "Upsample",
    }
)
"""Operations whose first axis is that of the examples by definition."""


@dataclass(frozen=True)
class Node:
    """What a conversion is told besides its operands.

    Attributes:
        builder: What layers are added to.
        name: The name wished for its layer.
        kind: The operation.
        attributes: By name.
        outputs: How many results are asked for.
        static_batch: The number of examples where the file fixes one.
    """

    builder: Builder
    name: str
    kind: str
    attributes: dict[str, Any]
    outputs: int
    static_batch: int | None

    def get(self, name: str, default: Any) -> Any:
        """An attribute; texts are bytes in the file."""
        given = self.attributes.get(name, default)
        return given.decode() if isinstance(given, bytes) else given

    def named_after(self, weight: Any) -> Node:
        """The same node, called after its weight: ``layer1.0.conv1`` where that is ``layer1.0.conv1.weight``."""
        if not isinstance(weight, Constant) or not weight.name.endswith("weight"):
            return self
        return replace(self, name=weight.name.removesuffix("weight").rstrip("._") or self.kind)


def whole_numbers(operand: Any) -> list[int]:
    """A list of whole numbers that the graph knows beforehand.

    Raises:
        Refused: It depends on the model's input.
    """
    return [int(number) for number in as_constant(operand).array.reshape(-1)]
