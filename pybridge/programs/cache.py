"""Traced programs, kept in the per-user cache under a hash of all that they depend on."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock

from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import ModelFormatError
from pybridge.models.layers_model import LayersModel
from pybridge.programs.program import Program
from pybridge.programs.tensorflow_process import TensorFlowProcess
from pybridge.progress import progress
from pybridge.runtime import Runtime, cache_dir

# Part of every key: raise it when tracing changes what a program computes or how its signatures look.
TRACING_VERSION = 4


def programs_for(
    sources: Sequence[Preprocessing | LayersModel], runtime: Runtime, tensorflow: TensorFlowProcess | None = None
) -> list[Program]:
    """The programs of preprocessings and models; those that are not in the cache are traced, in one TensorFlow process.

    Args:
        sources: A preprocessing gives the program from files or pixels to the model's input, a model its
            inference, with its weights as constants.
        runtime: Whose TensorFlow traces and will run them.
        tensorflow: A process that runs already; by default one is started where something has to be traced.

    Raises:
        ModelFormatError: A model has a layer that cannot be traced.
        BridgeError: TensorFlow's process failed.
    """
    folder = cache_dir() / "programs"
    keys = [_key(source, runtime) for source in sources]
    found = [_find(folder / key) for key in keys]
    if all(found):
        return [program for program in found if program]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "tracing.lock"), tempfile.TemporaryDirectory(dir=folder, prefix="tracing-") as scratch:
        missing = {key: source for key, source in zip(keys, sources, strict=True) if not _find(folder / key)}
        if missing:
            with nullcontext(tensorflow) if tensorflow else TensorFlowProcess(runtime.environment()) as process:
                _trace(Path(scratch), missing, process)
            for key in missing:
                if (folder / key).exists():
                    (folder / key).replace(Path(scratch) / f"damaged-{key}")
                (Path(scratch) / key / "program").replace(folder / key)
    return [Program.read(folder / key) for key in keys]


def _key(source: Preprocessing | LayersModel, runtime: Runtime) -> str:
    if isinstance(source, Preprocessing):
        content = ["preprocessing", json.dumps(source.to_dict(), sort_keys=True)]
    else:
        content = ["model", source.sha256()]
    identity = [TRACING_VERSION, runtime.tensorflow_version, *content]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]


def _find(folder: Path) -> Program | None:
    try:
        return Program.read(folder)
    except ModelFormatError:
        return None


def _trace(scratch: Path, sources: dict[str, Preprocessing | LayersModel], tensorflow: TensorFlowProcess) -> None:
    items: list[dict[str, Any]] = []
    for key, source in sources.items():
        (scratch / key).mkdir()
        if isinstance(source, Preprocessing):
            items.append({"folder": key, "preprocessing": source.to_dict()})
        else:
            source.write(scratch / key / "model")
            items.append({"folder": key, "preprocessing": None})
    with progress(1, "Tracing the model (once)", "job") as bar:
        tensorflow.run(scratch, "trace", {"items": items})
        bar.update()
