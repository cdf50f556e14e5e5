"""tfjs-node's native addon, compiled against the TensorFlow of the running Python."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from pybridge.errors import SetupError
from pybridge.runtime.bundle import Bundle
from pybridge.runtime.commands import Outcome, python_module, run
from pybridge.runtime.find_node import NodeExecutable
from pybridge.runtime.probe import probe_addon
from pybridge.runtime.python_tensorflow import PythonTensorflow
from pybridge.storage.cache import Report, check_cached, is_complete, runtime_dir, staged

# Highest Node-API version that tfjs-node 4.22 is written for; Node.js 18 and later have it.
_NAPI_VERSION = 8
# Raise it when the compiler's arguments change, so that old addons are not used.
_RECIPE = 1
_SECONDS_TO_COMPILE = 1800.0
_FILE = "tfjs_binding.node"
_COMPILER_HINT = (
    "Install a C++17 compiler: apt install g++ (Debian, Ubuntu), dnf install gcc-c++ (Fedora, RHEL), "
    "xcode-select --install (macOS), or without administrator rights: pip install 'pybridge[compiler]'"
)


@dataclass(frozen=True)
class Addon:
    """A compiled addon in the cache.

    Attributes:
        file: The shared library that Node.js loads.
        tensorflow_version: What the library it is linked to said when the addon was first loaded.
    """

    file: Path
    tensorflow_version: str


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler.

    Attributes:
        command: How to call it.
        origin: How it was found, such as ``"CXX"``, ``"PATH"`` or ``"ziglang"``.
    """

    command: tuple[str, ...]
    origin: str


def addon_folder(bundle: Bundle, node: NodeExecutable, tensorflow: PythonTensorflow) -> Path:
    """Return where the addon for exactly these parts is, or will be, in the cache."""
    parts = (
        f"recipe {_RECIPE}",
        f"Node-API {_NAPI_VERSION}",
        f"{sys.platform} {platform.machine()} {node.arch}",
        bundle.packages_key(),
        tensorflow.fingerprint(),
    )
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return runtime_dir() / "addon" / f"tensorflow-{tensorflow.version}-{key}"


def compiled_addon(folder: Path) -> Addon | None:
    """Return the addon published in ``folder``, or None where there is none.

    Raises:
        SetupError: Others than this user may change it.
    """
    try:
        if not is_complete(folder) or not (folder / _FILE).is_file():
            return None
        check_cached(folder / _FILE)
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        return Addon(folder / _FILE, str(about["tensorflow"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_compilers() -> list[Compiler]:
    """Return the C++ compilers of this machine in the order in which they are tried.

    ``$CXX`` first, then ``g++``, ``clang++`` and ``c++`` on PATH, last the ``ziglang`` package, which needs minutes
    the first time.
    """
    found: dict[tuple[str, ...], Compiler] = {}
    chosen = shlex.split(os.environ.get("CXX", ""))
    if chosen and (program := shutil.which(chosen[0])):
        command = (program, *chosen[1:])
        found[command] = Compiler(command, "CXX")
    for name in ("g++", "clang++", "c++"):
        if program := shutil.which(name):
            found.setdefault((program,), Compiler((program,), "PATH"))
    if importlib.util.find_spec("ziglang") is not None:
        command = tuple(python_module("ziglang", "c++"))
        found[command] = Compiler(command, "ziglang")
    return list(found.values())


def compile_addon(
    bundle: Bundle,
    node: NodeExecutable,
    tensorflow: PythonTensorflow,
    node_modules: Path,
    *,
    title: str,
    report: Report,
) -> Addon:
    """Compile the addon, see that it loads, and publish it in the cache; call it under the set-up lock.

    Args:
        bundle: The bundled program, which holds the probe.
        node: The Node.js that must load it.
        tensorflow: What it is linked to.
        node_modules: Where its sources and the Node-API headers are.
        title: Shown while it lasts.
        report: Receives progress lines.

    Returns:
        The published addon.

    Raises:
        SetupError: Where there is no compiler, none of them can compile it, or the result does not load.
    """
    compilers = find_compilers()
    if not compilers:
        raise SetupError("Found no C++ compiler: CXX names none, and g++, clang++ and c++ are not on PATH.", hint=_COMPILER_HINT)
    final = addon_folder(bundle, node, tensorflow)
    with staged(final) as folder:
        file = folder / _FILE
        used = _compile_with_any(compilers, tensorflow, node_modules, file, title=title, report=report)
        report("Loading the addon in Node.js")
        loaded = probe_addon(bundle, node, node_modules, file)
        about = {
            "tensorflow": loaded.tensorflow_version,
            "tensorflow_folder": str(tensorflow.folder),
            "tfjs_node": loaded.tfjs_version,
            "node": node.version,
            "node_api": _NAPI_VERSION,
            "compiler": shlex.join(used.command),
        }
        (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return Addon(final / _FILE, loaded.tensorflow_version)


def _compile_with_any(
    compilers: list[Compiler],
    tensorflow: PythonTensorflow,
    node_modules: Path,
    file: Path,
    *,
    title: str,
    report: Report,
) -> Compiler:
    failures = []
    for compiler in compilers:
        arguments = _arguments(tensorflow, node_modules, file)
        note = " (the first compilation with zig takes minutes)" if compiler.origin == "ziglang" else ""
        if note:
            report(f"{title}{note}")
        try:
            outcome = run(
                [*compiler.command, *arguments],
                timeout=_SECONDS_TO_COMPILE,
                cwd=file.parent,
                title=title,
                report=report,
            )
        except OSError as error:
            outcome = Outcome(1, "", f"it does not start: {error.strerror or error}", 0.0)
        if outcome.ok and file.is_file():
            return compiler
        failures.append(f"  {shlex.join(compiler.command)} ({outcome.ending()}):\n{outcome.tail()}")
    raise SetupError(
        f"Could not compile the native addon against TensorFlow {tensorflow.version} in {tensorflow.folder}:\n"
        + "\n".join(failures),
        hint=_COMPILER_HINT,
    )


def _arguments(tensorflow: PythonTensorflow, node_modules: Path, file: Path) -> list[str]:
    sources = node_modules / "@tensorflow" / "tfjs-node" / "binding"
    # RPATH rather than RUNPATH on Linux: LD_LIBRARY_PATH must not bring in another TensorFlow than Python's.
    # On macOS an addon is a bundle whose Node-API symbols are found in the process that loads it.
    shape = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared", "-Wl,--disable-new-dtags"]
    return [
        "-std=c++17",
        "-O2",
        "-fPIC",
        "-w",
        f"-DNAPI_VERSION={_NAPI_VERSION}",
        "-DNODE_GYP_MODULE_NAME=tfjs_binding",
        f"-I{node_modules / 'node-api-headers' / 'include'}",
        f"-I{tensorflow.include}",
        *(str(sources / name) for name in ("tfjs_backend.cc", "tfjs_binding.cc")),
        "-o",
        str(file),
        *shape,
        *(str(library) for library in tensorflow.libraries),
        "-Xlinker",
        "-rpath",
        "-Xlinker",
        str(tensorflow.folder),
    ]
