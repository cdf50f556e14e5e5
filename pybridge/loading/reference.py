"""What a converted model must answer: the source's own runtime, where one is at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pybridge.converters.onnx.layout import Layout

if TYPE_CHECKING:
    import torch

# ONNX's own evaluator is written in Python; a network of photos takes it minutes.
_SLOW_LIMIT = 2**20

Arrays = list[NDArray[Any]]


@dataclass(frozen=True)
class Reference:
    """A runtime that computes the source of a conversion.

    Attributes:
        name: Of the runtime, for people.
        run: From arrays as the converted model takes them to arrays as it gives them.
        examples: A number of which the examples must be a multiple; None where all sizes are fixed.
    """

    name: str
    run: Callable[[Sequence[NDArray[Any]]], Arrays]
    examples: int | None = 1


def onnx_reference(file: Path, layout: Layout) -> Reference | None:
    """ONNX Runtime, or for small files ONNX's own evaluator; None where neither can compute the file.

    Args:
        file: The file, which has been converted.
        layout: How the converted model lays its tensors out.
    """
    try:
        name, session = _onnx_session(file)
    # Runtimes report what they cannot load by errors of their own.
    except Exception:
        return None

    def run(arrays: Sequence[NDArray[Any]]) -> Arrays:
        return [layout.output(one) for one in session(layout.inputs(arrays))]

    return Reference(name, run, layout.examples)


def torch_reference(module: torch.nn.Module, name: str = "PyTorch") -> Reference:
    """PyTorch itself, in evaluation mode."""

    def run(arrays: Sequence[NDArray[Any]]) -> Arrays:
        import torch

        device = next((one.device for one in (*module.parameters(), *module.buffers())), torch.device("cpu"))
        training = {part: part.training for part in module.modules()}
        module.eval()
        try:
            with torch.no_grad():
                given = [torch.from_numpy(np.ascontiguousarray(_first(one))).to(device) for one in arrays]
                answer = module(*(one.long() if one.dtype == torch.int32 else one for one in given))
        finally:
            for part, mode in training.items():
                part.training = mode
        leaves: list[Any] = torch.utils._pytree.tree_leaves(answer)
        return [_last(one.detach().cpu().numpy()) for one in leaves if isinstance(one, torch.Tensor)]

    return Reference(name, run)


def _onnx_session(file: Path) -> tuple[str, Callable[[dict[str, NDArray[Any]]], Arrays]]:
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        if file.stat().st_size > _SLOW_LIMIT:
            raise
        evaluator = ReferenceEvaluator(str(file))
        return "ONNX's reference", lambda feeds: [np.asarray(one) for one in evaluator.run(None, feeds)]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # As it is written: optimizations round otherwise.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return "ONNX Runtime", lambda feeds: [np.asarray(one) for one in session.run(None, feeds)]


def _first(array: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(array, -1, 1) if array.ndim in (4, 5) else array


def _last(array: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(array, 1, -1) if array.ndim in (4, 5) else array
