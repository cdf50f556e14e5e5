"""Reductions that TF.js has no layer for."""

from __future__ import annotations

from collections.abc import Sequence

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import Value
from pybridge.converters.refusals import Refused


def extremum(b: Builder, kind: str, x: Value, axis: int, *, keepdims: bool, name: str) -> Value:
    """Find the place of the largest or smallest element along an axis; of equal ones the first.

    Args:
        b: The builder.
        kind: argmax or argmin.
        x: Any value.
        axis: A logical axis.
        keepdims: Whether it stays, with size 1.
        name: The name of the layer.

    Returns:
        Whole numbers.
    """
    axis = x.axis(axis)
    if 0 in x.axes[axis]:
        raise Refused("it works along the batch axis")
    x = b.ordered(x, range(x.rank), name=name)
    place = axis + len(x.physical) - x.rank
    arguments = {"axis": place, "keepdims": True}
    physical = tuple(1 if at == place else size for at, size in enumerate(x.physical))
    found = b.operation(kind, {"x": x}, arguments, name=name, physical=physical, axes=x.axes, dtype="int32")
    kept = found.axes if keepdims else tuple(group for at, group in enumerate(found.axes) if at != axis)
    return Value(found.tensor, found.physical, kept)


def reduction(b: Builder, kind: str, x: Value, axes: Sequence[int], keepdims: bool, *, name: str) -> Value:
    """Reduce axes by one of keras.ops: sum, prod, max, min or logsumexp.

    Args:
        b: The builder.
        kind: Its name there.
        x: Any value.
        axes: Logical axes.
        keepdims: Whether they stay, with size 1.
        name: The name of the layer.

    Raises:
        Refused: The batch is among the axes.
    """
    chosen = {x.axis(axis) for axis in axes}
    if any(0 in x.axes[axis] for axis in chosen):
        raise Refused("it reduces the batch axis")
    x = b.ordered(x, range(x.rank), name=name)
    lent = len(x.physical) - x.rank
    places = sorted(axis + lent for axis in chosen)
    physical = tuple(1 if at in places else size for at, size in enumerate(x.physical))
    arguments = {"axis": places, "keepdims": True}
    done = b.operation(kind, {"x": x}, arguments, name=name, physical=physical, axes=x.axes, dtype=b.dtype(x))
    kept = done.axes if keepdims else tuple(group for at, group in enumerate(done.axes) if at not in chosen)
    return Value(done.tensor, done.physical, kept)


def cumulative(b: Builder, x: Value, axis: int, *, exclusive: bool = False, reverse: bool = False, name: str) -> Value:
    """Add up the elements along an axis, from its beginning or, where ``reverse``, from its end."""
    axis = x.axis(axis)
    if 0 in x.axes[axis]:
        raise Refused("it works along the batch axis")
    x = b.ordered(x, range(x.rank), name=name)
    place = axis + len(x.physical) - x.rank
    dtype = b.dtype(x)
    turned = b.operation("flip", {"x": x}, {"axis": place}, name=f"{name}_flip", dtype=dtype) if reverse else x
    total = b.operation("cumsum", {"x": turned}, {"axis": place}, name=name, dtype=dtype)
    if exclusive:
        total = b.operation("subtract", {"x1": total, "x2": turned}, name=f"{name}_before", dtype=dtype)
    return b.operation("flip", {"x": total}, {"axis": place}, name=f"{name}_back", dtype=dtype) if reverse else total
