"""Brings two tensors into one arrangement, so that a layer can work on them element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import Constant, Value, as_float32, broadcast_shape, shown
from pybridge.converters.refusals import Refused

Place = tuple[int, int]

# Of the examples, where none of the logical axes is theirs.
_EXAMPLES: Place = (-1, -1)


def padded_rank(x: Value, rank: int) -> Value:
    """Give a value more axes of size 1 in front, as broadcasting does."""
    return Value(x.tensor, x.physical, ((),) * (rank - x.rank) + x.axes, x.nonnegative)


def together(b: Builder, x: Value, y: Value, *, name: str) -> tuple[Value, Value]:
    """Arrange two values alike: their physical axes mean the same, with size 1 where one is broadcast.

    Args:
        b: The builder.
        x: Any value.
        y: A value that broadcasts with it.
        name: What added layers are called after.

    Raises:
        Refused: If their axes are divided in ways that do not fit.
    """
    rank = len(broadcast_shape(x.shape, y.shape))
    x, y = padded_rank(x, rank), padded_rank(y, rank)
    if x.axes == y.axes and x.physical == y.physical:
        return x, y
    for axis in range(rank):
        if x.axes[axis] and y.axes[axis]:
            x, y = _refined(b, x, y, axis, name)
    swap = math.prod(y.physical[1:]) > math.prod(x.physical[1:])
    first, second = (y, x) if swap else (x, y)
    template = _template(first, second, None)
    first, second = _apply(b, first, template, name), _apply(b, second, template, name)
    return (second, first) if swap else (first, second)


def side_by_side(b: Builder, values: Sequence[Value], axis: int, *, name: str) -> tuple[list[Value], int]:
    """Arrange values alike but for one logical axis, which is one physical axis in all of them.

    Returns:
        The values, and that physical axis.

    Raises:
        Refused: If their axes are divided in ways that do not fit.
    """
    reference = max(values, key=lambda value: math.prod(value.physical))
    arranged = list(values)
    # Twice: the reference may be split on the way, and all must follow its last arrangement.
    for place, value in [*enumerate(arranged), *enumerate(arranged)]:
        value = arranged[place]
        for other in range(reference.rank):
            if other != axis:
                reference, value = _refined(b, reference, value, other, name)
        arranged[place] = value
    template = _template(reference, reference, axis)
    return [_apply(b, value, template, name) for value in arranged], template.index((axis, -1))


def constant_like(x: Value, constant: Constant) -> NDArray[np.float32]:
    """Arrange a constant as the physical axes of a value, the batch left out; sizes are 1 where it is broadcast.

    Raises:
        Refused: If it would enlarge the value, or differs from example to example.
    """
    shape = (1,) * (x.rank - constant.array.ndim) + tuple(constant.array.shape)
    if len(shape) != x.rank or broadcast_shape(x.shape, constant.shape) != x.shape:
        raise Refused(f"a constant of shape {shown(constant.shape)} enlarges a tensor of shape {shown(x.shape)}")
    split: list[int] = []
    owners: list[int | None] = []
    for axis, size in enumerate(shape):
        parts = x.axes[axis]
        if size != 1:
            split.extend(x.physical[part] for part in parts)
            owners.extend(parts)
        else:
            split.append(1)
            owners.append(None)
    if 0 in owners:
        raise Refused("a constant that differs from example to example")
    array = as_float32(constant.array).reshape(split)
    kept = [place for place, owner in enumerate(owners) if owner is not None]
    array = array.reshape([split[place] for place in kept])
    order = sorted(range(len(kept)), key=lambda place: owners[kept[place]] or 0)
    array = array.transpose(order)
    present = {owner for owner in owners if owner is not None}
    return array.reshape([size if axis in present else 1 for axis, size in enumerate(x.physical)][1:])


def merged_axis(b: Builder, x: Value, axis: int, *, name: str) -> tuple[Value, int]:
    """Make one logical axis one physical axis; the others stay as they are.

    Returns:
        The value, and the physical axis, which has size 1 if the logical one has.
    """
    group = x.axes[axis]
    if len(group) == 1:
        return x, group[0]
    if 0 in group:
        raise Refused("it works along the batch axis")
    slots: list[tuple[int, ...]] = []
    for part in range(len(x.physical)):
        if part not in group:
            slots.append((part,))
        elif part == min(group):
            slots.append(group)
    if not group:
        slots.append(())
    place = slots.index(group)
    tensor, physical = b.regroup(x, slots, name=name)
    axes = [(place,) if at == axis else tuple(slots.index((part,)) for part in parts) for at, parts in enumerate(x.axes)]
    return Value(tensor, physical, tuple(axes), x.nonnegative), place


def _refined(b: Builder, x: Value, y: Value, axis: int, name: str) -> tuple[Value, Value]:
    """Split physical axes until a logical axis is divided alike in both."""
    if x.sizes(axis) == y.sizes(axis):
        return x, y
    ends = sorted({*_ends(x.sizes(axis)), *_ends(y.sizes(axis))})
    if any(later % earlier for earlier, later in pairwise(ends)):
        raise Refused("axes are divided in ways that do not fit together")
    return _split_at(b, x, axis, ends, name), _split_at(b, y, axis, ends, name)


def _ends(sizes: Sequence[int]) -> list[int]:
    """The products of the sizes counted from the fastest axis."""
    return [math.prod(sizes[place:]) for place in range(len(sizes))]


def _split_at(b: Builder, x: Value, axis: int, ends: Sequence[int], name: str) -> Value:
    fastest_first = list(reversed(x.axes[axis]))
    reached = 1
    plan: list[tuple[int, list[int]]] = []
    for part in fastest_first:
        size = x.physical[part]
        cuts = [reached, *(end for end in ends if reached < end < reached * size), reached * size]
        plan.append((part, [later // earlier for earlier, later in pairwise(cuts)][::-1]))
        reached *= size
    for part, sizes in sorted(plan, reverse=True):
        x = b.split_axis(x, part, sizes, name=name)
    return x


def _template(first: Value, second: Value, skip: int | None) -> list[Place | None]:
    """What each physical axis of the result means: a logical axis and a place within it."""
    template: list[Place | None] = []
    for part in range(len(first.physical)):
        place = next(((axis, group.index(part)) for axis, group in enumerate(first.axes) if part in group), None)
        if place is None and part == 0:
            place = _EXAMPLES
        if place is not None and place[0] == skip:
            if part == min(first.axes[place[0]]):
                template.append((place[0], -1))
            continue
        template.append(place)
    if skip is not None and not first.axes[skip]:
        template.append((skip, -1))
    for axis, group in enumerate(second.axes):
        if axis != skip and not first.axes[axis]:
            template.extend((axis, place) for place in range(len(group)))
    return template


def _apply(b: Builder, x: Value, template: Sequence[Place | None], name: str) -> Value:
    slots: list[tuple[int, ...]] = []
    places: list[dict[int, int]] = [{} for _ in range(x.rank)]
    for position, place in enumerate(template):
        if place is None:
            slots.append(())
            continue
        if place == _EXAMPLES:
            slots.append((0,))
            continue
        axis, part = place
        group = x.axes[axis]
        slots.append(group if part == -1 else (group[part],) if group else ())
        places[axis][part] = position
    tensor, physical = b.regroup(x, slots, name=name)
    axes = tuple(tuple(position for _, position in sorted(parts.items())) for parts in places)
    return Value(tensor, physical, axes, x.nonnegative)
