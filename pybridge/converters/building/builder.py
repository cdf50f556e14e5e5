"""Builds a layers model from operations, keeping track of how the axes of each tensor lie."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.building.values import BATCH, Constant, Value, as_float32
from pybridge.converters.refusals import Refused
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.topology.names import first_free, numbered
from pybridge.tfjs.topology.write import functional, layer_entry

_RANK_LIMIT = 6

# Layers that only move elements: what comes out is of the type that goes in.
_MOVING = frozenset(
    [
        "Concatenate",
        "Cropping2D",
        "Flatten",
        "MaxPooling2D",
        "Permute",
        "RepeatVector",
        "Reshape",
        "UpSampling2D",
        "ZeroPadding2D",
    ]
)


@dataclass
class _Emitted:
    class_name: str
    config: dict[str, Any]
    nodes: list[list[Value]] = field(default_factory=list)


class Builder:
    """Collects layers and weights.

    Args:
        name: The model's name.

    Example:
        >>> b = Builder("tiny")
        >>> x = b.input("image", (BATCH, 3, 32, 32), order=(0, 2, 3, 1))
        >>> y = b.layer("ReLU", {}, [x], name="relu")
        >>> b.finish([y]).topology["class_name"]
        'Functional'
    """

    def __init__(self, name: str) -> None:
        self.name = legal_name(name) or "model"
        self.weights: dict[str, NDArray[Any]] = {}
        self.inputs: list[Value] = []
        self._dtypes: dict[tuple[str, int, int], str] = {}
        self._layers: dict[str, _Emitted] = {}
        self._shared: dict[tuple[object, ...], str] = {}
        self._arranged: dict[tuple[object, ...], tuple[str, int, int]] = {}

    def input(self, name: str, shape: Sequence[int], *, order: Sequence[int] | None = None, dtype: str = "float32") -> Value:
        """Add an input.

        Args:
            name: The name of the InputLayer.
            shape: The logical shape. Where its first size is not `BATCH`, all sizes are fixed: the model takes exactly this
                shape, and no axis is that of the examples. Within the model such a tensor has a first physical axis of its own,
                so that layers leave all of its axes to what is computed.
            order: The logical axes in the order of the TF.js tensor, such as ``(0, 2, 3, 1)`` for NCHW sources.
            dtype: ``float32``, ``int32`` or ``bool``.
        """
        order = tuple(order or range(len(shape)))
        physical = tuple(shape[axis] for axis in order)
        is_free = bool(physical) and physical[0] == BATCH
        config = {"batch_input_shape": [None if size == BATCH else size for size in physical], "dtype": dtype, "sparse": False}
        name = self._unique(name)
        self._layers[name] = _Emitted("InputLayer", {"name": name, **config})
        self._dtypes[name, 0, 0] = dtype
        axes = tuple((order.index(axis),) for axis in range(len(shape)))
        value = Value((name, 0, 0), physical, axes)
        self.inputs.append(value)
        if is_free:
            return value
        # A tensor of no axes would be mistaken for one with a batch.
        bare = Value(value.tensor, (BATCH, *physical), tuple((part + 1,) for (part,) in axes))
        return self.operation("reshape", {"x": bare}, {"newshape": [1, *physical]}, name=f"{name}_whole", dtype=dtype)

    def dtype(self, value: Value) -> str:
        """The type of a value's elements: float32, int32 or bool."""
        return self._dtypes.get(value.tensor, "float32")

    def layer(
        self,
        class_name: str,
        config: Mapping[str, Any],
        inputs: Sequence[Value],
        *,
        name: str,
        weights: Mapping[str, Constant] | None = None,
        physical: Sequence[int] | None = None,
        axes: Sequence[Sequence[int]] | None = None,
        nonnegative: bool = False,
        trainable: bool | None = None,
    ) -> Value:
        """Add a layer, or another use of one that has the same weights.

        Args:
            class_name: A class of TF.js, or one of ours.
            config: Without name, trainable and dtype.
            inputs: What flows in, arranged as the layer expects it.
            name: A wish; made unique and legal.
            weights: By the names within the layer, in the order of TF.js.
            physical: The sizes of the output; by default those of the first input.
            axes: How logical axes lie in the output; by default as in the first input.
            nonnegative: Whether the output has no negative elements.
            trainable: By default whether one of the weights is, or there are none.
        """
        weights = weights or {}
        if trainable is None:
            trainable = not weights or any(weight.trainable for weight in weights.values())
        settings = {"trainable": trainable, "dtype": "float32", **config}
        # A normalization keeps the axes that it had at its first use, which mean others in a tensor of another rank.
        key = (
            class_name,
            len(inputs[0].physical) if inputs else 0,
            json.dumps(settings, sort_keys=True),
            tuple(weight.name for weight in weights.values()),
        )
        unique = self._shared_layer(key, weights) or self._new_layer(name, class_name, settings, weights, key)
        emitted = self._layers[unique]
        emitted.nodes.append(list(inputs))
        shape = tuple(inputs[0].physical if physical is None else physical)
        placed = inputs[0].axes if axes is None else tuple(tuple(group) for group in axes)
        tensor = (unique, len(emitted.nodes) - 1, 0)
        if class_name in _MOVING and inputs:
            self._dtypes[tensor] = self.dtype(inputs[0])
        elif class_name == "PybridgeOp":
            self._dtypes[tensor] = config["output_dtype"]
        return Value(tensor, shape, placed, nonnegative)

    def operation(
        self,
        operation: str,
        operands: Mapping[str, Value],
        arguments: Mapping[str, Any] | None = None,
        *,
        name: str,
        physical: Sequence[int] | None = None,
        axes: Sequence[Sequence[int]] | None = None,
        nonnegative: bool = False,
        dtype: str = "float32",
    ) -> Value:
        """Add one of keras.ops, for which TF.js has no layer.

        Args:
            operation: Its name there.
            operands: The tensors by the names of its parameters; the first says where axes lie by default.
            arguments: Its other arguments.
            name: As in `layer`.
            physical: As in `layer`.
            axes: As in `layer`.
            nonnegative: As in `layer`.
            dtype: Of the result.
        """
        inputs = list(operands.values())
        shape = list(inputs[0].physical if physical is None else physical)
        given = {**{part: {"tensor": place} for place, part in enumerate(operands)}, **(arguments or {})}
        config = {"op": operation, "arguments": given, "output_shape": [None, *shape[1:]], "output_dtype": dtype}
        return self.layer("PybridgeOp", config, inputs, name=name, physical=shape, axes=axes, nonnegative=nonnegative)

    def regroup(self, value: Value, slots: Sequence[Sequence[int]], *, name: str) -> tuple[tuple[str, int, int], tuple[int, ...]]:
        """Bring the physical axes of a value into another arrangement, by as few Permute and Reshape layers as that takes.

        Args:
            value: Any value.
            slots: For each axis of the result the physical axes that it merges, the slowest first; ``()`` for size 1.
            name: What the layers are called after.

        Returns:
            The tensor and its sizes.

        Raises:
            Refused: If the batch is not first in it.
        """
        if not slots or tuple(axis for axis in slots[0] if axis == 0 or value.physical[axis] != 1) != (0,):
            raise Refused("it moves or merges the batch axis")
        wanted = [axis for slot in slots for axis in slot]
        target = tuple(math.prod(value.physical[axis] for axis in slot) for slot in slots)
        tensor, physical = value.tensor, value.physical
        visible = [axis for axis in wanted if physical[axis] != 1]
        if visible != sorted(visible):
            order = wanted + [axis for axis in range(len(physical)) if axis not in wanted]
            if len(order) > _RANK_LIMIT:
                tensor, physical, order = self._compact(tensor, physical, order, name)
            tensor = self._raw("Permute", {"dims": order[1:]}, tensor, f"{name}_permute")
            physical = tuple(physical[axis] for axis in order)
        return self.reshaped(tensor, physical, target, name=name), target

    def reshaped(
        self, tensor: tuple[str, int, int], physical: Sequence[int], target: Sequence[int], *, name: str
    ) -> tuple[str, int, int]:
        """Give a tensor other sizes, the batch apart; nothing is emitted where they are equal."""
        if tuple(physical) == tuple(target):
            return tensor
        if len(target) == 2 and len(physical) > 2:
            return self._raw("Flatten", {"data_format": "channels_last"}, tensor, f"{name}_flatten")
        return self._raw("Reshape", {"target_shape": list(target[1:])}, tensor, f"{name}_reshape")

    def ordered(self, value: Value, order: Sequence[int], *, name: str) -> Value:
        """Arrange a value so that each logical axis is one physical axis.

        Args:
            value: Any value.
            order: The logical axes in the order wanted, that of the batch first.
            name: What the layers are called after.
        """
        front: list[tuple[int, ...]] = [] if value.batch_axis is not None else [(0,)]
        tensor, physical = self.regroup(value, [*front, *(value.axes[axis] for axis in order)], name=name)
        axes = tuple((list(order).index(axis) + len(front),) for axis in range(value.rank))
        return Value(tensor, physical, axes, value.nonnegative)

    def examples_first(self, value: Value, *, name: str) -> Value:
        """Make the first logical axis of a value of fixed sizes the first physical one, as layers for images want it."""
        rest = [tuple(group) for group in value.axes[1:]]
        tensor, physical = self.regroup(value, [(0,), value.axes[0], *rest], name=name)
        axes = ((0,), *((place,) for place in range(1, value.rank)))
        merged = Value(tensor, (BATCH, *physical[2:]), axes, value.nonnegative)
        if physical[1] == 1:
            return Value(self.reshaped(tensor, physical, merged.physical, name=name), merged.physical, axes, value.nonnegative)
        arguments = {"newshape": [-1, *physical[2:]]}
        return self.operation(
            "reshape", {"x": merged}, arguments, name=f"{name}_examples", nonnegative=value.nonnegative, dtype=self.dtype(merged)
        )

    def examples_back(self, value: Value, count: int, *, name: str) -> Value:
        """Undo `examples_first`, where the first axis has this size."""
        if value.axes[0] != (0,):
            raise Refused("it moves the batch axis")
        physical = (BATCH, count, *value.physical[1:])
        axes = ((1,), *(tuple(part + 1 for part in group) for group in value.axes[1:]))
        if count == 1:
            return Value(self.reshaped(value.tensor, value.physical, physical, name=name), physical, axes, value.nonnegative)
        arguments = {"newshape": [-1, *physical[1:]]}
        return self.operation(
            "reshape",
            {"x": Value(value.tensor, physical, axes)},
            arguments,
            name=f"{name}_whole",
            nonnegative=value.nonnegative,
            dtype=self.dtype(value),
        )

    def tidied(self, value: Value, *, name: str) -> Value:
        """Arrange a value as its logical axes are counted, with the parts of each merged; the batch comes first."""
        slots: list[tuple[int, ...]] = [(0,)]
        axes: list[list[int]] = []
        for group in value.axes:
            cut = group.index(0) if 0 in group else len(group)
            placed: list[int] = []
            for parts in (group[:cut], group[cut + 1 :]):
                if parts:
                    slots.append(parts)
                    placed.append(len(slots) - 1)
            if 0 in group:
                placed.insert(1 if cut else 0, 0)
            axes.append(placed)
        tensor, physical = self.regroup(value, slots, name=name)
        return Value(tensor, physical, tuple(tuple(group) for group in axes), value.nonnegative)

    def split_axis(self, value: Value, axis: int, sizes: Sequence[int], *, name: str) -> Value:
        """Split one physical axis; the groups that hold it then hold its parts."""
        if len(sizes) == 1:
            return value
        physical = (*value.physical[:axis], *sizes, *value.physical[axis + 1 :])
        extra = len(sizes) - 1

        def moved(part: int) -> list[int]:
            if part == axis:
                return list(range(axis, axis + extra + 1))
            return [part + extra if part > axis else part]

        axes = tuple(tuple(new for part in group for new in moved(part)) for group in value.axes)
        tensor = self.reshaped(value.tensor, value.physical, physical, name=name)
        return Value(tensor, physical, axes, value.nonnegative)

    def finish(self, outputs: Sequence[Value], *, orders: Sequence[Sequence[int]] | None = None) -> LayersModel:
        """Write the model: the layers that the outputs need.

        Args:
            outputs: The model's outputs.
            orders: For each of them the logical axes in the order of the TF.js tensor; by default as they are counted.

        Raises:
            Refused: If an output does not depend on an input, or has not the batch first.
        """
        ends: list[Value] = []
        for position, value in enumerate(outputs):
            order = orders[position] if orders is not None else range(value.rank)
            end = self.ordered(value, list(order), name="output")
            if value.batch_axis is None:
                # The first axis was only lent by `input`.
                sizes = list(end.physical[1:])
                end = self._whole(end, sizes)
            ends.append(end)
        needed = self._needed(ends)
        renumbered = {(name, node): place for name, nodes in needed.items() for place, node in enumerate(sorted(nodes))}

        def place(value: Value) -> tuple[str, int, int]:
            name, node, index = value.tensor
            return name, renumbered[name, node], index

        entries = [
            layer_entry(
                name,
                emitted.class_name,
                emitted.config,
                [[place(value) for value in emitted.nodes[node]] for node in sorted(needed[name])] if emitted.nodes else [],
            )
            for name, emitted in self._layers.items()
            if name in needed
        ]
        used = [value.tensor for value in self.inputs if value.layer in needed]
        weights = {name: value for name, value in self.weights.items() if name.rpartition("/")[0] in needed}
        return LayersModel(functional(self.name, entries, used, [place(value) for value in ends]), weights)

    def _whole(self, value: Value, sizes: list[int]) -> Value:
        config = {
            "op": "reshape",
            "arguments": {"x": {"tensor": 0}, "newshape": sizes},
            "output_shape": sizes,
            "output_dtype": self.dtype(value),
        }
        return self.layer("PybridgeOp", config, [value], name="output_whole")

    def _needed(self, ends: Sequence[Value]) -> dict[str, set[int]]:
        needed: dict[str, set[int]] = {}
        stack = [value.tensor[:2] for value in ends]
        while stack:
            name, node = stack.pop()
            nodes = needed.setdefault(name, set())
            if node not in nodes:
                nodes.add(node)
                emitted = self._layers[name]
                stack.extend(value.tensor[:2] for value in (emitted.nodes[node] if emitted.nodes else ()))
        if not any(self._layers[name].class_name == "InputLayer" for name in needed):
            raise Refused("the output does not depend on the input")
        return needed

    def _raw(self, class_name: str, config: dict[str, Any], tensor: tuple[str, int, int], name: str) -> tuple[str, int, int]:
        """Add a layer without weights that only moves elements, once for each tensor."""
        key = (class_name, json.dumps(config), tensor)
        known = self._arranged.get(key)
        if known is None:
            known = self.layer(class_name, config, [Value(tensor, (BATCH,), ((0,),))], name=name).tensor
            self._arranged[key] = known
        return known

    def _compact(
        self, tensor: tuple[str, int, int], physical: tuple[int, ...], order: list[int], name: str
    ) -> tuple[tuple[str, int, int], tuple[int, ...], list[int]]:
        """Merge physical axes that stay neighbours, since TF.js transposes tensors of rank 6 at most."""
        runs: list[list[int]] = []
        for axis in order:
            if runs and axis == runs[-1][-1] + 1 and runs[-1] != [0]:
                runs[-1].append(axis)
            else:
                runs.append([axis])
        if len(runs) > _RANK_LIMIT:
            raise Refused(f"it transposes a tensor of rank {len(runs)}; TF.js does so up to {_RANK_LIMIT}")
        merged = sorted(runs)
        sizes = tuple(math.prod(physical[axis] for axis in run) for run in merged)
        return self.reshaped(tensor, physical, sizes, name=name), sizes, [merged.index(run) for run in runs]

    def _shared_layer(self, key: tuple[object, ...], weights: Mapping[str, Constant]) -> str | None:
        """Find the layer that already has these very weights: a module that its parent calls twice."""
        if not weights or not all(weight.name for weight in weights.values()):
            return None
        name = self._shared.get(key)
        same = name is not None and all(
            np.array_equal(self.weights[f"{name}/{part}"], weight.array) for part, weight in weights.items()
        )
        return name if same else None

    def _new_layer(
        self, name: str, class_name: str, config: dict[str, Any], weights: Mapping[str, Constant], key: tuple[object, ...]
    ) -> str:
        unique = self._unique(name)
        self._layers[unique] = _Emitted(class_name, {"name": unique, **config})
        for part, weight in weights.items():
            self.weights[f"{unique}/{part}"] = as_float32(weight.array)
        if weights and all(weight.name for weight in weights.values()):
            self._shared[key] = unique
        return unique

    def _unique(self, wish: str) -> str:
        return first_free(numbered(legal_name(wish) or "layer"), self._layers)


def legal_name(wish: str) -> str:
    """Turn a path of modules or an operation's name into a layer's name."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", wish).strip("_")
