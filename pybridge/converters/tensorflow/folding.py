"""Computes the parts of a TensorFlow graph that do not depend on its input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pybridge.converters.building.values import Constant
from pybridge.converters.refusals import Refused
from pybridge.converters.tensorflow.nodes import GraphNode

_DTYPES = {
    "DT_FLOAT": np.float32,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_BOOL": np.bool_,
}
# Arithmetic on weights that exporters leave in a graph: that of a decomposed batch normalization, and of biases.
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "AddV2": np.add,
    "Identity": lambda x: x,
    "Mul": np.multiply,
    "RealDiv": np.divide,
    "Reshape": lambda x, shape: x.reshape([int(size) for size in shape.reshape(-1)]),
    "Rsqrt": lambda x: (1 / np.sqrt(x)).astype(x.dtype),
    "Sqrt": np.sqrt,
    "Squeeze": np.squeeze,
    "Sub": np.subtract,
}


def fold_constants(nodes: Mapping[str, GraphNode], constants: Mapping[str, Constant]) -> dict[str, Constant]:
    """Compute what does not depend on the model's input.

    Args:
        nodes: In the order of `parse_nodes`.
        constants: By node.

    Returns:
        The constants and what was computed from them, by node.
    """
    known = dict(constants)
    for node in nodes.values():
        operands = [known.get(source) for source, index in node.inputs if index == 0]
        if node.op not in _ARITHMETIC or not operands or any(operand is None for operand in operands):
            continue
        arrays = [operand.array for operand in operands if operand is not None]
        if arrays[0].dtype != np.float32 or len(arrays) != len(node.inputs):
            continue
        try:
            with np.errstate(all="ignore"):
                array = np.asarray(_ARITHMETIC[node.op](*arrays))
        except (ValueError, TypeError):
            # Shapes that do not fit are refused by name when the node's turn comes.
            continue
        known[node.name] = Constant(array, node.name, trainable=array.ndim > 0)
    return known


def _sliced(node: GraphNode, array: Any, begin: Any, end: Any, step: Any) -> Any:
    masks = {key: int(node.attributes.get(f"{key}_mask", 0)) for key in ("begin", "end", "shrink_axis")}
    places: list[Any] = []
    for axis, (first, last, by) in enumerate(zip(begin.tolist(), end.tolist(), step.tolist(), strict=True)):
        if masks["shrink_axis"] >> axis & 1:
            places.append(first)
        else:
            places.append(slice(None if masks["begin"] >> axis & 1 else first, None if masks["end"] >> axis & 1 else last, by))
    return array[tuple(places)]


def _axes(array: Any) -> tuple[int, ...]:
    return tuple(int(axis) for axis in array.reshape(-1))


def _small(shape: Any) -> tuple[int, ...]:
    sizes = _axes(shape)
    if int(np.prod(sizes, dtype=object)) > 10**8:
        raise Refused(f"fills a tensor of shape {sizes}")
    return sizes


FOLDED: dict[str, Callable[..., Any]] = {
    "Cast": lambda node, x: x.astype(_DTYPES[node.attributes["DstT"]]),
    "ConcatV2": lambda _node, *parts: np.concatenate(parts[:-1], int(parts[-1])),
    "Fill": lambda _node, shape, value: np.full(_small(shape), value),
    "FloorDiv": lambda _node, x, y: x // y,
    "GatherV2": lambda _node, x, places, axis: np.take(x, places, int(axis)),
    "Pack": lambda node, *parts: np.stack(parts, int(node.attributes.get("axis", 0))),
    "Prod": lambda _node, x, axes: np.prod(x, axis=_axes(axes)),
    "Range": lambda _node, start, stop, step: np.arange(int(start), min(int(stop), int(start) + 10**6 * int(step)), int(step)),
    "Rsqrt": lambda _node, x: (1 / np.sqrt(x)).astype(x.dtype),
    "Sqrt": lambda _node, x: np.sqrt(x),
    "Square": lambda _node, x: np.square(x),
    "Squeeze": lambda node, x: np.squeeze(x, tuple(node.attributes.get("squeeze_dims") or []) or None),
    "StridedSlice": _sliced,
}
"""How operations are computed whose inputs are all constant: shapes, mostly."""
