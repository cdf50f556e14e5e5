"""Linear layers and products of matrices."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import BATCH, Constant, Value
from pybridge.converters.refusals import Refused


def linear(b: Builder, x: Value, kernel: Constant, bias: Constant | None, *, name: str) -> Value:
    """Multiply the last axis by a matrix: a Dense layer.

    Where the last axis is a flattened feature map whose axes lie in another order in TF.js, the rows of the kernel are
    put into that order instead of the feature map, so that the model reads like any other.

    Args:
        b: The builder.
        x: Of rank 2 or more.
        kernel: Of shape (inputs, outputs).
        bias: One number for each output, or None.
        name: The name of the layer.

    Raises:
        Refused: If shapes do not fit.
    """
    inputs, outputs = kernel.array.shape
    if x.rank < 1 or len(x.physical) < 2 or x.shape[-1] != inputs:
        raise Refused(f"a matrix of {inputs} x {outputs} does not fit the last of {x.rank} axes")
    group = x.axes[-1]
    if 0 in group:
        raise Refused("it mixes the examples of a batch")
    if list(group) != sorted(group):
        order = sorted(range(len(group)), key=lambda place: group[place])
        rows = kernel.array.reshape(*x.sizes(x.rank - 1), outputs).transpose(*order, len(group))
        kernel = kernel.with_array(rows.reshape(inputs, outputs))
        group = tuple(sorted(group))
    rest = [part for part in range(len(x.physical)) if part not in group and x.physical[part] != 1]
    tensor, physical = b.regroup(x, [*((part,) for part in rest), group], name=name)
    axes = [tuple(rest.index(part) for part in parts) for parts in x.axes[:-1]]
    arranged = Value(tensor, physical, (*axes, (len(rest),)), x.nonnegative)
    weights = {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias.reshape(-1)}
    config = {"units": outputs, "activation": "linear", "use_bias": bias is not None}
    return b.layer("Dense", config, [arranged], name=name, weights=weights, physical=(*physical[:-1], outputs))


def embedding(b: Builder, table: Constant, indices: Value, *, name: str) -> Value:
    """Look up rows of a table: an Embedding layer.

    Args:
        b: The builder.
        table: Of shape (rows, size).
        indices: Whole numbers of any shape.
        name: The name of the layer.
    """
    if table.rank != 2 or table.array.dtype.kind != "f":
        raise Refused("it picks by numbers that depend on the input, out of what is no table")
    indices = b.ordered(indices, range(indices.rank), name=name)
    rows, size = table.array.shape
    config = {"input_dim": rows, "output_dim": size, "mask_zero": False}
    physical = (*indices.physical, size)
    axes = [*indices.axes, (len(indices.physical),)]
    return b.layer("Embedding", config, [indices], name=name, weights={"embeddings": table}, physical=physical, axes=axes)


def axis_product(b: Builder, x: Value, axis: int, matrix: NDArray[np.float64], *, name: str) -> Value:
    """Multiply any axis by a constant matrix (old size, new size), such as one of interpolation."""
    order = [*(other for other in range(x.rank) if other != axis), axis]
    moved = Value(x.tensor, x.physical, tuple(x.axes[other] for other in order), x.nonnegative)
    product = linear(b, moved, Constant(matrix.astype(np.float32)), None, name=name)
    return Value(product.tensor, product.physical, tuple(product.axes[order.index(other)] for other in range(x.rank)))


def matmul(b: Builder, x: Value | Constant, y: Value | Constant, *, name: str) -> Value:
    """Multiply matrices as `numpy.matmul` does.

    Raises:
        Refused: If shapes do not fit, or both are constants.
    """
    if isinstance(y, Constant) and isinstance(x, Value):
        if y.rank == 2:
            return linear(b, x, y, None, name=name)
        if y.rank == 1:
            product = linear(b, x, y.reshape(-1, 1), None, name=name)
            return Value(product.tensor, product.physical, product.axes[:-1])
        raise Refused(f"a product with a constant of rank {y.rank}")
    if isinstance(x, Constant) and isinstance(y, Value):
        if x.rank != 2 or y.rank < 2:
            raise Refused(f"a product of a constant of rank {x.rank} with a tensor of rank {y.rank}")
        product = linear(b, _swapped(y), x.transpose(1, 0), None, name=name)
        return _swapped(product)
    if isinstance(x, Constant) or isinstance(y, Constant):
        raise Refused("a product of two constants")
    if x.rank < 2 or x.rank != y.rank or x.shape[:-2] != y.shape[:-2] or x.shape[-1] != y.shape[-2]:
        raise Refused("a product of matrices whose shapes do not fit")
    if _before_batch(x) != _before_batch(y):
        raise Refused("a product of matrices that lie in different orders")
    left, right = _matrices(b, x, name=name), _matrices(b, y, name=name)
    physical = (*left.physical[:-1], right.physical[-1])
    value = b.operation("matmul", {"x1": left, "x2": right}, name=name, physical=physical)
    # The batch and what stays beside it: split again into the parts that the logical axes are made of.
    parts = [x.physical[part] for part in _batch_parts(x)]
    split = (*parts, *physical[-2:])
    tensor = b.reshaped(value.tensor, physical, split, name=name)
    order = _batch_parts(x)
    axes = [tuple(order.index(part) for part in group) for group in x.axes[:-2]]
    return Value(tensor, split, (*axes, (len(parts),), (len(parts) + 1,)))


def _batch_parts(x: Value) -> list[int]:
    """The physical axes of all logical axes but the last two, that of the batch first, the others as they are counted."""
    parts = [part for group in x.axes[:-2] for part in group]
    if 0 not in parts and x.batch_axis is not None:
        raise Refused("a product that mixes the examples of a batch")
    return [0, *(part for part in parts if part != 0)]


def _before_batch(x: Value) -> int:
    sizes = [size for axis in range(x.rank - 2) for size in x.sizes(axis)]
    return math.prod(sizes[: sizes.index(BATCH)]) if BATCH in sizes else 0


def _matrices(b: Builder, x: Value, *, name: str) -> Value:
    """Arrange as (batch, everything else, rows, columns), or (batch, rows, columns)."""
    parts = _batch_parts(x)
    middle = [parts[1:]] if len(parts) > 1 else []
    tensor, physical = b.regroup(x, [[0], *middle, x.axes[-2], x.axes[-1]], name=name)
    return Value(tensor, physical, tuple((axis,) for axis in range(len(physical))))


def _swapped(x: Value) -> Value:
    return Value(x.tensor, x.physical, (*x.axes[:-2], x.axes[-1], x.axes[-2]), x.nonnegative)
