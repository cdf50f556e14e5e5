"""Traced programs, kept in the per-user cache under a hash of all that they depend on."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from pybridge.data.preprocessing import Preprocessing
from pybridge.errors import BridgeError, ModelFormatError
from pybridge.graphs.program import Program
from pybridge.graphs.tensorflow_process import TensorFlowProcess, shared_tensorflow
from pybridge.progress import progress
from pybridge.runtime import Runtime
from pybridge.storage.cache import cache_part, check_cached, keep_in_cache, make_cache_part
from pybridge.storage.locks import locked
from pybridge.tfjs.layers_model import LayersModel

# Part of every key, of trainings too: raise it when tracing changes what a program computes or how its signatures look.
TRACING_VERSION = 6

_SCRATCH = "tracing-"
_NOT_WRITABLE = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EROFS}


def programs_for(
    sources: Sequence[Preprocessing | LayersModel], runtime: Runtime, tensorflow: TensorFlowProcess | None = None
) -> list[Program]:
    """The programs of preprocessings and models; those that are not in the cache are traced, in one TensorFlow process.

    Args:
        sources: A preprocessing gives the program from files or pixels to the model's input, a model its
            inference, with its weights as constants.
        runtime: Whose TensorFlow traces and will run them.
        tensorflow: A process to trace in; by default the shared one (see `shared_tensorflow`), which starts where something
            has to be traced.

    Raises:
        ModelFormatError: A model has a layer that cannot be traced.
        BridgeError: TensorFlow's process failed.
    """
    folder = cache_part("programs")
    keys = [_key(source, runtime) for source in sources]
    found = [find_program(folder / key) for key in keys]
    if all(found):
        return [program for program in found if program]
    with tracing_folder() as scratch:
        missing = {key: source for key, source in zip(keys, sources, strict=True) if not find_program(folder / key)}
        if missing:
            with nullcontext(tensorflow) if tensorflow else shared_tensorflow(runtime.environment()) as process:
                _trace(scratch, missing, process)
            for key in missing:
                keep_in_cache(scratch / key / "program", folder / key)
    return [Program.read(folder / key) for key in keys]


def are_cached(sources: Sequence[Preprocessing | LayersModel], runtime: Runtime) -> bool:
    """Whether `programs_for` would trace nothing."""
    return all(find_program(cache_part("programs") / _key(source, runtime)) for source in sources)


@contextmanager
def tracing_folder() -> Iterator[Path]:
    """An empty folder in the cache for what is being traced; one process traces at a time.

    Raises:
        BridgeError: The disk is full, or the cache is read-only.
    """
    folder = cache_part("programs")
    try:
        make_cache_part("programs")
        with locked(folder / "tracing.lock"):
            # Whoever holds the lock is alone: other such folders are those of processes that were killed.
            for left in folder.glob(f"{_SCRATCH}*"):
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch:
                yield Path(scratch)
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
        raise BridgeError(
            f"Traced programs cannot be kept in {folder}: {error.strerror}",
            hint="Free some space there, or name another folder in PYBRIDGE_CACHE.",
        ) from error


def _key(source: Preprocessing | LayersModel, runtime: Runtime) -> str:
    if isinstance(source, Preprocessing):
        content = ["preprocessing", json.dumps(source.to_dict(), sort_keys=True)]
    else:
        content = ["model", source.sha256()]
    identity = [TRACING_VERSION, runtime.tensorflow_version, *content]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]


def find_program(folder: Path) -> Program | None:
    """The program in a folder of the cache, or None where there is none that is whole."""
    check_cached(folder)
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
