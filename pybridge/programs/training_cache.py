"""Traced trainings, kept in the per-user cache under a hash of topology and recipe, without weights."""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock

from pybridge.errors import ModelFormatError
from pybridge.models.layers_model import LayersModel
from pybridge.models.weights import tfjs_dtype
from pybridge.programs.tensorflow_process import TensorFlowProcess
from pybridge.programs.training_program import TrainingProgram, TrainingRecipe
from pybridge.progress import progress
from pybridge.runtime import Runtime, cache_dir

# Part of every key: raise it when tracing changes what a program computes or how its signatures look.
TRACING_VERSION = 1


def training_program_for(
    model: LayersModel, recipe: TrainingRecipe, runtime: Runtime, tensorflow: TensorFlowProcess | None = None
) -> TrainingProgram:
    """The program that trains models of this topology; traced where it is not in the cache.

    Args:
        model: What shall train. Its weights do not matter, only their shapes.
        recipe: How.
        runtime: Whose TensorFlow traces and will run it.
        tensorflow: A process that runs already; by default one is started where something has to be traced.

    Raises:
        ModelFormatError: The model has a layer that cannot be traced.
        BridgeError: TensorFlow's process failed.

    Example:
        >>> training_program_for(model, TrainingRecipe("adam", "sparse_categorical_crossentropy"), ensure()).weights
        ('dense/kernel', 'dense/bias')
    """
    weights = [
        {"name": name, "shape": list(value.shape), "dtype": tfjs_dtype(value, name)} for name, value in model.weights.items()
    ]
    job: dict[str, Any] = {"topology": model.topology, "weights": weights, "recipe": recipe.to_dict()}
    folder = cache_dir() / "programs" / f"training-{_key(job, runtime)}"
    found = _find(folder)
    if found is not None:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(folder.parent / "tracing.lock"),
        tempfile.TemporaryDirectory(dir=folder.parent, prefix="tracing-") as scratch,
    ):
        if _find(folder) is None:
            with (
                progress(1, "Tracing the training (once)", "job") as bar,
                nullcontext(tensorflow) if tensorflow else TensorFlowProcess(runtime.environment()) as process,
            ):
                process.run(Path(scratch), "pybridge.programs.training_jobs:trace_training", job)
                bar.update()
            if folder.exists():
                folder.replace(Path(scratch) / "damaged")
            (Path(scratch) / "program").replace(folder)
    return TrainingProgram.read(folder)


def _key(job: dict[str, Any], runtime: Runtime) -> str:
    identity = [TRACING_VERSION, runtime.tensorflow_version, job]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


def _find(folder: Path) -> TrainingProgram | None:
    try:
        return TrainingProgram.read(folder)
    except ModelFormatError:
        return None
