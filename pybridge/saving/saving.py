"""Writes a model in a format, opens what was written, and keeps it only if it answers like the original."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import BridgeError, ModelFormatError, ParityError, RemoteError
from pybridge.loading import OpenedModel, SavedModel, lift
from pybridge.loading.saved_model import read_saved_model
from pybridge.saving import writers
from pybridge.saving.formats import FORMATS, Format
from pybridge.saving.precision import largest_error, rounded
from pybridge.storage.folders import publish, scratch_beside
from pybridge.tfjs.graph_model import GraphModel
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.precision import PRECISIONS, Precision
from pybridge.tfjs.topology import parse_topology

Arrays = list[NDArray[Any]]
Named = dict[str, NDArray[Any]]
Answer = Callable[[OpenedModel, Named], Arrays]
"""Runs a model in Node on inputs by name; gives its outputs in order."""

# The largest difference, as a share of the largest output, at which two implementations of the same float32 network count as
# equal: typical ones differ by 2e-7, deep ones with other kernels by up to 1e-5.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class SaveReport:
    """A saved model, compared with the one in memory on random inputs.

    Attributes:
        path: Where it is.
        format: ``tfjs_layers``, ``tfjs_graph``, ``saved_model`` or ``keras``.
        precision: Of its weights.
        size_bytes: Of all its files.
        max_abs_diff: The largest difference of an output; with float32 that of other kernels, else the drift of the precision.
        max_rel_diff: The same as a share of the largest output.
        max_weight_error: The largest difference of a weight; None where the format fuses weights.
        tolerance: The ``max_rel_diff`` that was allowed; None with a lower precision, where each weight is held to the
            precision's own bound instead.
    """

    path: Path
    format: Format
    precision: Precision
    size_bytes: int
    max_abs_diff: float
    max_rel_diff: float
    max_weight_error: float | None
    tolerance: float | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "path": str(self.path)}

    def __str__(self) -> str:
        drift = "equal to the last bit" if self.max_abs_diff == 0 else f"differs by at most {self.max_abs_diff:.3g}"
        return f"{self.path}: {self.format}, {self.precision}, {self.size_bytes / 1e6:.1f} MB, {drift}"


def save_model(
    model: OpenedModel,
    target: Path,
    *,
    format: Format,  # noqa: A002, the name is Keras's
    precision: Precision,
    inputs: Named,
    answer: Answer,
) -> SaveReport:
    """Saves a model.

    Args:
        model: What to save.
        target: A folder that does not exist or is empty; with ``keras`` it may be a file name that ends in ``.keras``, else
            ``model.keras`` is written in the folder.
        format: One of `FORMATS`.
        precision: Of the weights: ``float32``, ``float16``, ``uint16`` or ``uint8``. ``saved_model`` and ``keras`` hold rounded
            values in variables of float32.
        inputs: Examples to compare on, by input.
        answer: Runs a model in Node.

    Raises:
        ModelFormatError: There is no such format, or the model cannot be written in it.
        ParityError: What was saved answers differently; nothing is left behind.
        BridgeError: The target exists.
        SetupError: ``tensorflowjs`` is needed and not installed.
    """
    _check_choice("format", format, FORMATS)
    _check_choice("precision", precision, PRECISIONS)
    as_file = format == "keras" and target.suffix == ".keras"
    if target.exists() and (as_file or not target.is_dir() or any(target.iterdir())):
        raise BridgeError(f"{target} exists already", hint="Choose another folder or remove it.")
    with scratch_beside(target) as scratch:
        made = scratch / "made"
        weight_error, outputs = _write_and_answer(model, made, format, precision, inputs, answer)
        expected = answer(model, inputs)
        absolute, relative = _difference(expected, outputs)
        tolerance = 0.0 if _is_same_program(model, format) else _TOLERANCE
        limit = tolerance if precision == "float32" else None
        if not np.isfinite(relative) or (limit is not None and relative > limit):
            raise ParityError(
                f"The saved model answers differently from the one in memory, by up to {absolute:.3g}; it was not kept",
                hint="`pybridge verify --layers` names the first layer that differs.",
            )
        size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
        publish(made / "model.keras" if as_file else made, target)
        return SaveReport(target, format, precision, size, absolute, relative, weight_error, limit)


def _write_and_answer(
    model: OpenedModel, made: Path, format_: Format, precision: Precision, inputs: Named, answer: Answer
) -> tuple[float | None, Arrays]:
    if format_ == "tfjs_graph":
        writers.write_graph(model, made, precision)
        try:
            return None, answer(GraphModel.read(made / "model.json"), inputs)
        except RemoteError as refusal:
            raise ModelFormatError(
                f"TensorFlow.js cannot run the model as a graph: {refusal.remote_message}",
                hint="Save it as tfjs_layers, saved_model or keras instead.",
            ) from refusal
    if format_ == "saved_model" and isinstance(model, SavedModel):
        _refuse_rounding(precision)
        writers.copy_saved_model(model, made)
        return None, answer(read_saved_model(made, model.signature, allow_operations=model.allowed), inputs)
    layers = lift(model)
    if format_ == "tfjs_layers":
        layers.write(made, **({} if precision == "float32" else {"precision": precision}))
        stored = LayersModel.read(made)
        return largest_error(layers.weights, stored.weights, precision), answer(stored, _renamed(model, stored, inputs))
    stored = rounded(layers, precision)
    error = largest_error(layers.weights, stored.weights, precision)
    if format_ == "saved_model":
        writers.write_saved_model(stored, made)
        return error, answer(read_saved_model(made), inputs)
    made.mkdir()
    return error, writers.write_keras(stored, made / "model.keras", list(inputs.values()), compress=precision != "float32")


def _renamed(model: OpenedModel, stored: LayersModel, inputs: Named) -> Named:
    """The inputs for layers that were lifted out of a graph, in whose order they are."""
    if isinstance(model, LayersModel):
        return inputs
    names = [reference.layer for reference in parse_topology(stored.topology).inputs]
    if len(names) == len(inputs):
        return dict(zip(names, inputs.values(), strict=True))
    # Inputs that nothing uses are gone.
    return {name: inputs[name] for name in names}


def _refuse_rounding(precision: Precision) -> None:
    if precision != "float32":
        raise ModelFormatError(
            "the weights of a SavedModel are copied as they are", hint="Save it as tfjs_graph or tfjs_layers in that precision."
        )


def _is_same_program(model: OpenedModel, format_: str) -> bool:
    if format_ == "tfjs_layers":
        return isinstance(model, LayersModel)
    if format_ == "tfjs_graph":
        return isinstance(model, GraphModel)
    return format_ == "saved_model" and isinstance(model, SavedModel)


def _difference(expected: Sequence[NDArray[Any]], outputs: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """The largest difference, and the largest as a share of the largest number of its output."""
    if len(expected) != len(outputs):
        raise ParityError(f"The saved model has {len(outputs)} outputs instead of {len(expected)}; it was not kept")
    absolute = relative = 0.0
    for ours, theirs in zip(expected, outputs, strict=True):
        if ours.shape != theirs.shape:
            raise ParityError(f"The saved model gives {theirs.shape} instead of {ours.shape}; it was not kept")
        if np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
            continue
        largest = float(np.abs(ours.astype(np.float64) - theirs).max())
        scale = float(np.abs(ours.astype(np.float64)).max())
        absolute = max(absolute, largest)
        relative = max(relative, largest / scale if scale else np.inf)
    return absolute, relative


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ModelFormatError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
