"""Runs programs with Python's TensorFlow: the reference that Node's results are compared with."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.graphs.program import Program
from pybridge.graphs.tensorflow_process import TensorFlowProcess


def run_reference(
    stages: Sequence[Program],
    signature: str,
    batches: Iterable[Sequence[Any]],
    tensorflow: TensorFlowProcess,
    keep: Sequence[int],
) -> list[NDArray[Any]]:
    """Runs a chain of programs over batches in Python.

    Args:
        stages: The programs; each feeds the next.
        signature: Which signature of the first one takes the batches.
        batches: For each batch the inputs of that signature, in order. An input of encoded images is a list of bytes.
        tensorflow: The process that runs them.
        keep: The positions of the stages whose outputs are wanted.

    Returns:
        For each kept stage, its outputs over all batches, concatenated.

    Raises:
        BridgeError: TensorFlow refused an input, or its process died.
    """
    lengths: list[list[int]] = []
    count = 0
    with tempfile.TemporaryDirectory(prefix="pybridge-reference-") as scratch:
        folder = Path(scratch)
        for count, inputs in enumerate(batches, start=1):
            arrays = dict(enumerate(inputs))
            if isinstance(inputs[0], list):
                lengths.append([len(encoded) for encoded in inputs[0]])
                arrays[0] = np.frombuffer(b"".join(inputs[0]), dtype=np.uint8)
            named = {f"input_{position}": np.asarray(value) for position, value in arrays.items()}
            np.savez(folder / f"batch-{count - 1}.npz", allow_pickle=False, order=np.array(list(named)), **named)
        arguments: dict[str, Any] = {
            "stages": [stage.to_dict() for stage in stages],
            "signature": signature,
            "batches": count,
            "keep": list(keep),
        }
        if lengths:
            arguments["lengths"] = lengths
        tensorflow.run(folder, "run_programs", arguments)
        return [np.load(folder / f"stage-{position}.npy") for position in keep]
