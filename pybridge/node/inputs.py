"""The arrays that a model takes and gives, checked against its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybridge.errors import DataError
from pybridge.tfjs.port import Port

_INTEGERS = ("int32", "int64", "uint8")


def as_inputs(
    x: ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike], inputs: Sequence[Port], *, wide: bool = False
) -> list[NDArray[Any]]:
    """Arrays in the order and the dtypes in which a model takes them.

    Args:
        x: One array, or for several inputs a list of them in their order, or a dict by their names.
        inputs: Of the model.
        wide: Whether inputs of int64 take whole numbers of 64 bits, as TensorFlow does; TF.js has those of 32.

    Raises:
        DataError: Their number or shapes do not fit.
    """
    if isinstance(x, Mapping):
        names = [port.name for port in inputs]
        if set(x) != set(names):
            raise DataError(f"The model has the inputs {names}, but {list(x)} were given")
        x = [x[name] for name in names]
    arrays: list[Any] = [x] if len(inputs) == 1 and not _is_listed(x, inputs[0]) else list(x)  # type: ignore[arg-type]
    if len(arrays) != len(inputs):
        raise DataError(f"The model has {len(inputs)} inputs, but {len(arrays)} arrays were given")
    checked = [_as_input(array, port, wide and port.dtype == "int64") for array, port in zip(arrays, inputs, strict=True)]
    if not is_whole(inputs) and len({len(array) for array in checked}) > 1:
        raise DataError(f"The inputs have different numbers of examples: {[len(array) for array in checked]}")
    return checked


def is_whole(inputs: Sequence[Port]) -> bool:
    """Whether a model's inputs are not divided into examples: numbers, tensors of any rank, or shapes that begin otherwise."""
    if any(port.any_rank or not port.shape for port in inputs):
        return True
    firsts = {port.shape[0] for port in inputs}
    return None not in firsts and len(firsts) > 1


def fixed_batch(inputs: Sequence[Port], outputs: Sequence[Port], examples: int) -> int | None:
    """How many examples a model takes at once, where it fixes that.

    Raises:
        DataError: ``examples`` is no multiple of it, or of what it gives the first axis is not that of the examples.
    """
    fixed = inputs[0].shape[0]
    if fixed is not None and examples > fixed and any(port.shape[:1] not in ((fixed,), (None,)) for port in outputs):
        raise DataError(
            f"The model takes {fixed} examples at once and gives one answer for all of them, so that {examples} are too many",
            hint=f"Give {fixed} at a time.",
        )
    if fixed is not None and examples % fixed:
        raise DataError(
            f"The model takes {fixed} examples at once, and {examples} is no multiple of that",
            hint="Add examples, or export it with a free batch size.",
        )
    return fixed


def examples_of(inputs: Sequence[Port], free: int | None = None) -> dict[str, NDArray[Any]]:
    """Random inputs of a shape that a model takes, by name; whole numbers are 0 or 1, which any table of words has.

    Args:
        inputs: Of the model.
        free: What stands for sizes that are left open, the number of examples apart; by default 64 for images, 8 for others.
    """
    random = np.random.default_rng(0)
    examples: dict[str, NDArray[Any]] = {}
    for port in inputs:
        filled = free or (64 if len(port.shape) == 4 else 8)
        shape = [(port.shape[0] or 2) if place == 0 else size or filled for place, size in enumerate(port.shape)]
        whole = port.dtype in _INTEGERS or port.dtype == "bool"
        examples[port.name] = random.integers(0, 2, shape) if whole else random.uniform(-1, 1, shape).astype(np.float32)
    return examples


def free_sizes(inputs: Sequence[Port]) -> tuple[int | None, ...]:
    """Sizes to try for those that a model leaves open, the smallest first: windows and strides may need larger ones."""
    if not any(None in port.shape[1:] for port in inputs):
        return (None,)
    is_image = any(port.shape[1:].count(None) > 1 for port in inputs)
    return (None, 96, 160, 320) if is_image else (None, 64, 512, 4096, 32768)


def no_outputs(outputs: Sequence[Port]) -> Any:
    """What a model gives for no examples, which TensorFlow.js refuses: empty arrays of its outputs' shapes."""
    empty = [np.empty((0, *(size or 0 for size in port.shape[1:])), port.dtype) for port in outputs]
    return empty[0] if len(empty) == 1 else empty


def _is_listed(x: Any, port: Port) -> bool:
    # [array] for a model with one input; a list of numbers is an array itself.
    return isinstance(x, list | tuple) and len(x) == 1 and np.ndim(x[0]) == len(port.shape)


def _as_input(array: ArrayLike, port: Port, wide: bool) -> NDArray[Any]:
    values = np.asarray(array)
    if values.dtype.kind not in "fiub":
        raise DataError(f"The input {port.name} must be numbers, not {values.dtype}")
    expected = port.shape
    fits = len(values.shape) == len(expected) and all(
        size is None or size == given for size, given in zip(expected[1:], values.shape[1:], strict=True)
    )
    if not fits and not port.any_rank:
        hint = "For a single example add an axis: x[None]." if len(values.shape) == len(expected) - 1 else None
        raise DataError(f"The input {port.name} must have the shape {expected}, not {values.shape}", hint=hint)
    if wide and values.dtype.kind in "iub":
        return np.asarray(values, np.int64, order="C")
    if port.dtype in _INTEGERS and values.size and values.dtype.kind in "fiu":
        low, high = values.min(), values.max()
        if not -(2**31) <= low <= high < 2**31:
            raise DataError(f"The input {port.name} takes whole numbers of 32 bits, not {low} to {high}")
    dtype = np.int32 if port.dtype in _INTEGERS else np.bool_ if port.dtype == "bool" else np.float32
    return np.asarray(values, dtype, order="C")
