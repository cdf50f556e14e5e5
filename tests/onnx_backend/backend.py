"""ONNX's own tests of its operations, each through TF.js: what passes, what is refused by name, and what must not happen."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

import pybridge as pb
from pybridge.converters.onnx.conversion import from_onnx
from pybridge.errors import BridgeError

Way = Literal["as they are", "all inputs but one frozen"]
WAYS: tuple[Way, ...] = ("as they are", "all inputs but one frozen")

Result = Literal["passes", "refused", "wrong", "crash", "called damaged", "unclear"]

# Where a name would say nothing, or says an inner matter.
_INNER = re.compile(r"1000003|1000033|1_000_003|object at 0x|numpy|ndarray|broadcast|operands could not|Traceback")


@dataclass(frozen=True)
class Case:
    """One test of ONNX with arrays as inputs and outputs."""

    name: str
    model: onnx.ModelProto
    inputs: Sequence[NDArray[Any]]
    outputs: Sequence[NDArray[Any]]
    rtol: float
    atol: float

    @property
    def group(self) -> str:
        """The operation that is tested; for those that are written out as others, the one that they make up."""
        kinds = [node.op_type for node in self.model.graph.node]
        if len(kinds) == 1:
            return kinds[0]
        return "written out as other operations" if "expanded" in self.name else "several operations"


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    result: Result
    message: str = ""


def all_cases(words: Iterable[str] = ()) -> list[Case]:
    """The cases whose inputs and outputs are arrays of numbers or truth values, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    wanted = list(words)
    cases = [
        Case(
            one.name,
            one.model,
            [np.asarray(value) for value in one.data_sets[0][0]],
            [np.asarray(value) for value in one.data_sets[0][1]],
            one.rtol,
            one.atol,
        )
        for one in found
        if _of_arrays(one) and (not wanted or any(word in one.name for word in wanted))
    ]
    return sorted(cases, key=lambda case: case.name)


def frozen(case: Case) -> Case | None:
    """The same with all inputs but the first of floating numbers as constants of the file; None where there is one input."""
    if len(case.inputs) < 2:
        return None
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    kept = next((place for place, value in enumerate(case.inputs) if value.dtype.kind in "fV"), 0)
    entries = list(model.graph.input)
    for place, (entry, value) in enumerate(zip(entries, case.inputs, strict=True)):
        if place != kept:
            model.graph.initializer.append(onnx.numpy_helper.from_array(value, entry.name))
    del model.graph.input[:]
    model.graph.input.append(entries[kept])
    return Case(case.name, model, [case.inputs[kept]], case.outputs, case.rtol, case.atol)


def run(case: Case, node: pb.Node, folder: Path) -> Outcome:
    """Convert a case, let Node compute it, and compare."""
    file = folder / "model.onnx"
    file.write_bytes(case.model.SerializeToString())
    try:
        model = node.load_model(from_onnx(file, layout="NCHW"))
    except BridgeError as error:
        text = f"{error}\n{error.hint or ''}"
        if "damaged" in text:
            return Outcome("called damaged", text)
        return Outcome("unclear" if _INNER.search(text) else "refused", text)
    except Exception as error:
        return Outcome("crash", f"{type(error).__name__}: {error}")
    try:
        given = [channels_last(value) for value in case.inputs]
        if len(given) != len(model.inputs):
            used = [port.name for port in model.inputs]
            names = [entry.name for entry in case.model.graph.input]
            given = [value for value, name in zip(given, names, strict=True) if name in used]
        answer = model.predict(given if len(given) > 1 else given[0], batch_size=2**20)
    except BridgeError as error:
        return Outcome("crash", f"predict: {type(error).__name__}: {error}")
    except Exception as error:
        return Outcome("crash", f"predict: {type(error).__name__}: {error}")
    finally:
        model.dispose()
    answers = answer if isinstance(answer, list) else [answer]
    wrong = [
        f"output {place}: {difference}"
        for place, (have, want) in enumerate(zip(answers, case.outputs, strict=True))
        if (difference := _difference(have, channels_last(want), case))
    ]
    return Outcome("wrong", "; ".join(wrong)) if wrong else Outcome("passes")


def channels_last(value: NDArray[Any]) -> NDArray[Any]:
    """Tensors of rank 4 and 5 as the TF.js model takes and gives them."""
    return np.moveaxis(value, 1, -1) if value.ndim in (4, 5) else value


def _difference(have: NDArray[Any], want: NDArray[Any], case: Case) -> str:
    if have.shape != want.shape:
        return f"the shape {have.shape}, not {want.shape}"
    # All floating types are computed in float32; halves and their kin are rounded by the reference on the way.
    coarse = want.dtype.itemsize < 4 and want.dtype.kind == "f"
    rtol, atol = (max(case.rtol, 1e-2), 1e-3) if coarse else (max(case.rtol, 1e-4), max(case.atol, 1e-5))
    one, other = np.asarray(have, np.float64), np.asarray(want, np.float64)
    if np.allclose(one, other, rtol=rtol, atol=atol, equal_nan=True):
        return ""
    return f"differs by {np.nanmax(np.abs(one - other)):.3g}"


def _of_arrays(one: Any) -> bool:
    values = [value for part in one.data_sets[0] for value in part]
    arrays = all(isinstance(value, np.ndarray | np.generic) and np.asarray(value).dtype.kind in "fiubV" for value in values)
    return arrays and bool(one.data_sets[0][0]) and bool(one.data_sets[0][1])
