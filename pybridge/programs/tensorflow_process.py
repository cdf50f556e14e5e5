"""Runs jobs that need TensorFlow in a Python process of their own.

The process sees the same TensorFlow settings as the Node.js runner, whatever the caller's own process has imported or set:
equal programs then take equal code paths. ``python -m pybridge.programs.tensorflow_process JOB`` is the child; it reads
``job.json`` in the folder JOB, and leaves ``result.json`` there. Its standard input is a lifeline: at end of file it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pybridge
from pybridge import errors
from pybridge.errors import BridgeError

Job = Callable[[Path, dict[str, Any]], dict[str, Any]]


def run_job(folder: Path, name: str, arguments: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """Runs one job in a fresh Python process that may import TensorFlow.

    Args:
        folder: A folder for the job's files; arrays and models pass through it.
        name: Which job: ``trace`` or ``run_programs``.
        arguments: What JSON can carry.
        environment: Added to this process's own; the runtime's ``environment()``.

    Returns:
        What the job returned.

    Raises:
        BridgeError: What the job raised, or that its process died, with the end of its error output.
    """
    (folder / "job.json").write_text(json.dumps({"name": name, "arguments": arguments}), "utf-8")
    search_path = os.pathsep.join([str(Path(pybridge.__file__).parent.parent), *filter(None, sys.path)])
    with tempfile.TemporaryFile() as error_output:
        child = subprocess.Popen(
            [sys.executable, "-m", "pybridge.programs.tensorflow_process", str(folder)],
            stdin=subprocess.PIPE,
            stdout=error_output,
            stderr=error_output,
            env={**os.environ, **environment, "PYTHONPATH": search_path},
        )
        try:
            child.wait()
        except BaseException:
            child.kill()
            child.wait()
            raise
        finally:
            if child.stdin is not None:
                child.stdin.close()
        error_output.seek(0)
        lines = error_output.read().decode("utf-8", "replace").splitlines()
    result_file = folder / "result.json"
    if not result_file.exists():
        raise BridgeError(
            f"Python's TensorFlow process ended with code {child.returncode} during {name}:\n" + "\n".join(lines[-15:]),
            hint="`pybridge doctor` checks the installation. Out of memory is a common reason for code -9.",
        )
    result: dict[str, Any] = json.loads(result_file.read_text("utf-8"))
    if "error" not in result:
        return result
    kind = getattr(errors, result["error"]["type"], BridgeError)
    raise kind(result["error"]["message"], hint=result["error"]["hint"])


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _jobs() -> dict[str, Job]:
    from pybridge.programs import jobs

    return {"trace": jobs.trace, "run_programs": jobs.run_programs}


def main(folder: Path) -> None:
    """The child's side: runs the job in ``folder`` and leaves its result there."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads((folder / "job.json").read_text("utf-8"))
    try:
        result = _jobs()[job["name"]](folder, job["arguments"])
    except BridgeError as error:
        result = {"error": {"type": type(error).__name__, "message": error.message, "hint": error.hint}}
    except Exception:  # the caller is another process: the traceback is all that can reach it
        message = f"{job['name']} failed in Python's TensorFlow process:\n{traceback.format_exc()}"
        result = {"error": {"type": "BridgeError", "message": message, "hint": None}}
    partial = folder / "result.json.part"
    partial.write_text(json.dumps(result), "utf-8")
    partial.replace(folder / "result.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
