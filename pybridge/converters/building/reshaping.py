"""Reshape, transpose, squeeze: the same elements under other axes, which mostly costs nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import BATCH, Value, normalized_axis, shown
from pybridge.converters.refusals import Refused

_MANY_AXES = 6


def reshape(b: Builder, x: Value, shape: Sequence[int], *, name: str) -> Value:
    """Give a value another logical shape; merging axes costs nothing, splitting them a Reshape.

    Args:
        b: The builder.
        x: Any value.
        shape: The sizes, with `BATCH` for the examples; one may be -1.
        name: What added layers are called after.

    Raises:
        Refused: If the sizes do not fit, or examples would be mixed.
    """
    target = list(shape)
    if target.count(-1) == 1:
        known = math.prod(size for size in target if size != -1)
        target[target.index(-1)] = math.prod(x.shape) // known if known else 0
    if math.prod(target) != math.prod(x.shape) or any(size < 0 for size in target):
        raise Refused(f"a shape {shown(x.shape)} cannot become {shown(shape)}")
    axes = [part for group in x.axes for part in group]
    plan = _factors([x.physical[part] for part in axes], target)
    if plan is None:
        flat = b.ordered(x, range(x.rank), name=name)
        lent = [] if x.batch_axis is not None else [BATCH]
        if not lent and target[0] != BATCH:
            raise Refused(f"reshaping {shown(x.shape)} to {shown(target)} mixes the examples of a batch")
        physical = (*lent, *target)
        tensor = b.reshaped(flat.tensor, flat.physical, physical, name=name)
        return Value(tensor, physical, tuple((axis + len(lent),) for axis in range(len(target))), x.nonnegative)
    pieces, groups = plan
    # Later physical axes first, so that splitting one does not renumber those that are still to be split.
    named = Value(x.tensor, x.physical, tuple((part,) for part in axes), x.nonnegative)
    for place in sorted(range(len(axes)), key=lambda place: axes[place], reverse=True):
        named = b.split_axis(named, axes[place], pieces[place], name=name)
    parts = [part for group in named.axes for part in group]
    result = Value(named.tensor, named.physical, tuple(tuple(parts[i] for i in group) for group in groups), x.nonnegative)
    # The windows of a Swin transformer: their parts would otherwise pile up beyond the rank that TF.js can transpose.
    scattered = any(later != earlier + 1 for group in result.axes for earlier, later in pairwise(group))
    return b.tidied(result, name=name) if scattered and len(result.physical) >= _MANY_AXES else result


def with_batch(x: Value, shape: Sequence[int], examples: int) -> list[int]:
    """Find where the batch is in the sizes of a reshape that were written down for a fixed number of examples.

    Args:
        x: What is reshaped.
        shape: The sizes; one may be -1.
        examples: The number that they were written for, which is often 1.

    Returns:
        The sizes with `BATCH` in the place where the batch stands by itself, or leads what it is merged with.
    """
    target = list(shape)
    total = math.prod(x.shape)
    if total % BATCH or math.prod(target) == total:
        return target
    if target.count(-1) == 1:
        known = math.prod(size for size in target if size != -1)
        target[target.index(-1)] = total // BATCH * examples // known if known else 0
    if math.prod(target) * BATCH != total * examples:
        return list(shape)
    sizes = [x.physical[part] for group in x.axes for part in group]
    batch = sizes.index(BATCH)
    best, rank = list(shape), 4
    for place, size in enumerate(target):
        if size % examples:
            continue
        candidate = [*target[:place], size // examples * BATCH, *target[place + 1 :]]
        plan = _factors(sizes, candidate)
        if plan is None:
            score = 3 if place == 0 else 4
        else:
            number = sum(len(pieces) for pieces in plan[0][:batch])
            group = plan[1][place]
            # Examples are never merged into the last axis, that of the features, if there is another way.
            is_last = place == len(target) - 1
            score = 0 if group == [number] else 3 if is_last else 1 if group[0] == number else 2
        if score < rank:
            best, rank = candidate, score
    return best


def transpose(x: Value, order: Sequence[int]) -> Value:
    """Put the logical axes into another order."""
    chosen = [x.axis(axis) for axis in order]
    if sorted(chosen) != list(range(x.rank)):
        raise Refused(f"{list(order)} is no order of {x.rank} axes")
    return Value(x.tensor, x.physical, tuple(x.axes[axis] for axis in chosen), x.nonnegative)


def squeeze(x: Value, axes: Sequence[int]) -> Value:
    """Drop axes of size 1.

    Raises:
        Refused: One of them has another size, or is that of the batch.
    """
    chosen = {x.axis(axis) for axis in axes}
    if any(x.axes[axis] for axis in chosen):
        raise Refused(f"it drops an axis of {shown(x.shape)} that has not the size 1")
    kept = tuple(group for axis, group in enumerate(x.axes) if axis not in chosen)
    return Value(x.tensor, x.physical, kept, x.nonnegative)


def unsqueeze(x: Value, axes: Sequence[int]) -> Value:
    """Add axes of size 1 at places counted in the result."""
    rank = x.rank + len(axes)
    chosen = {normalized_axis(axis, rank) for axis in axes}
    groups = iter(x.axes)
    return Value(x.tensor, x.physical, tuple(() if axis in chosen else next(groups) for axis in range(rank)), x.nonnegative)


def _factors(sizes: Sequence[int], target: Sequence[int]) -> tuple[list[list[int]], list[list[int]]] | None:
    """Divide sizes so that runs of the pieces make up the target; None where the cuts do not fit.

    Returns:
        For each size its pieces, and for each target the pieces by number.
    """
    pieces: list[list[int]] = [[] for _ in sizes]
    groups: list[list[int]] = []
    position, rest, number = 0, sizes[0] if sizes else 1, 0
    for wanted in target:
        group: list[int] = []
        need = wanted
        while need != 1:
            if position >= len(sizes):
                return None
            step = math.gcd(need, rest)
            if step not in (need, rest):
                return None
            pieces[position].append(step)
            group.append(number)
            number += 1
            need //= step
            rest //= step
            if rest == 1:
                position += 1
                rest = sizes[position] if position < len(sizes) else 1
        groups.append(group)
    return pieces, groups
