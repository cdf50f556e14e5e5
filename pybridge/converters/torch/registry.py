"""Where the conversions of PyTorch's operations are declared, and what each of them is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import Constant
from pybridge.converters.registry import Registry

OPERATIONS: Registry[Callable[..., Any]] = Registry(
    "operation of PyTorch",
    aliases={
        "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
        "_log_softmax": "log_softmax",
        "_prelu_kernel": "prelu",
        "_reshape_copy": "reshape",
        "_softmax": "softmax",
        "_unsafe_view": "view",
        "bmm": "matmul",
        "broadcast_to": "expand",
        "clip": "clamp",
        "concat": "cat",
        "mm": "matmul",
        "native_batch_norm": "_native_batch_norm_legit",
        "numpy_T": "t",
        "swapaxes": "transpose",
    },
)
"""By the operation's name in ATen, without overload.

A function takes a `Node` and ATen's arguments, in which tensors are operands of the builder, and gives one result or a list.
"""

operation = OPERATIONS.handles

WHOLE_NUMBERS = frozenset(
    {
        "_assert_tensor_metadata",
        "_to_copy",
        "alias",
        "argmax",
        "argmin",
        "cat",
        "chunk",
        "clone",
        "contiguous",
        "cumsum",
        "detach",
        "embedding",
        "eq",
        "expand",
        "flatten",
        "ge",
        "gt",
        "identity",
        "le",
        "lift_fresh_copy",
        "logical_and",
        "logical_not",
        "logical_or",
        "logical_xor",
        "lt",
        "narrow",
        "ne",
        "permute",
        "reshape",
        "select",
        "slice",
        "split",
        "split_with_sizes",
        "squeeze",
        "stack",
        "sym_size",
        "t",
        "to",
        "transpose",
        "unbind",
        "unflatten",
        "unsqueeze",
        "view",
        "where",
    }
)
"""Operations that are converted for whole numbers and truth values too."""


@dataclass(frozen=True)
class Node:
    """What a conversion is told besides its arguments.

    Attributes:
        builder: What layers are added to.
        name: The name wished for its layer.
        kind: The operation.
        module: The innermost torch.nn.Module that the operation belongs to.
        shape: The shape of its first result, by PyTorch's own reckoning.
    """

    builder: Builder
    name: str
    kind: str
    module: Any
    shape: tuple[int, ...]

    def named_after(self, weight: Any) -> Node:
        """The same node, called after its weight: ``att.out_proj.weight`` tells more than ``att.linear``."""
        if not isinstance(weight, Constant) or not weight.name.endswith("weight"):
            return self
        return replace(self, name=weight.name.removesuffix("weight").rstrip("._") or self.kind)


def several(given: Any, count: int) -> list[int]:
    """Complete an argument that may be one number for all axes."""
    values = [given] if isinstance(given, int) else list(given)
    return values * count if len(values) == 1 else values
