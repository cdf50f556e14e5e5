"""How one set of weights came from another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NORMALIZATION = ("gamma", "beta", "moving mean", "moving variance")


def describe_weights(class_name: str, reference: Sequence[NDArray[Any]], other: Sequence[NDArray[Any]]) -> str:
    """Says in what way the weights of a layer differ from those of the reference.

    Args:
        class_name: The layer's class.
        reference: Its weights in Keras's order.
        other: Those of the other side, of equal shapes.

    Example:
        >>> describe_weights("Dense", [kernel], [kernel.astype(np.float16).astype(np.float32)])
        'quantized weights: those of the other side were rounded to float16'
    """
    pairs = [(i, one, two) for i, (one, two) in enumerate(zip(reference, other, strict=True)) if not np.array_equal(one, two)]
    if all(np.array_equal(one.astype(np.float16).astype(np.float32), two) for _, one, two in pairs):
        return "quantized weights: those of the other side were rounded to float16"
    for bits in (8, 16):
        if all(_quantized(one, two, 2**bits - 1) for _, one, two in pairs):
            return f"quantized weights: those of the other side have {bits} bits"
    for _, one, two in pairs:
        rearranged = _rearranged(one, two)
        if rearranged:
            return rearranged
    for i, one, _ in pairs:
        twin = next((j for j, two in enumerate(other) if j != i and two.shape == one.shape and np.array_equal(one, two)), None)
        if twin is not None:
            return f"weights in another order: the other side has {_name(class_name, i)} as {_name(class_name, twin)}"
    names = [_name(class_name, i) for i, _, _ in pairs]
    if class_name == "BatchNormalization" and {i for i, _, _ in pairs} <= {len(reference) - 2, len(reference) - 1}:
        return f"batch normalization statistics: {' and '.join(names)} differ; training moves them, of frozen layers too in TF.js"
    largest = max(float(np.abs(one.astype(float) - two).max()) for _, one, two in pairs)
    return f"other weights: {', '.join(names)} differ by up to {largest:.3g}"


def _quantized(one: NDArray[Any], two: NDArray[Any], steps: int) -> bool:
    """Whether the difference is that of a linear quantization, half a step, or a little more for a zero that is kept exact."""
    step = (float(one.max()) - float(one.min())) / steps
    error = float(np.abs(one.astype(np.float64) - two).max())
    return 0 < error <= 1.01 * step and (two.size <= steps or len(np.unique(two)) <= steps + 1)


def _rearranged(one: NDArray[Any], two: NDArray[Any]) -> str | None:
    if one.ndim >= 2 and np.array_equal(one[..., ::-1, :], two):
        return "channel order: the other side's kernel has its input channels in reverse order (RGB and BGR)"
    if one.ndim >= 2 and np.array_equal(one[..., ::-1], two):
        return "channel order: the other side's kernel has its output channels in reverse order"
    if one.ndim == 4 and np.array_equal(one[::-1, ::-1], two):
        return "kernel orientation: the other side's kernel is turned by 180 degrees (convolution and correlation)"
    if one.ndim == 4 and one.shape[0] == one.shape[1] and np.array_equal(np.swapaxes(one, 0, 1), two):
        return "data layout: the other side's kernel has height and width swapped"
    if one.ndim == 2 and one.shape[0] == one.shape[1] and np.array_equal(one.T, two):
        return "data layout: the other side's kernel is transposed"
    if one.ndim == 2 and np.array_equal(np.sort(one, axis=0), np.sort(two, axis=0)):
        return "data layout: the other side's kernel has its input rows in another order, as of a Flatten with channels first"
    return None


def _name(class_name: str, position: int) -> str:
    if class_name == "BatchNormalization":
        return _NORMALIZATION[position] if position < len(_NORMALIZATION) else f"weight {position}"
    return ("kernel", "bias")[position] if position < 2 else f"weight {position}"
