"""Normalizations."""

from __future__ import annotations

from collections.abc import Sequence

from pybridge.converters.building.builder import Builder
from pybridge.converters.building.values import Constant, Value
from pybridge.converters.refusals import Refused


def batch_normalization(
    b: Builder,
    x: Value,
    gamma: Constant | None,
    beta: Constant | None,
    mean: Constant,
    variance: Constant,
    *,
    channels: int,
    epsilon: float,
    momentum: float = 0.9,
    name: str,
) -> Value:
    """Normalize with moving statistics.

    Args:
        b: The builder.
        x: Of any rank from 2.
        gamma: Scale of each channel, or None.
        beta: Shift of each channel, or None.
        mean: The moving mean.
        variance: The moving variance.
        channels: The logical axis of the channels.
        epsilon: Added to the variance.
        momentum: The weight of the old value when statistics move, as in Keras.
        name: The name of the layer.

    Raises:
        Refused: If shapes do not fit.
    """
    channels = x.axis(channels)
    x = _with_last(b, x, [channels], name=name)
    if mean.array.size != x.physical[-1]:
        raise Refused(f"{mean.array.size} statistics do not fit {x.physical[-1]} channels")
    weights = {"gamma": gamma, "beta": beta, "moving_mean": mean, "moving_variance": variance}
    config = {
        "axis": -1,
        "momentum": momentum,
        "epsilon": epsilon,
        "center": beta is not None,
        "scale": gamma is not None,
    }
    given = {part: weight.reshape(-1) for part, weight in weights.items() if weight is not None}
    learned = [weight for weight in (gamma, beta) if weight is not None]
    trainable = any(weight.trainable for weight in learned) if learned else True
    return b.layer("BatchNormalization", config, [x], name=name, weights=given, trainable=trainable)


def layer_normalization(
    b: Builder,
    x: Value,
    gamma: Constant | None,
    beta: Constant | None,
    *,
    axes: Sequence[int] = (-1,),
    epsilon: float,
    name: str,
) -> Value:
    """Normalize each example over some axes.

    Args:
        b: The builder.
        x: Any value.
        gamma: Scale, of the shape of those axes, or None.
        beta: Shift of that shape, or None.
        axes: The logical axes.
        epsilon: Added to the variance.
        name: The name of the layer.

    Raises:
        Refused: If shapes do not fit.
    """
    logical = sorted(x.axis(axis) for axis in axes)
    parts = [size for axis in logical for size in x.sizes(axis)]
    owners = [axis for axis in logical for _ in x.sizes(axis)]
    x = _with_last(b, x, logical, name=name)
    size = x.physical[-1]
    weights = {part: weight.reshape(-1) for part, weight in (("gamma", gamma), ("beta", beta)) if weight is not None}
    if any(weight.array.size != size for weight in weights.values()):
        raise Refused(f"scale and shift do not fit {size} elements")
    config = {"axis": -1, "epsilon": epsilon, "center": beta is not None, "scale": gamma is not None}
    value = b.layer("LayerNormalization", config, [x], name=name, weights=weights)
    if len(logical) == 1:
        return value
    first = len(value.physical) - 1
    physical = (*value.physical[:-1], *parts)
    groups = [list(group) for group in value.axes]
    for place, owner in enumerate(owners):
        groups[owner].append(first + place)
    return Value(b.reshaped(value.tensor, value.physical, physical, name=name), physical, tuple(map(tuple, groups)))


def group_normalization(
    b: Builder,
    x: Value,
    gamma: Constant | None,
    beta: Constant | None,
    *,
    groups: int,
    channels: int,
    epsilon: float,
    name: str,
) -> Value:
    """Normalize each example over groups of channels and all positions.

    Raises:
        Refused: If the channels cannot be divided.
    """
    channels = x.axis(channels)
    x = b.ordered(x, [*(axis for axis in range(x.rank) if axis != channels), channels], name=name)
    count = x.physical[-1]
    if groups < 1 or count % groups:
        raise Refused(f"{count} channels cannot be divided into {groups} groups")
    config = {
        "groups": groups,
        "axis": -1,
        "epsilon": epsilon,
        "center": beta is not None,
        "scale": gamma is not None,
    }
    weights = {part: weight.reshape(-1) for part, weight in (("gamma", gamma), ("beta", beta)) if weight is not None}
    return b.layer("PybridgeGroupNormalization", config, [x], name=name, weights=weights)


def _with_last(b: Builder, x: Value, logical: Sequence[int], *, name: str) -> Value:
    """Bring logical axes to the end of the TF.js tensor, as one axis; the others stay where they are."""
    if any(0 in x.axes[axis] for axis in logical):
        raise Refused("it normalizes over the batch")
    last = [part for axis in logical for part in x.axes[axis]]
    rest = [part for part in range(len(x.physical)) if part not in last and x.physical[part] != 1]
    tensor, physical = b.regroup(x, [*((part,) for part in rest), last], name=name)
    # Several axes have become one, which belongs to none of them until the caller splits it again.
    end = (len(rest),) if len(logical) == 1 else ()
    axes = [end if axis in logical else tuple(rest.index(part) for part in group) for axis, group in enumerate(x.axes)]
    return Value(tensor, physical, tuple(axes), x.nonnegative)
