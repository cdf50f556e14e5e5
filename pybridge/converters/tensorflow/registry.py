"""Where the conversions of TensorFlow's operations are declared, and what each of them is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import Constant, Operand, Value
from pybridge.converters.refusals import Refused
from pybridge.converters.registry import Registry

OPERATIONS: Registry[Callable[..., Operand | list[Operand]]] = Registry("operation of TensorFlow")
"""By the operation's name in a GraphDef. A function takes a `Node` and the operands, and gives one result or a list."""

operation = OPERATIONS.handles


@dataclass(frozen=True)
class Node:
    """What a conversion is told besides its operands.

    Attributes:
        builder: What layers are added to.
        name: The name wished for its layer.
        kind: The operation.
        attributes: By name, as plain values.
    """

    builder: Builder
    name: str
    kind: str
    attributes: Mapping[str, Any]

    def check_channels_last(self) -> None:
        """Expect images with the channels last.

        Raises:
            Refused: They come first.
        """
        if self.attributes.get("data_format", "NHWC") != "NHWC":
            raise Refused(f"has the data format {self.attributes['data_format']}; export the model with channels last")

    def window(self, key: str) -> tuple[int, int]:
        """An attribute for height and width, such as ``strides``.

        Raises:
            Refused: It reaches over examples or channels.
        """
        values = self.attributes.get(key) or [1, 1, 1, 1]
        if len(values) != 4 or values[0] != 1 or values[3] != 1:
            raise Refused(f"{key} {values} reach over examples or channels")
        return values[1], values[2]

    def padding(self) -> Any:
        """``"same"``, ``"valid"``, or ``((top, bottom), (left, right))``."""
        padding = str(self.attributes.get("padding", "VALID"))
        if padding != "EXPLICIT":
            return padding.lower()
        amounts = self.attributes["explicit_paddings"]
        return ((amounts[2], amounts[3]), (amounts[4], amounts[5]))


def value_of(operand: Operand) -> Value:
    """Expect a tensor that depends on the model's input.

    Raises:
        Refused: It is a constant.
    """
    if isinstance(operand, Value):
        return operand
    raise Refused("it works on a constant where a tensor is expected")


def constant_of(operand: Operand) -> Constant:
    """Expect a constant.

    Raises:
        Refused: It depends on the model's input.
    """
    if isinstance(operand, Constant):
        return operand
    raise Refused("it takes from the model's input what only a constant can be converted from")


def whole_numbers(operand: Operand) -> list[int]:
    """A list of whole numbers that the graph knows beforehand.

    Raises:
        Refused: It depends on the model's input.
    """
    return [int(size) for size in constant_of(operand).array.reshape(-1)]
