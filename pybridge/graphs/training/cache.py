"""Traced trainings, kept in the per-user cache under a hash of topology and recipe, without weights."""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pybridge import optimizers
from pybridge.errors import BridgeError, ModelFormatError
from pybridge.graphs.cache import TRACING_VERSION, tracing_folder
from pybridge.graphs.tensorflow_process import TensorFlowProcess, shared_tensorflow
from pybridge.graphs.training.program import TrainingProgram, TrainingRecipe
from pybridge.runtime import Runtime
from pybridge.storage.cache import cache_part, check_cached, keep_in_cache
from pybridge.storage.files import replace_file
from pybridge.storage.hashes import sha256_of
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.weights import tfjs_dtype


def training_program_for(
    model: LayersModel, recipe: TrainingRecipe, runtime: Runtime, tensorflow: TensorFlowProcess | None = None
) -> TrainingProgram:
    """The program that trains models of this topology; traced where it is not in the cache.

    That a model cannot be traced is kept in the cache too.

    Args:
        model: What shall train. Its weights do not matter, only their shapes.
        recipe: How.
        runtime: Whose TensorFlow traces and will run it.
        tensorflow: A process to trace in; by default the shared one (see `shared_tensorflow`), which starts where something
            has to be traced.

    Raises:
        ModelFormatError: Keras cannot train the model as TensorFlow.js would.
        BridgeError: TensorFlow's process died.

    Example:
        >>> training_program_for(model, TrainingRecipe("adam", "sparse_categorical_crossentropy"), ensure()).weights
        ('dense/kernel', 'dense/bias')
    """
    job = _job(model, recipe)
    folder = _folder(job, runtime)
    found = _find(folder)
    if found is not None:
        return found
    _raise_refusal(folder)
    with tracing_folder() as scratch:
        if _find(folder) is None:
            _raise_refusal(folder)
            with nullcontext(tensorflow) if tensorflow else shared_tensorflow(runtime.environment()) as process:
                _trace(scratch, job, process, folder)
            keep_in_cache(scratch / "program", folder)
    return TrainingProgram.read(folder)


def is_training_cached(model: LayersModel, recipe: TrainingRecipe, runtime: Runtime) -> bool:
    """Whether `training_program_for` would trace nothing."""
    folder = _folder(_job(model, recipe), runtime)
    return _refusal(folder).exists() or _find(folder) is not None


def _job(model: LayersModel, recipe: TrainingRecipe) -> dict[str, Any]:
    weights = [
        {"name": name, "shape": list(value.shape), "dtype": tfjs_dtype(value, name)} for name, value in model.weights.items()
    ]
    return {"topology": model.topology, "weights": weights, "recipe": recipe.to_dict()}


def _trace(scratch: Path, job: dict[str, Any], tensorflow: TensorFlowProcess, folder: Path) -> None:
    try:
        tensorflow.run(scratch, "pybridge.graphs.training.jobs:trace_training", job)
    except ModelFormatError as error:
        replace_file(_refusal(folder), json.dumps({"message": error.message, "hint": error.hint}))
        raise
    except BridgeError as error:
        if not tensorflow.alive:
            raise
        # Keras stumbled over the model in a way that nobody foresaw.
        raise ModelFormatError(f"Keras cannot train the model: {error.message}", hint=error.hint) from error


def _folder(job: dict[str, Any], runtime: Runtime) -> Path:
    return cache_part("programs") / f"training-{_key(job, runtime)}"


def _refusal(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.refused")


def _raise_refusal(folder: Path) -> None:
    try:
        refused = json.loads(_refusal(folder).read_text("utf-8"))
        message, hint = refused["message"], refused["hint"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    raise ModelFormatError(message, hint=hint)


def _key(job: dict[str, Any], runtime: Runtime) -> str:
    identity = [TRACING_VERSION, runtime.tensorflow_version, rules_hash(Path(optimizers.__file__).parent), job]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


def rules_hash(folder: Path) -> str:
    """Of the optimizers' code: a rule becomes part of the graph, so that another text of it is another graph."""
    return sha256_of(*sorted(folder.glob("*.py")))


def _find(folder: Path) -> TrainingProgram | None:
    check_cached(folder)
    try:
        return TrainingProgram.read(folder)
    except ModelFormatError:
        return None
