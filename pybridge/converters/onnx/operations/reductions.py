"""Reductions of ONNX: sums, norms, places of the largest elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pybridge.converters.building import arithmetic
from pybridge.converters.building.pointwise import pointwise
from pybridge.converters.building.reductions import cumulative, extremum, reduction
from pybridge.converters.building.values import Operand, Value, as_constant, as_value, constant
from pybridge.converters.onnx.registry import Node, operation, whole_numbers
from pybridge.converters.refusals import Refused

_POOLED = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ReduceMin": "min"}


def reduced_axes(at: Node, x: Value, axes: Any) -> Sequence[int]:
    """The axes of a reduction: those that are named, else all of them, or none where ``noop_with_empty_axes`` says so."""
    named = whole_numbers(axes) if axes is not None else at.get("axes", None)
    if named:
        return list(named)
    return [] if at.get("noop_with_empty_axes", 0) else range(x.rank)


@operation(*_POOLED, "ReduceProd")
def _reduce(at: Node, x: Any, axes: Any = None) -> Operand:
    b, value = at.builder, as_value(x)
    chosen, keepdims = reduced_axes(at, value, axes), bool(at.get("keepdims", 1))
    if not chosen:
        return value
    dtype = b.dtype(value)
    if dtype == "float32" and at.kind in _POOLED:
        return arithmetic.reduce(b, _POOLED[at.kind], value, chosen, keepdims, name=at.name)
    if dtype == "bool":
        if at.kind not in ("ReduceMax", "ReduceMin"):
            raise Refused("it computes with truth values")
        return reduction(b, "any" if at.kind == "ReduceMax" else "all", value, chosen, keepdims, name=at.name)
    kind = "prod" if at.kind == "ReduceProd" else _POOLED[at.kind]
    if kind == "mean":
        raise Refused("the mean of whole numbers")
    return reduction(b, kind, value, chosen, keepdims, name=at.name)


@operation("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp")
def _reduce_function(at: Node, x: Any, axes: Any = None) -> Operand:
    b, value = at.builder, as_value(x)
    chosen, keepdims = reduced_axes(at, value, axes), bool(at.get("keepdims", 1))
    if at.kind == "ReduceLogSumExp":
        return reduction(b, "logsumexp", value, chosen, keepdims, name=at.name) if chosen else value
    before = {"ReduceL1": "abs", "ReduceL2": "square", "ReduceSumSquare": "square"}.get(at.kind)
    after = {"ReduceL2": "sqrt", "ReduceLogSum": "log"}.get(at.kind)
    if before:
        value = as_value(arithmetic.unary(b, before, value, name=f"{at.name}_{before}"))
    if chosen:
        value = arithmetic.reduce(b, "sum", value, chosen, keepdims, name=f"{at.name}_sum")
    return arithmetic.unary(b, after, value, name=at.name) if after else value


@operation("ArgMax", "ArgMin")
def _extremum(at: Node, x: Any) -> Value:
    b, x = at.builder, as_value(x)
    axis, keepdims = x.axis(at.get("axis", 0)), bool(at.get("keepdims", 1))
    kind = at.kind.lower()
    if not at.get("select_last_index", 0):
        return extremum(b, kind, x, axis, keepdims=keepdims, name=at.name)
    x = b.ordered(x, range(x.rank), name=at.name)
    if 0 in x.axes[axis]:
        raise Refused("it works along the batch axis")
    place = axis + len(x.physical) - x.rank
    turned = b.operation("flip", {"x": x}, {"axis": place}, name=f"{at.name}_flip", dtype=b.dtype(x))
    found = extremum(b, kind, turned, axis, keepdims=keepdims, name=f"{at.name}_from_end")
    last = constant(x.shape[axis] - 1, dtype="int32")
    return pointwise(b, "subtract", {"x1": last, "x2": found}, dtype="int32", name=at.name)


@operation("CumSum")
def _cumulative(at: Node, x: Any, axis: Any) -> Value:
    place = int(as_constant(axis).array.reshape(-1)[0])
    return cumulative(
        at.builder, as_value(x), place, exclusive=bool(at.get("exclusive", 0)), reverse=bool(at.get("reverse", 0)), name=at.name
    )
