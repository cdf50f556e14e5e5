"""The traced program that fits heads, kept in the per-user cache: one for all heads."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pybridge.graphs import Program, TensorFlowProcess, shared_tensorflow
from pybridge.graphs.cache import TRACING_VERSION, find_program, tracing_folder
from pybridge.progress import progress
from pybridge.runtime import Runtime
from pybridge.storage.cache import cache_part, keep_in_cache
from pybridge.storage.hashes import sha256_of

_SOURCE = Path(__file__).parent / "tracing.py"


def head_program(runtime: Runtime, tensorflow: TensorFlowProcess | None = None) -> Program:
    """The program that fits heads; traced where it is not in the cache.

    Args:
        runtime: Whose TensorFlow traces and will run it.
        tensorflow: A process to trace in; by default the shared one.

    Raises:
        BridgeError: TensorFlow's process failed.
    """
    folder = _folder(runtime)
    found = find_program(folder)
    if found is not None:
        return found
    with tracing_folder() as scratch:
        if find_program(folder) is None:
            lent = nullcontext(tensorflow) if tensorflow else shared_tensorflow(runtime.environment())
            with lent as process, progress(1, "Tracing the head (once)", "job") as bar:
                process.run(scratch, "pybridge.heads.program:trace", {})
                bar.update()
            keep_in_cache(scratch / "program", folder)
    return Program.read(folder)


def is_head_cached(runtime: Runtime) -> bool:
    """Whether `head_program` would trace nothing."""
    return find_program(_folder(runtime)) is not None


def trace(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """The job of the TensorFlow process."""
    from pybridge.heads.tracing import trace_heads

    trace_heads(folder / "program")
    return arguments


def _folder(runtime: Runtime) -> Path:
    # The graph is what its source says.
    return cache_part("programs") / f"heads-{TRACING_VERSION}-{runtime.tensorflow_version}-{sha256_of(_SOURCE)[:24]}"
