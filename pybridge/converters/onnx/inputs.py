"""The inputs of an ONNX graph: which they are, their types and their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pybridge.errors import ModelFormatError

# By the numbers of TensorProto.DataType.
INPUT_TYPES: dict[int, str] = {
    **dict.fromkeys((1, 10, 11), "float32"),
    **dict.fromkeys((2, 3, 4, 5, 6, 7, 12, 13), "int32"),
    9: "bool",
}
"""What the TF.js model takes for each type of the file."""

NARROW = frozenset({2, 3, 4, 5, 12, 13})
"""Types of whole numbers that overflow otherwise than int32: uint8, int8, uint16, int16, uint32 and uint64."""

FEW_BITS: dict[int, tuple[int, bool]] = {2: (8, False), 3: (8, True), 4: (16, False), 5: (16, True)}
"""How many bits those of them have that int32 holds with room, and whether they have a sign."""


def graph_inputs(graph: Any) -> list[Any]:
    """What the graph takes, without weights that are declared as inputs."""
    weights = {initializer.name for initializer in graph.initializer}
    return [entry for entry in graph.input if entry.name not in weights]


def example_shapes(
    entries: Sequence[Any], input_shape: Sequence[int] | Sequence[Sequence[int]] | None, file: Path
) -> list[tuple[int, ...]]:
    """The shapes of the inputs, 0 for a number of examples that is left open.

    Args:
        entries: The ``onnx.ValueInfoProto`` of each input.
        input_shape: The sizes of one example, or a list of these, for sizes that are left open.
        file: Where they come from.

    Raises:
        ModelFormatError: Other sizes than the first are open, or ``input_shape`` does not fit.
    """
    given = _listed(input_shape)
    if given is not None and len(given) != len(entries):
        raise ModelFormatError(
            f"{file}: has {len(entries)} inputs ({', '.join(repr(entry.name) for entry in entries)}), not {len(given)}",
            hint="Give input_shape as a list of one shape for each of them.",
        )
    return [_shape(entry, given[place] if given is not None else None, file) for place, entry in enumerate(entries)]


def _listed(input_shape: Any) -> list[Sequence[int]] | None:
    if input_shape is None:
        return None
    shapes = list(input_shape)
    is_nested = bool(shapes) and all(isinstance(one, Sequence) for one in shapes)
    return shapes if is_nested else [shapes]


def _shape(entry: Any, given: Sequence[int] | None, file: Path) -> tuple[int, ...]:
    tensor = entry.type.tensor_type
    if entry.type.WhichOneof("value") != "tensor_type":
        raise ModelFormatError(f"{file}: the input {entry.name!r} is no tensor", hint="Export it with tensors as inputs.")
    declared = [one.dim_value if one.HasField("dim_value") else 0 for one in tensor.shape.dim]
    if not tensor.HasField("shape"):
        raise ModelFormatError(
            f"{file}: the input {entry.name!r} says nothing of its shape", hint="Export it with the number of axes of each input."
        )
    sizes = [int(size) for size in given] if given is not None else declared[1:]
    if len(sizes) == len(declared) and len(sizes) > 1:
        sizes = sizes[1:]
    if len(sizes) != max(len(declared) - 1, 0) or any(size < 1 for size in sizes):
        raise ModelFormatError(
            f"{file}: the input {entry.name!r} has the shape {declared or 'unknown'}, where 0 is left open",
            hint="Give input_shape, such as (3, 224, 224).",
        )
    if any(have not in (0, want) for have, want in zip(declared[1:], sizes, strict=True)):
        raise ModelFormatError(f"{file}: takes {declared[1:]}, not input_shape {sizes}", hint="Leave it out.")
    return (*declared[:1], *sizes)
